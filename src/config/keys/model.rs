//! The section `[model]`.

use super::cells;
use super::limits::SIZE;
use crate::cell::{Cell, Dimension, LayerSizes};
use crate::config::document::Document;
use crate::config::entry::{Group, entries_of};
use crate::config::key::Resume::{MayChange, MustStay};
use crate::config::named::named;
use crate::config::section::section;
use crate::config::setting::{Numbers, Setting};
use crate::error::Result;

section! {
    /// The cells and the sizes of a language model.
    ModelConfig: "model" {
        /// The cell of each layer, at least one.
        cells: Vec<Cell> = Group { read: cells::read, entries: cells::cell_entries };

        /// Size of the word embedding, `E`.
        embedding: usize = Setting { default: 1024, rule: 1..=SIZE, resume: MustStay },
            known as [
                "embedding_size", "embedding_dim", "embed_size", "embed_dim", "emb_size", "emb_dim", "emsize",
                "d_embed", "d_emb", "word_dim",
            ];

        /// Number of memory cells of a layer, `H`.
        hidden: usize = Setting { default: 8192, rule: 1..=SIZE, resume: MustStay },
            known as [
                "hidden_size", "hidden_dim", "hidden_units", "nhid", "n_hidden", "num_hidden", "num_units", "units",
                "rnn_size", "lstm_size", "state_size", "cell_size", "d_hidden",
            ];

        /// Size of the projected output of a layer, `P`; 0: no projection (`P = H`).
        projection: usize = Setting { default: 1024, rule: 0..=SIZE, resume: MustStay },
            known as [
                "projection_size", "projection_dim", "proj_size", "proj_dim", "proj", "num_proj", "d_model",
                "output_size",
            ],
            then entries_of(cells::size_entries(), |model: &ModelConfig| &model.cells);

        /// Dropout probability of the output of the embedding and of every layer. The recurrent state has no dropout.
        dropout: f64 = Setting {
            default: 0.1,
            rule: Numbers { allowed: "a number from 0 to below 1", contains: |x| (0.0..1.0).contains(&x) },
            resume: MustStay,
        },
            known as ["dropout_rate", "dropout_prob", "dropout_p", "drop", "drop_rate", "p_dropout"];

        /// Adds the input of a layer to its output in every layer where both have the same size.
        residual: bool = Setting { default: false, rule: (), resume: MustStay },
            known as ["residuals", "skip_connections", "use_residual"];

        /// Shares one table between embedding and softmax; requires `E = P`.
        tied: bool = Setting { default: false, rule: (), resume: MustStay },
            known as [
                "tie_weights", "tied_weights", "tie_embeddings", "tie_word_embeddings", "weight_tying",
                "share_embeddings",
            ];

        /// Where the tables are kept: embedding, softmax weights and bias, and their optimizer state.
        tables: TablePlacement = Setting { default: TablePlacement::Device, rule: (), resume: MayChange },
            known as ["offload", "cpu_offload"];

        /// Constant added to the forget gate. It is not stored in the bias.
        forget_bias: f64 = Setting {
            default: 1.0,
            rule: Numbers { allowed: "a number from -1e38 to 1e38", contains: |x| x.abs() <= 1e38 },
            resume: MustStay,
        },
            known as ["forget_gate_bias"];
    }
}

named! {
    /// Where the tables of a model are kept: embedding, softmax weights and bias, and their optimizer state.
    TablePlacement {
        /// In device memory.
        Device = "device",
        /// In host memory. Only the rows that a step uses are copied to the device.
        Host = "host",
    }
}

impl ModelConfig {
    /// The number of layers.
    pub fn layers(&self) -> usize {
        self.cells.len()
    }

    /// The size of the output of every layer: `P`, or `H` without projection.
    pub fn output_size(&self) -> usize {
        if self.projection == 0 {
            self.hidden
        } else {
            self.projection
        }
    }

    /// `I`, the size of the input of a layer counted from 0: `E` for the first, the output size after.
    pub fn input_size(&self, layer: usize) -> usize {
        if layer == 0 {
            self.embedding
        } else {
            self.output_size()
        }
    }

    /// The sizes of a layer counted from 0.
    pub fn sizes(&self, layer: usize) -> LayerSizes {
        LayerSizes {
            input: self.input_size(layer),
            hidden: self.hidden,
            output: self.output_size(),
        }
    }

    /// Reads and checks the section.
    pub(crate) fn read(document: &Document) -> Result<ModelConfig> {
        let model = ModelConfig::read_keys(document)?;
        model.check_cells(document)?;
        let output = model.output_size();
        let output_key = model.output_key();
        if model.tied && model.embedding != output {
            return Err(document.field("model.tied").conflict(
                format_args!(
                    "`model.embedding` is {}, `{output_key}` is {output}",
                    model.embedding
                ),
                "one table for both needs an embedding of the size of the output",
            ));
        }
        let is_residual = |layer| model.input_size(layer) == output;
        if model.residual && !(0..model.layers()).any(is_residual) {
            return Err(document.field("model.residual").conflict(
                format_args!(
                    "the only layer has `model.embedding` = {} and `{output_key}` = {output}",
                    model.embedding
                ),
                "a residual layer needs an input of the size of its output",
            ));
        }
        Ok(model)
    }

    /// The key that sets the output size.
    fn output_key(&self) -> &'static str {
        if self.projection == 0 {
            "model.hidden"
        } else {
            "model.projection"
        }
    }

    /// Checks the size of every cell against the sizes of its layer.
    fn check_cells(&self, document: &Document) -> Result<()> {
        for (layer, cell) in self.cells.iter().enumerate() {
            let sizes = self.sizes(layer);
            let Err(violation) = cell.check(&sizes) else {
                continue;
            };
            let own = cell.kind().size_key().map_or("model.cell", |key| key.key);
            let (key, size) = match violation.dimension {
                Dimension::Input if layer == 0 => ("model.embedding", sizes.input),
                Dimension::Input => (self.output_key(), sizes.input),
                Dimension::Output => (self.output_key(), sizes.output),
                Dimension::Hidden => ("model.hidden", sizes.hidden),
            };
            let reason = violation.reason;
            return Err(document.field(own).conflict(
                format_args!("layer {layer} {reason}, `{key}` = {size}"),
                violation.help,
            ));
        }
        Ok(())
    }
}
