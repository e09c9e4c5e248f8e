//! The trained model that is factorized.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::cell::{CELLS, Cell};
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::parameter_set::ParameterSet;
use crate::model::parameters::{Group, ParameterSpec};

/// New values of parameters by name, in the layout of checkpoints. All others keep their values.
pub type Changed = BTreeMap<String, Vec<f32>>;

/// A trained model.
pub struct Model<'a> {
    /// Its file.
    pub checkpoint: &'a Checkpoint,
    /// Its configuration.
    pub config: &'a Config,
    /// The parameters to factorize.
    pub set: ParameterSet,
}

impl<'a> Model<'a> {
    /// The values of a recurrent parameter.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the file does not have it.
    pub fn recurrent(&self, name: &str) -> Result<Cow<'a, [f32]>> {
        let name = self.set.tensor(self.config, Group::Recurrent, name);
        Ok(self.checkpoint.tensor_f32(&name)?.1)
    }

    /// The values of any parameter.
    ///
    /// # Errors
    ///
    /// Same as [`Model::recurrent`].
    pub fn parameter(&self, parameter: &ParameterSpec) -> Result<Cow<'a, [f32]>> {
        if parameter.group == Group::Recurrent {
            self.recurrent(&parameter.name)
        } else {
            Ok(self.checkpoint.tensor_f32(&parameter.name)?.1)
        }
    }

    /// The values of a parameter after a change.
    ///
    /// # Errors
    ///
    /// Same as [`Model::recurrent`].
    pub fn changed<'b>(
        &self,
        changed: &'b Changed,
        parameter: &ParameterSpec,
    ) -> Result<Cow<'b, [f32]>>
    where
        'a: 'b,
    {
        match changed.get(&parameter.name) {
            Some(values) => Ok(Cow::Borrowed(values)),
            None => self.parameter(parameter),
        }
    }

    /// Checks that all layers are dense.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if not.
    pub fn check_dense(&self) -> Result<()> {
        if self.config.model.cells.iter().all(Cell::is_dense) {
            return Ok(());
        }
        let dense = CELLS.iter().find(|kind| kind.is_dense());
        let dense = dense.map_or("", |kind| kind.name());
        Err(Error::usage(format!(
            "only models with `{dense}` cells can be factorized, and this one has other cells"
        ))
        .help(format!("train a model with --set model.cell={dense} first")))
    }
}
