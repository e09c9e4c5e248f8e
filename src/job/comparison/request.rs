//! Starts a comparison, or resumes one.

use std::path::{Path, PathBuf};

use super::budget::Budget;
use super::equal::Equal;
use super::folder::ComparisonFolder;
use super::models::{Model, Sources, models, with_other_tokens, with_seeds};
use super::record::{ComparisonSpec, ModelSpec};
use crate::config::{Automatic, Config};
use crate::corpus::TokenCache;
use crate::device::ExecutorOptions;
use crate::error::{Error, Result};
use crate::job::text::Caching;
use crate::report::RunData;

/// A comparison to run.
pub struct Comparison {
    pub(super) spec: ComparisonSpec,
    pub(super) models: Vec<Model>,
    /// The folder, if the comparison is resumed.
    pub(super) folder: Option<ComparisonFolder>,
    /// The quantity to make equal. The sizes are chosen when the vocabularies are known.
    pub(super) equal: Option<Equal>,
    /// Overrides of the configurations, for messages.
    pub(super) overrides: Vec<String>,
    pub(super) options: ExecutorOptions,
    pub(super) caching: Caching,
}

/// The options of a new comparison.
#[derive(Clone, Debug)]
pub struct BeginOptions {
    /// The configuration files, at least one.
    pub configs: Vec<PathBuf>,
    /// Cells with their keys, for example `flstm:factor=64`. One string may contain several, separated by
    /// commas.
    pub variants: Vec<String>,
    /// Overrides `KEY=VALUE`. Several values, separated by commas, give one model each.
    pub overrides: Vec<String>,
    /// The seed of all random numbers. None: those of the configurations.
    pub seed: Option<u64>,
    /// The number of seeds of each model, at least 1: `train.seed`, `train.seed + 1` and so on.
    pub seeds: u64,
    /// Chooses `model.hidden` of each model so that it equals the first one. `None`: the values of the configurations.
    pub equal: Option<Equal>,
    /// The budget of each model. None: the limits in the configurations.
    pub budget: Option<Budget>,
    /// The device, as `--device` names it. The default is `auto`.
    pub device: String,
}

impl Default for BeginOptions {
    fn default() -> BeginOptions {
        BeginOptions {
            configs: Vec::new(),
            variants: Vec::new(),
            overrides: Vec::new(),
            seed: None,
            seeds: 1,
            equal: None,
            budget: None,
            device: "auto".to_owned(),
        }
    }
}

impl Comparison {
    /// Starts a new comparison.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if there is no configuration, for a configuration or a variant that cannot be used, for models whose
    /// perplexities cannot be compared, and if no budget is given and the configurations have different limits.
    pub fn begin(options: BeginOptions) -> Result<Comparison> {
        if options.configs.is_empty() {
            return Err(Error::usage("there is no configuration to compare")
                .help("give at least one configuration file"));
        }
        let seed = options.seed.map(|seed| format!("train.seed={seed}"));
        let limits = options.budget.iter().flat_map(Budget::sets);
        let more: Vec<String> = seed.into_iter().chain(limits).collect();
        let mut models = models(&Sources {
            files: &options.configs,
            variants: &options.variants,
            sets: &options.overrides,
            more: &more,
            solves_hidden: options.equal.is_some(),
        })?;
        if options.equal.is_some() && models.len() < 2 {
            return Err(
                Error::usage("there is only one model, so nothing can equal it")
                    .help("give several cells with --variants, or leave --equal out"),
            );
        }
        if let Some(budget) = &options.budget {
            check_words(budget, &models)?;
            models
                .iter_mut()
                .for_each(|model| budget.apply(&mut model.config));
        }
        let budget = match options.budget {
            Some(budget) => budget,
            None => own_budget(&models)?,
        };
        let streams = agree_on_streams(&mut models);
        if options.seeds > 1 {
            models = with_seeds(models, options.seeds)?;
        }
        let models_of_record = models.iter().map(|model| ModelSpec {
            label: model.label.clone(),
            model: model.model.clone(),
            folder: model.folder.clone(),
            file: model.file.clone(),
            config: model.config.to_toml(),
        });
        let spec = ComparisonSpec {
            device: options.device,
            budget,
            streams,
            equal: options.equal,
            models: models_of_record.collect(),
        };
        let comparison = Comparison::new(spec, None, options.overrides)?;
        Ok(Comparison {
            equal: options.equal,
            ..comparison
        })
    }

    /// Resumes the comparison in `folder`, by default the newest in `runs`. `budget` replaces its budget.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is none, [`Kind::Usage`](crate::error::Kind::Usage)
    /// if `device` is neither the device of the comparison nor `auto`.
    pub fn resume(
        folder: Option<&Path>,
        budget: Option<Budget>,
        device: &str,
    ) -> Result<Comparison> {
        let (folder, mut spec) = ComparisonFolder::open(folder, Path::new(""))?;
        if let Some(budget) = budget {
            check_words(&budget, &spec.models()?)?;
            spec.change(budget)?;
        }
        // `auto` is the default of the command line, so it is not a request for another device.
        if device != "auto" && device != spec.device {
            return Err(Error::usage(format!(
                "the device of this comparison is `{}`: speeds on different devices cannot be compared",
                spec.device
            ))
            .help("leave --device out, or start a new comparison without --resume"));
        }
        Comparison::new(spec, Some(folder), Vec::new())
    }

    fn new(
        spec: ComparisonSpec,
        folder: Option<ComparisonFolder>,
        overrides: Vec<String>,
    ) -> Result<Comparison> {
        let models = spec.models()?;
        for model in &models {
            model.config.check_limits()?;
        }
        Ok(Comparison {
            spec,
            models,
            folder,
            equal: None,
            overrides,
            options: ExecutorOptions::default(),
            caching: Caching::default(),
        })
    }

    /// Opens the device with these options.
    pub fn executor_options(mut self, options: ExecutorOptions) -> Comparison {
        self.options = options;
        self
    }

    /// Keeps the tokens of texts in this cache, or nowhere. The default is [`TokenCache::of_user`].
    pub fn token_cache(mut self, cache: Option<TokenCache>) -> Comparison {
        self.caching = Caching::In(cache);
        self
    }
}

/// Sets the number of validation streams of all models to the smallest of their numbers, because perplexities with different
/// numbers of streams cannot be compared. Returns the number.
fn agree_on_streams(models: &mut [Model]) -> usize {
    let of_model = |model: &Model| model.config.train.validation_streams();
    let streams = models.iter().map(of_model).min().unwrap_or(1);
    for model in models.iter_mut().filter(|model| of_model(model) != streams) {
        model.config.train.validate_streams = Automatic::Given(streams as u64);
    }
    streams
}

/// Refuses a number of words for models of different tokens: it counts tokens, so it would not be the same amount of text.
fn check_words(budget: &Budget, models: &[Model]) -> Result<()> {
    match (budget, with_other_tokens(models)) {
        (Budget::Words(_), Some(other)) => Err(Error::usage(format!(
            "--words counts tokens, but `{}` and `{}` have different tokens: they would train on different amounts of text",
            models[0].row(),
            other.row()
        ))
        .help("use --epochs or --seconds")),
        _ => Ok(()),
    }
}

/// The limits of a configuration: epochs, steps and seconds.
fn limits(config: &Config) -> (u64, u64, f64) {
    let train = &config.train;
    (train.epochs, train.steps, train.seconds)
}

/// The limits of the configurations, which must be the same.
fn own_budget(models: &[Model]) -> Result<Budget> {
    let first = limits(&models[0].config);
    if models.iter().any(|model| limits(&model.config) != first) {
        return Err(Error::usage(
            "the configurations have different training limits, so their models cannot be compared",
        )
        .help("give one budget for all: --seconds, --steps, --epochs or --words"));
    }
    models[0].config.check_limits()?;
    let (epochs, steps, seconds) = first;
    Ok(Budget::Own {
        epochs,
        steps,
        seconds,
    })
}

/// The runs of the comparison in a folder. None if there is no comparison.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if its record cannot be used.
pub fn runs_of(path: &Path) -> Result<Option<Vec<RunData>>> {
    if !ComparisonFolder::is_one(path) {
        return Ok(None);
    }
    let (folder, spec) = ComparisonFolder::open(Some(path), path)?;
    Ok(Some(runs(&spec.models()?, &folder, |_| false)))
}

/// The data of all runs; empty until one has started. For a run that has not started, only the configuration and the sizes are
/// known, and whether the model of that position has failed.
pub(super) fn runs(
    models: &[Model],
    folder: &ComparisonFolder,
    has_failed: impl Fn(usize) -> bool,
) -> Vec<RunData> {
    let read: Vec<_> = models
        .iter()
        .map(|model| RunData::read(&folder.run(&model.folder)).ok())
        .collect();
    // Models with the same settings of the text have the same vocabulary.
    let words_of = |config: &Config| {
        let same = read
            .iter()
            .flatten()
            .find(|run| run.config.data == config.data);
        let any = || read.iter().flatten().next();
        same.or_else(any).map(RunData::vocabulary_size)
    };
    let words: Option<Vec<usize>> = models.iter().map(|model| words_of(&model.config)).collect();
    let Some(words) = words else {
        return Vec::new();
    };
    let runs = models.iter().zip(read).enumerate();
    let runs = runs.map(|(k, (model, run))| match run {
        Some(run) => RunData {
            label: model.label.clone(),
            model: model.model.clone(),
            has_old_limits: limits(&run.config) != limits(&model.config),
            ..run
        },
        None => RunData {
            model: model.model.clone(),
            ..RunData::without_steps(
                folder.run(&model.folder),
                model.label.clone(),
                model.config.clone(),
                words[k],
                has_failed(k),
            )
        },
    });
    runs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_comparison_needs_a_configuration() {
        let error = Comparison::begin(BeginOptions::default()).err();
        assert_eq!(error.map(|error| error.kind()), Some(Kind::Usage));
    }
}
