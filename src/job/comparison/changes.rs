//! The changes that a comparison makes to a configuration: variants of cells, and values of keys.

use crate::cell::{CELLS, find, names};
use crate::error::{Error, Result};
use crate::job::origin::key_of;
use crate::printable::printable;

/// The changes of a model to its configuration file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelChange {
    /// Its label: the cell and the values.
    pub label: String,
    /// The overrides, as `section.key=value`.
    pub sets: Vec<String>,
}

/// The variants, given as texts that may have several, separated by commas; without any, the configuration as it is.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if one is not a cell with keys.
pub fn variants(given: &[String]) -> Result<Vec<ModelChange>> {
    if given.is_empty() {
        return Ok(vec![ModelChange::default()]);
    }
    let texts = given.iter().flat_map(|text| split(text, ','));
    texts.map(variant).collect()
}

/// Parses a variant: a cell, then `KEY=VALUE` parts, separated by colons.
fn variant(text: &str) -> Result<ModelChange> {
    let examples: Vec<String> = CELLS
        .iter()
        .map(|kind| match kind.size_key() {
            Some(key) => format!("{}:{}={}", kind.name(), key.name(), key.example),
            None => kind.name().to_owned(),
        })
        .collect();
    let wrong = |what: &str| {
        Error::usage(format!("`--variants`: `{text}` {what}")).help(format!(
            "give cells with their keys: {}; a key without a section belongs to [model]",
            examples.join(",")
        ))
    };
    let mut parts = split(text, ':').into_iter();
    let cell = parts.next().unwrap_or_default().trim();
    if let Some((cell, value)) = cell.split_once('=')
        && let Some(kind) = find(cell.trim())
        && let Some(key) = kind.size_key()
    {
        return Err(wrong(&format!(
            "gives a value to a cell: did you mean {}:{}={}?",
            kind.name(),
            key.name(),
            value.trim()
        )));
    }
    if find(cell).is_none() {
        return Err(wrong(&format!("does not begin with a cell: {}", names())));
    }
    let mut change = ModelChange {
        label: cell.to_owned(),
        sets: vec![format!("model.cell={cell}")],
    };
    for part in parts {
        let Some((key, value)) = part.split_once('=') else {
            return Err(wrong("has a part that is not KEY=VALUE"));
        };
        let (key, value) = (key.trim(), value.trim());
        let full = if key.contains('.') {
            key.to_owned()
        } else {
            format!("model.{key}")
        };
        if change.sets.iter().any(|set| key_of(set) == full) {
            return Err(wrong(&format!("has `{key}` twice")));
        }
        change.label += &printable(&format!(" {key}={value}"));
        change.sets.push(format!("{full}={value}"));
    }
    Ok(change)
}

/// The keys whose values are paths, in which a comma may be part of a name.
const PATHS: [&str; 4] = ["data.train", "data.valid", "data.test", "data.vocab"];

/// Every combination of the values of the overrides that have several.
pub fn sweeps(sets: &[String]) -> Vec<ModelChange> {
    let mut sweeps = vec![ModelChange::default()];
    for set in sets {
        let values = match set.split_once('=') {
            Some((key, values)) if !PATHS.contains(&key.trim()) => split(values, ','),
            _ => vec![],
        };
        let Some((key, _)) = set.split_once('=').filter(|_| values.len() > 1) else {
            sweeps
                .iter_mut()
                .for_each(|sweep| sweep.sets.push(set.clone()));
            continue;
        };
        let key = key.trim();
        let short = key.rsplit('.').next().unwrap_or(key);
        sweeps = sweeps
            .iter()
            .flat_map(|sweep| {
                values.iter().map(|value| {
                    let value = value.trim();
                    let mut sweep = sweep.clone();
                    let space = if sweep.label.is_empty() { "" } else { " " };
                    sweep.label += &printable(&format!("{space}{short}={value}"));
                    sweep.sets.push(format!("{key}={value}"));
                    sweep
                })
            })
            .collect();
    }
    sweeps
}

/// Splits a text at separators outside brackets and quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut quote, mut start) = (0, None, 0);
    let mut parts = Vec::new();
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') => depth -= 1,
            (None, c) if c == separator && depth <= 0 => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_in_brackets_stay_together() {
        assert_eq!(split("a,[1,2],'x,y',b", ','), ["a", "[1,2]", "'x,y'", "b"]);
        assert_eq!(split("", ','), [""]);
        assert_eq!(split("]x,y", ','), ["]x", "y"]);
    }

    #[test]
    fn values_are_combined() {
        let sets = ["model.groups=2,4", "train.batch=8", "train.unroll=5,10"].map(str::to_owned);
        let found = sweeps(&sets);
        let labels: Vec<&str> = found.iter().map(|sweep| sweep.label.as_str()).collect();
        let expected = [
            "groups=2 unroll=5",
            "groups=2 unroll=10",
            "groups=4 unroll=5",
            "groups=4 unroll=10",
        ];
        assert_eq!(labels, expected);
        assert_eq!(
            found[1].sets,
            ["model.groups=2", "train.batch=8", "train.unroll=10"]
        );
        for path in PATHS {
            let files = [format!("{path}=a,b.txt")];
            assert_eq!(sweeps(&files)[0].sets, files);
        }
        let tokens = sweeps(&["data.tokens=characters,bpe".to_owned()]);
        let labels: Vec<&str> = tokens.iter().map(|sweep| sweep.label.as_str()).collect();
        assert_eq!(labels, ["tokens=characters", "tokens=bpe"]);
        assert_eq!(tokens[1].sets, ["data.tokens=bpe"]);
        assert_eq!(sweeps(&["model.groups=[2,4]".to_owned()]).len(), 1);
    }

    #[test]
    fn variants_are_cells_with_keys() {
        let found = variant("glstm:groups=[4,8]:train.batch=64").unwrap();
        assert_eq!(found.label, "glstm groups=[4,8] train.batch=64");
        assert_eq!(
            found.sets,
            ["model.cell=glstm", "model.groups=[4,8]", "train.batch=64"]
        );
        for wrong in [
            "gru",
            "",
            "factor=64",
            "flstm:64",
            "glstm:groups=2:groups=4",
            "glstm:groups=2:model.groups=4",
        ] {
            assert!(variant(wrong).is_err(), "{wrong}");
        }
    }
}
