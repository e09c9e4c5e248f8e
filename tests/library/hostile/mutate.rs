//! Mutations of a file.

use serde_json::{Value, json};
use toml::Value as Toml;

use super::file::HostileFile;
use crate::common::dice::Dice;

/// Numbers at which sizes overflow, divide or vanish.
const NUMBERS: [i64; 22] = [
    0,
    1,
    2,
    3,
    4,
    5,
    8,
    16,
    32,
    64,
    100,
    101,
    256,
    65_535,
    1 << 16,
    1 << 24,
    (1 << 24) + 1,
    i32::MAX as i64,
    1 << 32,
    i64::MAX,
    -1,
    i64::MIN,
];

/// Words for names, values and types.
const WORDS: [&str; 24] = [
    "",
    "lstmp",
    "flstm",
    "glstm",
    "adam",
    "sgd",
    "momentum",
    "adagrad",
    "full",
    "sampled",
    "host",
    "device",
    "mixed",
    "f32",
    "characters",
    "words",
    "whitespace",
    "sentences",
    "contiguous",
    "paper",
    "plain",
    "\u{1b}[2J",
    "\0",
    "../../x",
];

/// Makes one change. Returns its description.
pub fn mutate(file: &mut HostileFile, dice: &mut Dice) -> String {
    match dice.below(16) {
        0..=4 => configuration(file, dice),
        5 | 6 => shape(file, dice),
        7 => names(file, dice),
        8 => types(file, dice),
        9 => offsets(file, dice),
        10 | 11 => vocabulary(file, dice),
        12 => metadata(file, dice),
        13 => progress(file, dice),
        14 => values(file, dice),
        _ => bytes(file, dice),
    }
}

fn number(dice: &mut Dice) -> i64 {
    dice.of(&NUMBERS)
}

fn toml_value(dice: &mut Dice) -> Toml {
    match dice.below(9) {
        0..=3 => Toml::Integer(number(dice)),
        4 => Toml::Float(dice.of(&[
            0.0,
            -0.0,
            0.5,
            1.0,
            1e308,
            1e-308,
            f64::NAN,
            f64::INFINITY,
            -1.0,
        ])),
        5 => Toml::Boolean(dice.below(2) == 0),
        6 | 7 => Toml::String(dice.of(&WORDS).to_owned()),
        _ => {
            let count = dice.below(4);
            Toml::Array((0..count).map(|_| Toml::Integer(number(dice))).collect())
        }
    }
}

/// Another value for a key of the configuration.
fn configuration(file: &mut HostileFile, dice: &mut Dice) -> String {
    let text = file
        .metadata
        .get("config")
        .and_then(Value::as_str)
        .unwrap_or("");
    let Ok(mut config) = text.parse::<toml::Table>() else {
        return "no configuration to change".to_owned();
    };
    // Sizes matter most.
    let section = dice.of(&["model", "model", "softmax", "data", "train", "device"]);
    let Some(keys) = config.get_mut(section).and_then(Toml::as_table_mut) else {
        return format!("no section {section}");
    };
    let names: Vec<String> = keys.keys().cloned().collect();
    if names.is_empty() {
        return format!("no keys in {section}");
    }
    let key = names[dice.below(names.len())].clone();
    let change = if dice.below(12) == 0 {
        keys.remove(&key);
        format!("{section}.{key} removed")
    } else {
        let value = toml_value(dice);
        let change = format!("{section}.{key} = {value}");
        keys.insert(key, value);
        change
    };
    file.metadata
        .insert("config".to_owned(), json!(config.to_string()));
    change
}

/// Another shape, with data of that shape or with the old data.
fn shape(file: &mut HostileFile, dice: &mut Dice) -> String {
    if file.tensors.is_empty() {
        return "no tensors".to_owned();
    }
    let at = dice.below(file.tensors.len());
    let tensor = &mut file.tensors[at];
    let axis = dice.below(tensor.shape.len());
    match dice.below(6) {
        0 => tensor.shape.reverse(),
        1 => tensor.shape.push(1),
        2 => drop(tensor.shape.pop()),
        3 => tensor.shape.clear(),
        _ if tensor.shape.is_empty() => tensor.shape.push(number(dice) as u64),
        4 => tensor.shape[axis] = number(dice) as u64,
        _ => tensor.shape[axis] = (tensor.shape[axis] + 1) * (1 + dice.below(2) as u64),
    }
    let elements = tensor
        .shape
        .iter()
        .try_fold(1_u64, |product, size| product.checked_mul(*size));
    let size = if tensor.dtype == "U8" { 1 } else { 4 };
    if dice.below(4) > 0
        && let Some(elements) = elements
        && elements < 1 << 16
    {
        tensor.data.resize(elements as usize * size, 0);
    }
    format!("{} has shape {:?}", tensor.name, tensor.shape)
}

/// Another name, a missing tensor, or an additional tensor.
fn names(file: &mut HostileFile, dice: &mut Dice) -> String {
    if file.tensors.is_empty() {
        return "no tensors".to_owned();
    }
    let at = dice.below(file.tensors.len());
    let name = file.tensors[at].name.clone();
    match dice.below(5) {
        0 => {
            file.tensors.remove(at);
            format!("{name} removed")
        }
        1 => {
            let again = file.tensors[at].clone();
            file.tensors.push(again);
            format!("{name} repeated")
        }
        2 => {
            let mut again = file.tensors[at].clone();
            again.name = format!(
                "{}{name}",
                dice.of(&["ema.", "optimizer.", "state.", "x", "vocab", "\u{202e}"])
            );
            let change = format!("{} added", again.name);
            file.tensors.push(again);
            change
        }
        3 => {
            let other = dice.below(file.tensors.len());
            let taken = file.tensors[other].name.clone();
            file.tensors[at].name.clone_from(&taken);
            file.tensors[other].name.clone_from(&name);
            format!("{name} and {taken} exchanged")
        }
        _ => {
            let new = dice.of(&[
                "",
                "vocab",
                "lstm.weight_ih_l0",
                "layers.99999999999999999999.gates.bias",
                "embedding.weight",
            ]);
            file.tensors[at].name = new.to_owned();
            format!("{name} is called {new}")
        }
    }
}

/// Another type.
fn types(file: &mut HostileFile, dice: &mut Dice) -> String {
    if file.tensors.is_empty() {
        return "no tensors".to_owned();
    }
    let at = dice.below(file.tensors.len());
    let tensor = &mut file.tensors[at];
    let before = tensor.dtype.clone();
    let dtype = dice.of(&[
        "F32", "I32", "U32", "F16", "BF16", "F64", "U8", "I8", "BOOL", "F8_E4M3", "F4", "C64", "X",
    ]);
    tensor.dtype = dtype.to_owned();
    if dice.below(2) == 0 && !tensor.shape.is_empty() {
        // The same number of bytes.
        let (from, to) = (bytes_of(&before), bytes_of(dtype));
        if let Some(last) = tensor.shape.last_mut() {
            *last = *last * from / to;
        }
    }
    format!("{} has type {dtype}", tensor.name)
}

fn bytes_of(dtype: &str) -> u64 {
    match dtype {
        "F64" | "C64" => 8,
        "F32" | "I32" | "U32" => 4,
        "F16" | "BF16" => 2,
        _ => 1,
    }
}

/// Other offsets.
fn offsets(file: &mut HostileFile, dice: &mut Dice) -> String {
    if file.tensors.is_empty() {
        return "no tensors".to_owned();
    }
    let at = dice.below(file.tensors.len());
    let tensor = &mut file.tensors[at];
    let [from, to] = [number(dice), number(dice)];
    let value = match dice.below(4) {
        0 => json!([from, to]),
        1 => json!([u64::MAX, from]),
        2 => json!([0, tensor.data.len()]),
        _ => json!(dice.of(&WORDS)),
    };
    let change = format!("{} is at {value}", tensor.name);
    tensor.offsets = Some(value);
    change
}

/// Other words.
fn vocabulary(file: &mut HostileFile, dice: &mut Dice) -> String {
    let Some(tensor) = file
        .tensors
        .iter_mut()
        .find(|tensor| tensor.name == "vocab")
    else {
        return "no vocabulary".to_owned();
    };
    let text = String::from_utf8_lossy(&tensor.data).into_owned();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = dice.below(lines.len());
    let what = dice.below(8);
    match what {
        _ if lines.is_empty() => {}
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => lines[at] = format!("word{} {}", dice.below(1000), number(dice)),
        3 => lines[at] = "\u{1b}]0;x\u{7} 5".to_owned(),
        4 => lines.push(format!("more {}", u64::MAX)),
        5 => lines.swap(0, at),
        6 => lines.clear(),
        _ => lines[at].clear(),
    }
    let mut data = lines.join("\n").into_bytes();
    if dice.below(3) > 0 {
        data.push(b'\n');
    }
    if dice.below(8) == 0 && !data.is_empty() {
        let at = dice.below(data.len());
        data[at] = dice.word() as u8;
    }
    tensor.data = data;
    tensor.shape = vec![tensor.data.len() as u64];
    format!("vocabulary changed in way {what} at line {at}")
}

/// Other metadata.
fn metadata(file: &mut HostileFile, dice: &mut Dice) -> String {
    let key = dice.of(&[
        "config",
        "progress",
        "version",
        "format",
        "wlstm.vocab",
        "x",
    ]);
    let value = match dice.below(6) {
        0 => {
            file.metadata.remove(key);
            return format!("metadata {key} removed");
        }
        1 => json!(number(dice)),
        2 => json!({"a": [1, 2]}),
        3 => json!("[".repeat(10_000)),
        4 => json!(null),
        _ => json!(dice.of(&WORDS)),
    };
    let change = format!("metadata {key} = {:.40}", value.to_string());
    file.metadata.insert(key.to_owned(), value);
    change
}

/// Another value in the progress.
fn progress(file: &mut HostileFile, dice: &mut Dice) -> String {
    let text = file
        .metadata
        .get("progress")
        .and_then(Value::as_str)
        .unwrap_or("");
    let Ok(mut progress) = serde_json::from_str::<Value>(text) else {
        return "no progress to change".to_owned();
    };
    let mut places = Vec::new();
    collect(&progress, String::new(), &mut places);
    let place = places[dice.below(places.len())].clone();
    let value = match dice.below(6) {
        0..=2 => json!(dice.of(&[
            0,
            1,
            2,
            7,
            u64::from(u32::MAX),
            1 << 40,
            u64::MAX - 1,
            u64::MAX
        ])),
        3 => json!(dice.of(&[-1.0, 0.0, 1e308, -1e308])),
        4 => json!(null),
        _ => json!([[0, u64::MAX, u64::MAX], [u64::MAX, 0, 0], null]),
    };
    let change = format!("progress{place} = {value}");
    if let Some(slot) = progress.pointer_mut(&place) {
        *slot = value;
    }
    file.metadata
        .insert("progress".to_owned(), json!(progress.to_string()));
    change
}

/// The places of all values in a document.
fn collect(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                collect(value, format!("{place}/{key}"), places);
            }
        }
        Value::Array(items) => {
            for (k, value) in items.iter().enumerate() {
                collect(value, format!("{place}/{k}"), places);
            }
        }
        _ => {}
    }
    places.push(place);
}

/// Other numbers in a tensor.
fn values(file: &mut HostileFile, dice: &mut Dice) -> String {
    if file.tensors.is_empty() {
        return "no tensors".to_owned();
    }
    let at = dice.below(file.tensors.len());
    let tensor = &mut file.tensors[at];
    let value = dice.of(&[
        f32::NAN,
        f32::INFINITY,
        f32::MAX,
        f32::MIN_POSITIVE,
        0.0,
        -1e30,
    ]);
    for (k, bytes) in tensor.data.chunks_exact_mut(4).enumerate() {
        if k % 3 == 0 {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
    }
    format!("{} has {value}", tensor.name)
}

/// Other bytes, or fewer.
fn bytes(file: &mut HostileFile, dice: &mut Dice) -> String {
    if dice.below(3) == 0 {
        file.cut = Some(dice.word() as usize);
        return "cut".to_owned();
    }
    // Most of them in the header.
    let reach = dice.of(&[8, 64, 4096, 1 << 20]);
    for _ in 0..1 + dice.below(4) {
        file.bytes.push((dice.below(reach), dice.word() as u8));
    }
    format!("bytes {:?}", file.bytes)
}
