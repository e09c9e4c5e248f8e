//! The record of a comparison, `compare.json`: models, budget and results.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::equal::Equal;
use super::models::Model;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::printable::printable;
use crate::report::ComparisonRow;

/// A model in `compare.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// The label in tables.
    pub label: String,
    /// With several seeds: the label without the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The folder of the run.
    pub folder: String,
    /// The configuration file, for messages. Not stored in the record.
    #[serde(skip)]
    pub file: PathBuf,
    /// The resolved configuration.
    pub config: String,
}

impl ModelSpec {
    /// Checks that the run is in the folder of the comparison. The record may come from an untrusted source.
    fn check_folder(&self) -> Result<()> {
        let mut parts = Path::new(&self.folder).components();
        if matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(_)), None)
        ) {
            return Ok(());
        }
        Err(Error::data(format!(
            "`{RECORD}` names a run outside of the folder of the comparison, `{}`",
            self.folder
        ))
        .help("start a new comparison"))
    }
}

/// The device, the budget and the models of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparisonSpec {
    /// The device, as `--device` names it.
    pub device: String,
    /// The budget of each model.
    pub budget: Budget,
    /// The number of streams in which every model validates. 0 in records of old versions.
    #[serde(default)]
    pub streams: usize,
    /// The quantity that is equal in all models. Informative only: the configurations have the sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equal: Option<Equal>,
    /// The models. The first is the baseline of the table.
    #[serde(rename = "specs")]
    pub models: Vec<ModelSpec>,
}

impl ComparisonSpec {
    /// The models with parsed configurations.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is no model, or a configuration cannot be used.
    pub fn models(&self) -> Result<Vec<Model>> {
        if self.models.is_empty() {
            return Err(Error::data("the comparison has no models").help("start a new comparison"));
        }
        let model = |spec: &ModelSpec| {
            spec.check_folder()?;
            let config = Config::parse(&spec.config, RECORD, Path::new("/"), &[]);
            Ok(Model {
                label: printable(&spec.label).into_owned(),
                model: spec
                    .model
                    .as_ref()
                    .map(|model| printable(model).into_owned()),
                folder: spec.folder.clone(),
                file: spec.file.clone(),
                config: config.map_err(|error| {
                    Error::data(format!(
                        "the configuration of `{}` cannot be used",
                        spec.label
                    ))
                    .because(error)
                    .help("use the version of wlstm that started the comparison")
                })?,
            })
        };
        self.models.iter().map(model).collect()
    }

    /// Takes over the configurations of these models.
    pub fn set_configs(&mut self, models: &[Model]) {
        for (spec, model) in self.models.iter_mut().zip(models) {
            spec.config = model.config.to_toml();
        }
    }

    /// Replaces the budget of every model.
    ///
    /// # Errors
    ///
    /// Same as [`ComparisonSpec::models`].
    pub fn change(&mut self, budget: Budget) -> Result<()> {
        for spec in &mut self.models {
            let sets = budget.sets();
            let mut config = Config::parse(&spec.config, RECORD, Path::new("/"), &sets)?;
            budget.apply(&mut config);
            spec.config = config.to_toml();
        }
        self.budget = budget;
        Ok(())
    }
}

/// `compare.json`.
#[derive(Serialize, Deserialize)]
pub struct Record {
    /// The version of wlstm that wrote it.
    pub version: String,
    /// Whether the comparison is running, or how it ended.
    pub status: String,
    /// What is compared.
    #[serde(flatten)]
    pub spec: ComparisonSpec,
    /// The rows of the table. They are computed from the runs and never read back.
    #[serde(default, skip_deserializing)]
    pub results: Vec<ComparisonRow>,
}

/// The name of the file.
pub const RECORD: &str = "compare.json";
