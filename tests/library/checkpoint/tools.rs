//! A sample checkpoint, and checks of errors and folders.

use std::collections::BTreeMap;
use std::path::Path;

use wlstm::checkpoint::{Dtype, Entry, write};
use wlstm::error::{Kind, Result};

/// Checks that a result is a data error whose text contains these parts.
#[track_caller]
pub fn refused<T>(result: Result<T>, parts: &[&str]) {
    let Err(error) = result else {
        panic!("no error, but expected one with {parts:?}")
    };
    assert_eq!(error.kind(), Kind::Data, "{}", error.chain());
    let chain = error.chain().to_string();
    for part in parts {
        assert!(chain.contains(part), "no `{part}` in: {chain}");
    }
}

pub fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn write_sample(path: &Path) -> Result<()> {
    write(path, &entries(), &metadata(), |name, sink| match name {
        "vocab" => sink.write_u8(b"abc"),
        "position" => sink.write_f32(&[-7.0]),
        "nothing" => Ok(()),
        name if name.starts_with("order") => sink.write_f32(&[1.0, f32::MAX]),
        _ => {
            sink.write_f32(&REALS[..4])?;
            sink.write_f32(&REALS[4..])
        }
    })
}

pub fn entries() -> Vec<Entry> {
    vec![
        Entry::new("vocab", Dtype::U8, [3]),
        Entry::new("layers.0.gates.weight", Dtype::F32, [2, 3]),
        Entry::new("position", Dtype::F32, []),
        Entry::new("order \"quoted\" ä", Dtype::F32, [2]),
        Entry::new("nothing", Dtype::F32, [0, 4]),
    ]
}

pub fn metadata() -> BTreeMap<String, String> {
    [("config", "[model]\nhidden = 3\n"), ("ä", "\"\\")]
        .map(|(key, value)| (key.into(), value.into()))
        .into()
}

pub const REALS: [f32; 6] = [0.1, -2.5, f32::MIN_POSITIVE, f32::NAN, f32::INFINITY, -0.0];

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
