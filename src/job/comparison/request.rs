//! What is compared: begun, or as it was begun.

use std::path::{Path, PathBuf};

use super::models::{Model, models};
use super::record::{Budget, ComparisonFolder, ComparisonSpec, ModelSpec};
use crate::config::Config;
use crate::device::ExecutorOptions;
use crate::error::{Error, Result};
use crate::report::RunData;
use crate::train::schedule;

/// A comparison that is to be run.
pub struct Comparison {
    pub(super) spec: ComparisonSpec,
    pub(super) models: Vec<Model>,
    /// The folder, if it was begun.
    pub(super) folder: Option<ComparisonFolder>,
    /// Overrides of the configurations, for messages.
    pub(super) overrides: Vec<String>,
    pub(super) options: ExecutorOptions,
}

/// What a new comparison compares.
#[derive(Clone, Debug, Default)]
pub struct BeginOptions {
    /// The configuration files.
    pub configs: Vec<PathBuf>,
    /// Cells with their keys, as `flstm:factor=64`; several in one text stand between commas.
    pub variants: Vec<String>,
    /// Overrides `KEY=VALUE`. Several values between commas make a model for each.
    pub overrides: Vec<String>,
    /// The key of every random number, if not that of the configurations.
    pub seed: Option<u64>,
    /// What each model is trained for, if not what the configurations say.
    pub budget: Option<Budget>,
    /// The device, as `--device` names it.
    pub device: String,
}

impl Comparison {
    /// A new comparison.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) for a configuration or a variant that cannot be used, for models whose
    /// perplexities cannot be compared, and if no budget is given and the configurations have different limits.
    pub fn begin(options: BeginOptions) -> Result<Comparison> {
        let seed = options.seed.map(|seed| format!("train.seed={seed}"));
        let limits = options.budget.iter().flat_map(Budget::sets);
        let more: Vec<String> = seed.into_iter().chain(limits).collect();
        let mut models = models(
            &options.configs,
            &options.variants,
            &options.overrides,
            &more,
        )?;
        if let Some(budget) = &options.budget {
            models
                .iter_mut()
                .for_each(|model| budget.apply(&mut model.config));
        }
        let budget = match options.budget {
            Some(budget) => budget,
            None => own_budget(&models)?,
        };
        let models_of_record = models.iter().map(|model| ModelSpec {
            label: model.label.clone(),
            folder: model.folder.clone(),
            file: model.file.clone(),
            config: model.config.to_toml(),
        });
        let spec = ComparisonSpec {
            device: options.device,
            budget,
            models: models_of_record.collect(),
        };
        Comparison::new(spec, None, options.overrides)
    }

    /// The comparison in `folder` or, by default, the newest in `runs`, with another budget if one is given.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is none, [`Kind::Usage`](crate::error::Kind::Usage) if `device` is not
    /// the device that it was begun with, nor `auto`.
    pub fn resume(
        folder: Option<&Path>,
        budget: Option<Budget>,
        device: &str,
    ) -> Result<Comparison> {
        let (folder, mut spec) = ComparisonFolder::open(folder, Path::new(""))?;
        if let Some(budget) = budget {
            spec.change(budget)?;
        }
        // The default says nothing of what there was.
        if device != "auto" && device != spec.device {
            return Err(Error::usage(format!(
                "a comparison stays on the device that it was begun with, `{}`: the speeds of two are no comparison",
                spec.device
            ))
            .help("leave --device out, or begin a new one without --resume"));
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
            schedule::check(&model.config)?;
        }
        Ok(Comparison {
            spec,
            models,
            folder,
            overrides,
            options: ExecutorOptions::default(),
        })
    }

    /// Opens the device with these options.
    pub fn executor_options(mut self, options: ExecutorOptions) -> Comparison {
        self.options = options;
        self
    }
}

/// The limit that all configurations have.
fn own_budget(models: &[Model]) -> Result<Budget> {
    let limits = |config: &Config| {
        (
            config.train.epochs,
            config.train.steps,
            config.train.seconds,
        )
    };
    let first = limits(&models[0].config);
    if models.iter().any(|model| limits(&model.config) != first) {
        return Err(Error::usage(
            "the configurations end their trainings differently, which would be no comparison",
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

/// The runs of a comparison, if there is one in this folder.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if its record cannot be used.
pub fn runs_of(path: &Path) -> Result<Option<Vec<RunData>>> {
    if !ComparisonFolder::is_one(path) {
        return Ok(None);
    }
    let (folder, spec) = ComparisonFolder::open(Some(path), path)?;
    Ok(Some(runs(&spec.models()?, &folder)))
}

/// What the folders of all runs say, once one has begun. Of one that has not there are only its sizes.
pub(super) fn runs(models: &[Model], folder: &ComparisonFolder) -> Vec<RunData> {
    let read: Vec<_> = models
        .iter()
        .map(|model| RunData::read(&folder.run(&model.folder)).ok())
        .collect();
    // All have the same words.
    let Some(words) = read.iter().flatten().map(RunData::vocabulary_size).next() else {
        return Vec::new();
    };
    let runs = models.iter().zip(read).map(|(model, run)| match run {
        Some(run) => RunData {
            label: model.label.clone(),
            ..run
        },
        None => RunData::without_steps(
            folder.run(&model.folder),
            model.label.clone(),
            model.config.clone(),
            words,
        ),
    });
    runs.collect()
}
