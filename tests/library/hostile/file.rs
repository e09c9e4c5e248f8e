//! A safetensors file in parts that can be changed separately.

use serde_json::{Map, Value, json};

/// A tensor.
#[derive(Clone, Debug)]
pub struct HostileTensor {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<u64>,
    pub data: Vec<u8>,
    /// The offsets to write instead of those of the data.
    pub offsets: Option<Value>,
}

/// A file.
#[derive(Clone, Debug)]
pub struct HostileFile {
    pub tensors: Vec<HostileTensor>,
    pub metadata: Map<String, Value>,
    /// Changes that are applied to the bytes last: an index, and the byte there; and the length of the file, if it is
    /// truncated.
    pub bytes: Vec<(usize, u8)>,
    pub cut: Option<usize>,
}

impl HostileFile {
    pub fn parse(bytes: &[u8]) -> HostileFile {
        let (length, rest) = bytes.split_at(8);
        let length = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
        let header: Map<String, Value> = serde_json::from_slice(&rest[..length]).expect("a header");
        let data = &rest[length..];
        let mut tensors = Vec::new();
        for (name, value) in &header {
            if name == "__metadata__" {
                continue;
            }
            let number = |value: &Value| value.as_u64().expect("a number");
            let offsets: Vec<usize> = value["data_offsets"]
                .as_array()
                .expect("offsets")
                .iter()
                .map(|offset| number(offset) as usize)
                .collect();
            let shape = value["shape"].as_array().expect("a shape");
            tensors.push(HostileTensor {
                name: name.clone(),
                dtype: value["dtype"].as_str().expect("a type").to_owned(),
                shape: shape.iter().map(number).collect(),
                data: data[offsets[0]..offsets[1]].to_vec(),
                offsets: None,
            });
        }
        HostileFile {
            tensors,
            metadata: header["__metadata__"]
                .as_object()
                .expect("metadata")
                .clone(),
            bytes: Vec::new(),
            cut: None,
        }
    }

    /// The bytes of the file. Duplicate names are kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut entries = vec![format!(
            "\"__metadata__\":{}",
            Value::Object(self.metadata.clone())
        )];
        let mut data: Vec<u8> = Vec::new();
        for tensor in &self.tensors {
            let (start, end) = (data.len(), data.len() + tensor.data.len());
            let offsets = tensor.offsets.clone().unwrap_or(json!([start, end]));
            let value =
                json!({"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": offsets});
            entries.push(format!("{}:{value}", json!(tensor.name)));
            data.extend(&tensor.data);
        }
        let mut header = format!("{{{}}}", entries.join(","));
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.into_bytes());
        bytes.extend(data);
        for &(at, byte) in &self.bytes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Some(cut) = self.cut {
            bytes.truncate(cut % bytes.len());
        }
        bytes
    }

    /// The vocabulary.
    pub fn words(&self) -> Option<&[u8]> {
        let found = self.tensors.iter().find(|tensor| tensor.name == "vocab");
        found.map(|tensor| tensor.data.as_slice())
    }
}
