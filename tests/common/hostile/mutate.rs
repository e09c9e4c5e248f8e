//! Mutates valid files: the tensors, texts, header and bytes of checkpoints, and the lines of texts.

use std::collections::HashMap;

use safetensors::Dtype;
use safetensors::tensor::{SafeTensors, TensorView};
use serde_json::Value;

use super::super::dice::Dice;

/// Numbers at the limits of types and memory.
const NUMBERS: [i64; 16] = [
    0,
    1,
    2,
    3,
    5,
    8,
    16,
    -1,
    255,
    65_536,
    1_000_003,
    i32::MAX as i64,
    u32::MAX as i64,
    1 << 40,
    i64::MAX,
    i64::MIN,
];

/// Numbers that overflow, underflow, or need too many ticks on an axis.
const FLOATS: [f64; 8] = [1e-320, 1e-9, 0.5, -2.5, 1e17, 1e290, 1e296, 1.7e308];

const REALS: [f32; 6] = [
    f32::NAN,
    f32::INFINITY,
    f32::MAX,
    f32::MIN_POSITIVE,
    -0.0,
    1e20,
];

/// A tensor that can be changed: name, type, shape, bytes.
type Part = (String, Dtype, Vec<usize>, Vec<u8>);

/// A checkpoint with one to three changes.
pub fn mutate(valid: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for _ in 0..1 + dice.below(3) {
        bytes = match dice.below(10) {
            0 => change_bytes(bytes, dice),
            1 | 2 => change_header(bytes, dice),
            _ => change_contents(&bytes, dice).unwrap_or_else(|| change_bytes(bytes, dice)),
        };
    }
    bytes
}

/// A text with one changed line. A line of JSON is changed as a document, any other line as an entry of a configuration.
pub fn mutate_lines(valid: &[u8], dice: &mut Dice) -> Vec<u8> {
    let text = String::from_utf8_lossy(valid);
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let at = dice.below(lines.len());
    if serde_json::from_str::<Value>(&lines[at]).is_ok() {
        lines[at] = change_text(&lines[at], dice);
        return lines.join("\n").into_bytes();
    }
    change_text(&text, dice).into_bytes()
}

fn pick<'a, T>(dice: &mut Dice, all: &'a [T]) -> &'a T {
    &all[dice.below(all.len())]
}

/// Flips, cuts or repeats bytes.
fn change_bytes(mut bytes: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let at = dice.below(bytes.len());
    match dice.below(4) {
        0 => bytes[at] ^= 1 << dice.below(8),
        1 => bytes.truncate(at),
        2 => bytes.extend_from_within(at..),
        _ => {
            let number = (*pick(dice, &NUMBERS)).to_le_bytes();
            let end = bytes.len().min(at / 8 * 8 + 8);
            bytes.splice(at / 8 * 8..end, number);
        }
    }
    bytes
}

/// Changes a value of the header, which may then contradict the file.
fn change_header(bytes: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let split = |bytes: &[u8]| {
        let len = u64::from_le_bytes(*bytes.first_chunk()?);
        let end = usize::try_from(len).ok()?.checked_add(8)?;
        let header = serde_json::from_slice::<Value>(bytes.get(8..end)?).ok()?;
        Some((header, end))
    };
    let Some((mut header, end)) = split(&bytes) else {
        return change_bytes(bytes, dice);
    };
    change_value(&mut header, dice);
    let text = header.to_string();
    let mut changed = (text.len() as u64).to_le_bytes().to_vec();
    changed.extend(text.bytes());
    changed.extend(&bytes[end..]);
    changed
}

/// Changes a value somewhere in a document.
fn change_value(value: &mut Value, dice: &mut Dice) {
    match value {
        Value::Object(map) if !map.is_empty() && dice.below(8) > 0 => {
            let keys: Vec<String> = map.keys().cloned().collect();
            let key = pick(dice, &keys);
            match dice.below(12) {
                0 => drop(map.remove(key)),
                1 => {
                    let (other, value) = (pick(dice, &keys), map[key].clone());
                    map.insert(other.clone(), value);
                }
                _ => change_value(&mut map[key], dice),
            }
        }
        Value::Array(values) if !values.is_empty() && dice.below(8) > 0 => {
            let at = dice.below(values.len());
            match dice.below(8) {
                0 => drop(values.remove(at)),
                1 => values.push(values[at].clone()),
                _ => change_value(&mut values[at], dice),
            }
        }
        Value::String(text) if dice.below(4) > 0 => *text = change_text(text, dice),
        Value::Number(number) if dice.below(3) == 0 => {
            let number = number.as_i64().unwrap_or(1);
            *value = number.wrapping_add(1 - 2 * dice.below(2) as i64).into();
        }
        other => {
            *other = match dice.below(9) {
                0 => Value::Null,
                1 => Value::Bool(true),
                2 => Value::String("\u{1b}[2J\u{202e}".to_owned()),
                3 => Value::Array(Vec::new()),
                4 => serde_json::json!({}),
                5 | 6 => serde_json::json!(*pick(dice, &FLOATS)),
                _ => (*pick(dice, &NUMBERS)).into(),
            }
        }
    }
}

/// Changes a text: JSON as a document, any other text by lines, as a configuration.
fn change_text(text: &str, dice: &mut Dice) -> String {
    if let Ok(mut document) = serde_json::from_str::<Value>(text) {
        change_value(&mut document, dice);
        return document.to_string();
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return "x = 1\n".to_owned();
    }
    let (at, other) = (dice.below(lines.len()), dice.below(lines.len()));
    let value = |line: &str| Some(line.split_once('=')?.1.trim().to_owned());
    let new = match dice.below(8) {
        0 => Some("[]".to_owned()),
        1 => Some("\"lstmp\"".to_owned()),
        2 => Some("true".to_owned()),
        3 => value(&lines[other]),
        4 => Some(format!("{}.5", dice.below(100))),
        _ => Some(pick(dice, &NUMBERS).to_string()),
    };
    match (lines[at].split_once('='), new) {
        (Some((key, _)), Some(new)) if dice.below(6) > 0 => lines[at] = format!("{key}= {new}"),
        _ if dice.below(2) == 0 => drop(lines.remove(at)),
        _ => {
            let line = lines[other].clone();
            lines.insert(at, line);
        }
    }
    lines.join("\n") + "\n"
}

/// Changes tensors or texts and writes a well-formed file. `None` if the file cannot be read or written.
fn change_contents(bytes: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let mut texts: HashMap<String, String> = header.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(bytes).ok()?;
    let part = |(name, view): (&str, TensorView<'_>)| -> Part {
        (
            name.to_owned(),
            view.dtype(),
            view.shape().to_vec(),
            view.data().to_vec(),
        )
    };
    let mut parts: Vec<Part> = file.iter().map(part).collect();
    parts.sort_by(|one, other| one.0.cmp(&other.0));
    if parts.is_empty() || dice.below(3) == 0 {
        let mut names: Vec<String> = texts.keys().cloned().collect();
        names.sort();
        let name = names.get(dice.below(names.len().max(1)))?;
        match dice.below(10) {
            0 => drop(texts.remove(name)),
            _ => {
                let changed = change_text(&texts[name], dice);
                texts.insert(name.clone(), changed);
            }
        }
    } else {
        change_parts(&mut parts, dice);
        // The library that writes the file does not allow duplicate names.
        parts.sort_by(|one, other| one.0.cmp(&other.0));
        parts.dedup_by(|one, other| one.0 == other.0);
    }
    let views = parts.iter().map(|(name, dtype, shape, bytes)| {
        Some((name, TensorView::new(*dtype, shape.clone(), bytes).ok()?))
    });
    safetensors::serialize(views.collect::<Option<Vec<_>>>()?, Some(texts)).ok()
}

/// Changes one tensor or the list of them.
fn change_parts(parts: &mut Vec<Part>, dice: &mut Dice) {
    let (at, other) = (dice.below(parts.len()), dice.below(parts.len()));
    match dice.below(9) {
        0 => drop(parts.swap_remove(at)),
        1 => {
            let name = parts[other].0.clone();
            parts[other].0 = std::mem::replace(&mut parts[at].0, name);
        }
        2 => {
            let (_, dtype, shape, bytes) = parts[at].clone();
            parts.push((format!("{}.1", parts[other].0), dtype, shape, bytes));
        }
        3 => parts[at].0 = format!("ema.{}", parts[other].0),
        4 => parts[at].2.reverse(),
        5 => {
            let (_, dtype, _, bytes) = &mut parts[at];
            if *dtype == Dtype::F32 && !bytes.is_empty() {
                let place = dice.below(bytes.len() / 4) * 4;
                bytes.splice(place..place + 4, pick(dice, &REALS).to_le_bytes());
            } else {
                *bytes = change_bytes(std::mem::take(bytes), dice);
                parts[at].2 = vec![parts[at].3.len()];
            }
        }
        6 => {
            let (_, dtype, shape, bytes) = &mut parts[at];
            *dtype = *pick(dice, &[Dtype::F32, Dtype::U8, Dtype::F16, Dtype::I64]);
            fill(*dtype, shape, bytes);
        }
        _ => {
            let (_, dtype, shape, bytes) = &mut parts[at];
            match dice.below(4) {
                0 => shape.push(1 + dice.below(2)),
                1 => drop(shape.pop()),
                _ if shape.is_empty() => shape.push(2),
                _ => {
                    let axis = dice.below(shape.len());
                    let size = shape[axis];
                    shape[axis] = *pick(
                        dice,
                        &[
                            0,
                            1,
                            size.saturating_add(1),
                            size.max(1) - 1,
                            size.saturating_mul(2),
                        ],
                    );
                }
            }
            fill(*dtype, shape, bytes);
        }
    }
}

/// The number of bytes that a shape needs. The old bytes are repeated.
fn fill(dtype: Dtype, shape: &[usize], bytes: &mut Vec<u8>) {
    let elements = shape
        .iter()
        .fold(1, |all: usize, size| all.saturating_mul(*size));
    let len = elements.min(1 << 20) * dtype.bitsize() / 8;
    let source = if bytes.is_empty() {
        vec![0]
    } else {
        std::mem::take(bytes)
    };
    *bytes = source.into_iter().cycle().take(len).collect();
}
