//! Reads a file of PyTorch.

use std::borrow::Cow;

use super::layout::{FORGET, Form, GATES, Matrices, tail_name, tensors};
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::interchange::source::WORDS;
use crate::model::clusters::Clusters;
use crate::tensor::names;

/// A file of PyTorch, read as the parameters of a model.
pub struct Imported<'a> {
    file: &'a Checkpoint,
    config: &'a Config,
    vocabulary: usize,
    form: Form,
}

impl<'a> Imported<'a> {
    /// Checks that the file has the parameters of the model.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if the layers of the model and of the file have different forms,
    /// [`Kind::Data`](crate::error::Kind::Data) naming each tensor that is missing, unknown or of another shape.
    pub fn new(
        file: &'a Checkpoint,
        config: &'a Config,
        vocabulary: usize,
    ) -> Result<Imported<'a>> {
        let form = Form::of(config);
        check_form(file, form)?;
        let expected: Vec<(String, Vec<usize>)> = tensors(config, vocabulary)
            .into_iter()
            .map(|tensor| (tensor.name, tensor.shape))
            .collect();
        file.check_parameters(&expected, &[]).map_err(|error| {
            error.help(match form {
                Form::Lstm => {
                    "the tensors must have the names of the first class of `wlstm help interchange`, float32 values, and the \
                     sizes of the model in --config"
                }
                Form::Layers => {
                    "the tensors must have the names of the second class of `wlstm help interchange`, float32 values, and the \
                     sizes of the model in --config"
                }
            })
        })?;
        if config.model.tied {
            let [embedding, softmax] =
                [names::EMBEDDING, names::SOFTMAX_WEIGHT].map(|name| file.tensor_f32(name));
            if embedding?.1 != softmax?.1 {
                return Err(Error::data(format!(
                    "`model.tied` is set, but in `{}` the weights of softmax and embedding differ",
                    file.path().display()
                ))
                .help("import it with --set model.tied=false"));
            }
        }
        Ok(Imported {
            file,
            config,
            vocabulary,
            form,
        })
    }

    /// The vocabulary, if the file has it.
    pub fn words(file: &Checkpoint) -> Option<&[u8]> {
        file.metadata().get(WORDS).map(String::as_bytes)
    }

    /// The values of a parameter by its name in checkpoints, in their layout.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the file cannot be read.
    pub fn values(&self, name: &str) -> Result<Cow<'a, [f32]>> {
        if let Some((cluster, is_projection)) = names::cluster_of(name) {
            let (_, values) = self.file.tensor_f32(&tail_name(cluster, is_projection))?;
            if !is_projection {
                return Ok(values);
            }
            let clusters = Clusters::of(self.config, self.vocabulary);
            let clusters = clusters.expect("only an adaptive softmax has tails");
            let projection = Matrices::of_cluster(&self.config.model, &clusters.tails[cluster]);
            return Ok(Cow::Owned(projection.restored(&values)));
        }
        let Some(layer) = names::layer_of(name) else {
            return Ok(self.file.tensor_f32(name)?.1);
        };
        let model = &self.config.model;
        Ok(Cow::Owned(if name == names::gate_bias(layer) {
            self.bias(layer)?
        } else if name == names::projection(layer) {
            Matrices::of_projection(model).restored(&self.tensor("weight_hr", layer)?)
        } else if self.form == Form::Lstm {
            self.dense_gates(layer)?
        } else {
            let parameters = model.cells[layer].parameters(&model.sizes(layer));
            let mut parameters = parameters.iter();
            let own = parameters.find(|own| name == names::gate(layer, own.name));
            let parameter = own.expect("every other parameter of a layer is one of its gates");
            Matrices::of(parameter).restored(&self.tensor(parameter.name, layer)?)
        }))
    }

    fn tensor(&self, tensor: &str, layer: usize) -> Result<Cow<'a, [f32]>> {
        Ok(self.file.tensor_f32(&self.form.name(tensor, layer))?.1)
    }

    /// The gate bias `[4H]`, gates i, j, f, o.
    fn bias(&self, layer: usize) -> Result<Vec<f32>> {
        let model = &self.config.model;
        let hidden = model.hidden;
        let (ih, hh) = (
            self.tensor("bias_ih", layer)?,
            self.tensor("bias_hh", layer)?,
        );
        let bias = |column: usize| {
            // The order of gates is its own inverse: it exchanges two.
            let gate = GATES[column / hidden];
            let row = gate * hidden + column % hidden;
            let forget = if gate == FORGET {
                model.forget_bias
            } else {
                0.0
            };
            (f64::from(ih[row]) - forget + f64::from(hh[row])) as f32
        };
        Ok((0..4 * hidden).map(bias).collect())
    }

    /// The gate weights `[I+P, 4H]`, gates i, j, f, o.
    fn dense_gates(&self, layer: usize) -> Result<Vec<f32>> {
        let model = &self.config.model;
        let mut values = Vec::new();
        for (tensor, rows) in [
            ("weight_ih", model.input_size(layer)),
            ("weight_hh", model.output_size()),
        ] {
            let gates = Matrices::of_dense_gates(model, rows);
            values.extend(gates.restored(&self.tensor(tensor, layer)?));
        }
        Ok(values)
    }
}

/// Checks that the layers of the file have this form.
fn check_form(file: &Checkpoint, form: Form) -> Result<()> {
    let found = Form::of_file(file);
    if found.is_none() || found == Some(form) {
        return Ok(());
    }
    let place = file.path().display();
    Err(match form {
        Form::Lstm => Error::usage(format!(
            "`{place}` has the layers of a model that `torch.nn.LSTM` does not support, but the configuration describes a model \
             that it supports"
        ))
        .help("use the configuration of the model in the file; check `model.cell` and `model.residual`"),
        Form::Layers => Error::usage(format!(
            "`{place}` has the layers of `torch.nn.LSTM`, which does not support the model of the configuration"
        ))
        .help(
            "use a configuration with `model.cell = \"lstmp\"`, without `model.residual`, and with a `model.projection` \
             smaller than `model.hidden`",
        ),
    })
}
