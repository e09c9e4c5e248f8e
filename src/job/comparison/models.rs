//! The models of a comparison: configurations, combined with variants of cells and values of keys. Each has a label and a folder.

use std::path::{Path, PathBuf};

use crate::cell::{CELLS, find, names};
use crate::checkpoint::run_name;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::job::origin::key_of;
use crate::report::printable;

/// A model of a comparison.
#[derive(Clone, Debug)]
pub struct Model {
    /// The label in tables: how it differs from the other models.
    pub label: String,
    /// The folder of its run, relative to that of the comparison.
    pub folder: String,
    /// The configuration file it comes from.
    pub file: PathBuf,
    /// Its configuration.
    pub config: Config,
}

/// The changes of a model to its configuration file.
#[derive(Clone, Debug, Default, PartialEq)]
struct Change {
    label: String,
    sets: Vec<String>,
}

/// The models: every configuration with every variant and every combination of the values of overrides that have several. The
/// overrides `more` apply to all models, last.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) for an invalid variant or configuration, and for models whose perplexities
/// cannot be compared.
pub fn models(
    files: &[PathBuf],
    variants: &[String],
    sets: &[String],
    more: &[String],
) -> Result<Vec<Model>> {
    let variants = match variants {
        [] => vec![Change::default()],
        given => given
            .iter()
            .flat_map(|text| split(text, ','))
            .map(variant)
            .collect::<Result<Vec<_>>>()?,
    };
    check_keys(&variants, sets)?;
    let sweeps = sweeps(sets);
    let mut models: Vec<Model> = Vec::new();
    for file in files {
        let name = match files.len() {
            1 => String::new(),
            // Files of the same name are distinguished by their folders.
            _ => match files
                .iter()
                .filter(|other| run_label(other) == run_label(file))
                .count()
            {
                1 => run_label(file),
                _ => printable(&file.display().to_string()),
            },
        };
        for variant in &variants {
            for sweep in &sweeps {
                let parts = [&name, &variant.label, &sweep.label];
                let parts: Vec<&str> = parts
                    .into_iter()
                    .map(String::as_str)
                    .filter(|part| !part.is_empty())
                    .collect();
                let label = if parts.is_empty() {
                    run_label(file)
                } else {
                    parts.join(", ")
                };
                let all = [&variant.sets[..], &sweep.sets, more].concat();
                let config = Config::load(file, &all)
                    .map_err(|error| error.context(format!("`{label}` cannot be trained")))?;
                models.push(Model {
                    folder: String::new(),
                    file: file.clone(),
                    label,
                    config,
                });
            }
        }
    }
    check_texts(&models)?;
    make_unique(&mut models);
    Ok(models)
}

/// Refuses a key with two values, because the table would show one that has no effect.
fn check_keys(variants: &[Change], sets: &[String]) -> Result<()> {
    for variant in variants {
        let clash = |set: &&String| sets.iter().any(|other| key_of(other) == key_of(set));
        if let Some(set) = variant.sets.iter().find(clash) {
            let key = key_of(set);
            return Err(
                Error::usage(format!("`{key}` is given by both --variants and --set"))
                    .help("leave one of them out"),
            );
        }
    }
    let twice = |k: usize| {
        sets[..k]
            .iter()
            .any(|other| key_of(other) == key_of(&sets[k]))
    };
    match (1..sets.len()).find(|&k| twice(k)) {
        None => Ok(()),
        Some(k) => Err(
            Error::usage(format!("`{}` is given by --set twice", key_of(&sets[k])))
                .help("to compare several values, give them in one --set: model.groups=2,4"),
        ),
    }
}

/// Refuses models with different vocabularies or validation texts.
fn check_texts(models: &[Model]) -> Result<()> {
    let Some((first, others)) = models.split_first() else {
        return Ok(());
    };
    let one = &first.config.data;
    for model in others {
        let data = &model.config.data;
        let differ = [
            ("order", data.order != one.order),
            ("tokens", data.tokens != one.tokens),
            ("vocab", data.vocab != one.vocab),
            ("vocab_size", data.vocab_size != one.vocab_size),
            ("min_count", data.min_count != one.min_count),
            // Without a vocabulary file, the vocabulary is counted in the training text.
            ("train", data.vocab.is_none() && data.train != one.train),
            ("valid", data.valid != one.valid),
            ("valid_share", data.valid_share != one.valid_share),
        ];
        if let Some((key, _)) = differ.iter().find(|(_, differs)| *differs) {
            return Err(Error::usage(format!(
                "`{}` and `{}` differ in data.{key}: their perplexities cannot be compared",
                first.label, model.label
            ))
            .help("compare models with the same text and vocabulary, others with `wlstm report`"));
        }
    }
    Ok(())
}

/// Gives each model a unique label and a unique folder.
fn make_unique(models: &mut [Model]) {
    for k in 0..models.len() {
        let (before, rest) = models.split_at_mut(k);
        let own = &mut rest[0];
        let base = own.label.clone();
        let mut number = 2;
        while before.iter().any(|model| model.label == own.label) {
            own.label = format!("{base} ({number})");
            number += 1;
        }
        let is_plain = |c: char| c.is_alphanumeric() || ".-_".contains(c);
        let plain = |c: char| if is_plain(c) { c } else { ' ' };
        let words: String = own.label.chars().map(plain).collect();
        let base = words.split_whitespace().collect::<Vec<_>>().join("-");
        own.folder = base.clone();
        let mut number = 2;
        while before.iter().any(|model| model.folder == own.folder) {
            own.folder = format!("{base}-{number}");
            number += 1;
        }
    }
}

/// The label of the runs of a configuration file.
fn run_label(file: &Path) -> String {
    printable(&run_name(file))
}

/// Parses a variant: a cell, then `KEY=VALUE` parts, separated by colons.
fn variant(text: &str) -> Result<Change> {
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
    let mut change = Change {
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

/// Every combination of the values of the overrides that have several.
fn sweeps(sets: &[String]) -> Vec<Change> {
    let mut sweeps = vec![Change::default()];
    for set in sets {
        let values = match set.split_once('=') {
            // File names may contain commas.
            Some((key, values)) if !key.trim().starts_with("data.") => split(values, ','),
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
        let files = ["data.train=a,b.txt".to_owned()];
        assert_eq!(sweeps(&files)[0].sets, files);
        assert_eq!(sweeps(&["model.groups=[2,4]".to_owned()]).len(), 1);
    }

    #[test]
    fn no_key_has_two_values() {
        let variants = [variant("glstm:groups=4").unwrap()];
        for (sets, is_right) in [
            (&["model.hidden=64"][..], true),
            (&["model.groups=2,8"], false),
            (&["model.cell=lstmp"], false),
            (&["train.batch=2", "train.batch=4"], false),
            (&["train.batch=2", "train.unroll=4"], true),
        ] {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            assert_eq!(check_keys(&variants, &sets).is_ok(), is_right, "{sets:?}");
        }
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
