//! The models of a comparison. Each has a label and a folder.

use std::path::{Path, PathBuf};

use super::changes::{self, ModelChange, sweeps};
use crate::checkpoint::run_name;
use crate::config::{Config, DataConfig};
use crate::error::{Error, Result};
use crate::job::origin::key_of;
use crate::printable::printable;

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
    let variants = changes::variants(variants)?;
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
                _ => printable(&file.display().to_string()).into_owned(),
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
fn check_keys(variants: &[ModelChange], sets: &[String]) -> Result<()> {
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
        let DataConfig {
            order,
            tokens,
            train,
            valid,
            test: _,
            vocab,
            vocab_size,
            min_count,
            shuffle: _,
            valid_share,
            valid_choice,
        } = &model.config.data;
        let differ = [
            ("order", *order != one.order),
            ("tokens", *tokens != one.tokens),
            ("vocab", *vocab != one.vocab),
            ("vocab_size", *vocab_size != one.vocab_size),
            ("min_count", *min_count != one.min_count),
            // Without a vocabulary file, the vocabulary is counted in the training text.
            ("train", vocab.is_none() && *train != one.train),
            ("valid", *valid != one.valid),
            ("valid_share", *valid_share != one.valid_share),
            ("valid_choice", *valid_choice != one.valid_choice),
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
    printable(&run_name(file)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_has_two_values() {
        let variants = changes::variants(&["glstm:groups=4".to_owned()]).unwrap();
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
}
