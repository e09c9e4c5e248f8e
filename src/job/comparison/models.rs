//! The models of a comparison. Each has a label and a folder.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::changes::{self, ModelChange, sweeps};
use super::equal::MULTIPLE;
use crate::checkpoint::run_name;
use crate::config::{Config, Tokens};
use crate::error::{Error, Result};
use crate::job::origin::key_of;
use crate::printable::printable;
use crate::report::{Measure, measure};

/// A model of a comparison.
#[derive(Clone, Debug)]
pub struct Model {
    /// The label in tables: how it differs from the other models.
    pub label: String,
    /// With several seeds: the label without the seed, the same for all runs of the model. Otherwise `None`.
    pub model: Option<String>,
    /// The folder of its run, relative to that of the comparison.
    pub folder: String,
    /// The configuration file it comes from.
    pub file: PathBuf,
    /// Its configuration.
    pub config: Config,
}

impl Model {
    /// The label of its row in the table, the same for all seeds of the model.
    pub fn row(&self) -> &str {
        self.model.as_ref().unwrap_or(&self.label)
    }
}

/// The first model whose tokens are not those of the first one: tokens of another kind, or subwords of another vocabulary.
pub fn with_other_tokens(models: &[Model]) -> Option<&Model> {
    let first = &models.first()?.config.data;
    models.iter().find(|model| {
        let data = &model.config.data;
        let are_subwords = data.tokens == Tokens::Bpe;
        data.tokens != first.tokens
            || (are_subwords && measure(first, data) != Ok(Measure::Perplexity))
    })
}

/// The models that take turns: all, or all with the same seed.
pub fn rounds(models: &[Model]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let is_same = |one: &Model, other: &Model| {
        one.model.is_none() || one.config.train.seed == other.config.train.seed
    };
    models.chunk_by(is_same).map(move |round| {
        let range = start..start + round.len();
        start = range.end;
        range
    })
}

/// What the models of a comparison are made from.
pub struct Sources<'a> {
    /// The configuration files.
    pub files: &'a [PathBuf],
    /// Cells with their keys.
    pub variants: &'a [String],
    /// Overrides, which may have several values.
    pub sets: &'a [String],
    /// Overrides of all models, which apply last.
    pub more: &'a [String],
    /// Whether `model.hidden` of all models but the first is chosen later. Their own values may then be invalid for their cells.
    pub solves_hidden: bool,
}

/// The models: every configuration with every variant and every combination of the values of overrides that have several.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) for an invalid variant or configuration, and for models that cannot be compared.
pub fn models(sources: &Sources<'_>) -> Result<Vec<Model>> {
    let Sources {
        files, sets, more, ..
    } = *sources;
    let variants = changes::variants(sources.variants)?;
    check_keys(&variants, sets)?;
    if sources.solves_hidden {
        check_hidden(&variants, sets)?;
    }
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
                let loaded = if sources.solves_hidden && !models.is_empty() {
                    load_with_any_hidden(file, &all)
                } else {
                    Config::load(file, &all)
                };
                let config = loaded
                    .map_err(|error| error.context(format!("`{label}` cannot be trained")))?;
                models.push(Model {
                    folder: String::new(),
                    file: file.clone(),
                    label,
                    model: None,
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

/// The configuration, with another `model.hidden` if its cells do not accept its own.
fn load_with_any_hidden(file: &Path, sets: &[String]) -> Result<Config> {
    /// The largest multiple of [`MULTIPLE`] that is tried.
    const TIMES: usize = 128;
    let own = Config::load(file, sets);
    let other = |times: usize| {
        let hidden = format!("model.hidden={}", MULTIPLE * times);
        Config::load(file, &[sets, &[hidden]].concat()).ok()
    };
    own.or_else(|error| (1..=TIMES).find_map(other).ok_or(error))
}

/// Refuses sizes of a layer if the comparison chooses them.
fn check_hidden(variants: &[ModelChange], sets: &[String]) -> Result<()> {
    const KEY: &str = "model.hidden";
    let mut of_variants = variants.iter().flat_map(|variant| &variant.sets);
    let by = if of_variants.any(|set| key_of(set) == KEY) {
        "--variants"
    } else if sets
        .iter()
        .any(|set| key_of(set) == KEY && sweeps(std::slice::from_ref(set)).len() > 1)
    {
        "several values of --set"
    } else {
        return Ok(());
    };
    Err(
        Error::usage(format!("`{KEY}` is given by {by}, but --equal chooses it")).help(
            "leave out --equal or these values; --set with one value sets the size of the first model",
        ),
    )
}

/// Refuses models of different texts.
fn check_texts(models: &[Model]) -> Result<()> {
    let Some((first, others)) = models.split_first() else {
        return Ok(());
    };
    for model in others {
        let (one, other) = (&first.config.data, &model.config.data);
        let what = match measure(one, other) {
            Err(key) => format!("data.{key}: they cannot be compared"),
            // With the same vocabulary, models of other training texts predict the same tokens.
            Ok(Measure::BitsPerByte) if other.train != one.train => {
                "data.train: they do not learn from the same text".to_owned()
            }
            Ok(_) => continue,
        };
        return Err(Error::usage(format!(
            "`{}` and `{}` differ in {what}",
            first.label, model.label
        ))
        .help("compare models of the same text; show others side by side with `wlstm report`"));
    }
    Ok(())
}

/// Every model with `count` consecutive seeds from its own `train.seed` on: all models with the first seed, then all with the next.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if the models begin with different seeds, or a seed is too large.
pub fn with_seeds(models: Vec<Model>, count: u64) -> Result<Vec<Model>> {
    let seed = |model: &Model| model.config.train.seed;
    if let Some(other) = models.iter().find(|model| seed(model) != seed(&models[0])) {
        return Err(Error::usage(format!(
            "`{}` and `{}` differ in train.seed, but --seeds gives all models the same seeds",
            models[0].label, other.label
        ))
        .help("leave --seeds out, or give one seed for all with --seed"));
    }
    let mut all = Vec::new();
    for k in 0..count {
        for model in &models {
            // TOML has no larger integer.
            let seed = seed(model)
                .checked_add(k)
                .filter(|seed| *seed <= i64::MAX as u64);
            let seed = seed.ok_or_else(|| {
                Error::usage("the last of --seeds is too large").help("choose a smaller --seed")
            })?;
            let mut own = Model {
                label: format!("{}, seed {seed}", model.label),
                model: Some(model.label.clone()),
                ..model.clone()
            };
            own.config.train.seed = seed;
            all.push(own);
        }
    }
    make_unique(&mut all);
    Ok(all)
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
