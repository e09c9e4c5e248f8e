//! Converts a trained model with dense cells to a model with cheaper cells, as the starting point of further
//! training.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::import::new_run;
use super::trained::Trained;
use crate::cell::{CellKind, Flstm, Glstm};
use crate::checkpoint::{RunFolder, RunRecord};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::factorize::factors::{self, Spectrum};
use crate::factorize::groups::{self, BlockShare};
use crate::factorize::{Changed, Model};
use crate::model::parameters::ParameterSpec;

/// How to replace the gate matrices, with one number for all layers or one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// By products of two matrices, which keep this many of the largest singular values.
    Factors(Vec<usize>),
    /// By this many diagonal blocks.
    Groups {
        /// The number of groups of each layer.
        groups: Vec<usize>,
        /// The seed of the search for a permutation of the cells.
        seed: u64,
    },
}

/// The share of each gate matrix that is kept.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Singular values.
    Factors(Vec<Spectrum>),
    /// Blocks.
    Groups(Vec<BlockShare>),
}

/// A factorization whose arguments are checked, before it runs.
pub struct Factorization<'a> {
    trained: &'a Trained,
    method: Method,
    config: Config,
    out: PathBuf,
}

impl Trained {
    /// Prepares the run `out` of this model with cheaper cells.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if the cells are not dense or the numbers do not fit the model,
    /// [`Kind::Data`](crate::error::Kind::Data) if `out` already exists.
    pub fn factorization(&self, method: Method, out: &Path) -> Result<Factorization<'_>> {
        let model = Model {
            checkpoint: self.checkpoint(),
            config: self.config(),
            set: self.parameter_set(),
        };
        model.check_dense()?;
        let layers = self.config().model.layers();
        let method = match method {
            Method::Factors(given) => Method::Factors(per_layer("--factor", given, layers)?),
            Method::Groups { groups, seed } => Method::Groups {
                groups: per_layer("--groups", groups, layers)?,
                seed,
            },
        };
        let config = changed_config(self.config(), &method)?;
        RunFolder::check_free(out)?;
        Ok(Factorization {
            trained: self,
            method,
            config,
            out: out.to_path_buf(),
        })
    }
}

impl Factorization<'_> {
    /// The configuration of the new model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Factorizes the model and creates the run. `run` is the run of the original model, which gives the new run its name.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the checkpoint cannot be read, or the run cannot be created.
    pub fn make(&self, run: &Path) -> Result<Kept> {
        let model = Model {
            checkpoint: self.trained.checkpoint(),
            config: self.trained.config(),
            set: self.trained.parameter_set(),
        };
        let (changed, kept) = match &self.method {
            Method::Factors(factors) => {
                let (changed, spectra) = factors::factorize(&model, factors)?;
                (changed, Kept::Factors(spectra))
            }
            Method::Groups { groups, seed } => {
                let (changed, blocks) = groups::factorize(&model, groups, *seed)?;
                (changed, Kept::Groups(blocks))
            }
        };
        self.write(&model, &changed, run)?;
        Ok(kept)
    }

    fn write(&self, model: &Model<'_>, changed: &Changed, run: &Path) -> Result<()> {
        let name =
            RunRecord::read(run).map_or_else(|_| "factorized".to_owned(), |record| record.config);
        let words = self.trained.vocabulary();
        let values = |_: &str, parameter: &ParameterSpec, start: usize, values: &mut [f32]| {
            let all = model.changed(changed, parameter)?;
            values.copy_from_slice(&all[start..start + values.len()]);
            Ok(())
        };
        new_run(&self.out, &name, &self.config, words, values).map(drop)
    }
}

/// One number for each layer.
fn per_layer(option: &str, given: Vec<usize>, layers: usize) -> Result<Vec<usize>> {
    match given.as_slice() {
        [one] => Ok(vec![*one; layers]),
        all if all.len() == layers => Ok(given),
        all => Err(Error::usage(format!(
            "`{option}` has {} numbers, but the model has {layers} layers",
            all.len()
        ))
        .help("give one number for all layers, or one for each, for example 4,8")),
    }
}

/// The configuration with other cells.
fn changed_config(before: &Config, method: &Method) -> Result<Config> {
    let (cell, key, given): (&dyn CellKind, _, _) = match method {
        Method::Factors(factors) => (&Flstm, &Flstm::FACTOR, factors),
        Method::Groups { groups, .. } => (&Glstm, &Glstm::GROUPS, groups),
    };
    let numbers: Vec<String> = given.iter().map(usize::to_string).collect();
    let sets = [
        format!("model.cell={}", cell.name()),
        format!("{}=[{}]", key.key, numbers.join(", ")),
    ];
    Config::parse(
        &before.to_toml(),
        "the run's configuration",
        Path::new("/"),
        &sets,
    )
}
