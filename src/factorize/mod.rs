//! A trained model of dense cells as one of cheaper cells: the start of a fine-tuning, not its end.
//!
//! | module | what |
//! |---|---|
//! | [`factors`] | `lstmp` to `flstm`: the singular values of each gate matrix, the largest kept |
//! | [`groups`] | `lstmp` to `glstm`: the gate matrices in blocks, after an order of cells, inputs and outputs in which the blocks hold much |
//!
//! Both start from the parameters that evaluation uses. Nothing else of the model changes but, with groups, the order of its numbers,
//! which no result depends on.

pub mod factors;
pub mod groups;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::cell::Cell;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::parameters::{Group, Parameter, evaluated_name};

/// Parameters by their name, in the layout of checkpoints; those that are not in it are as they were.
pub type Changed = BTreeMap<String, Vec<f32>>;

/// A trained model.
pub struct Model<'a> {
    /// Its file.
    pub checkpoint: &'a Checkpoint,
    /// Its configuration.
    pub config: &'a Config,
}

impl<'a> Model<'a> {
    /// The values of a recurrent parameter with which evaluation computes.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the file does not have it.
    pub fn recurrent(&self, name: &str) -> Result<Cow<'a, [f32]>> {
        let name = evaluated_name(self.config, Group::Recurrent, name);
        Ok(self.checkpoint.tensor_f32(&name)?.1)
    }

    /// The values of any parameter with which evaluation computes.
    ///
    /// # Errors
    ///
    /// As [`Model::recurrent`].
    pub fn parameter(&self, line: &Parameter) -> Result<Cow<'a, [f32]>> {
        match line.group {
            Group::Recurrent => self.recurrent(&line.name),
            _ => Ok(self.checkpoint.tensor_f32(&line.name)?.1),
        }
    }

    /// The values of a parameter of the model after a change.
    ///
    /// # Errors
    ///
    /// As [`Model::recurrent`].
    pub fn changed<'b>(&self, changed: &'b Changed, line: &Parameter) -> Result<Cow<'b, [f32]>>
    where
        'a: 'b,
    {
        match changed.get(&line.name) {
            Some(values) => Ok(Cow::Borrowed(values)),
            None => self.parameter(line),
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
        Err(
            Error::usage("only models of `lstmp` cells can be factorized, and this one has others")
                .help("train a model with --set model.cell=lstmp first"),
        )
    }
}
