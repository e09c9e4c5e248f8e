//! One golden model: its file, its configuration, the inputs of its steps.

use std::collections::HashMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::config::{Config, Precision};
use crate::device::{Data, Inputs};
use crate::graph::plan::Plan;
use crate::kernels::embedding::rows::row_index;
use crate::model::parameters::{ParameterSpec, parameters};
use crate::tensor::names;

/// A model with the values that three training steps must produce.
pub struct Golden {
    name: &'static str,
    tensors: HashMap<String, Vec<f64>>,
    config: Value,
}

macro_rules! golden {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../../tests/golden/", $name, ".safetensors")).as_slice())),*]
    };
}

/// Names and contents of the files.
static FILES: [(&str, &[u8]); 12] = golden![
    "lstm_plain",
    "lstmp",
    "lstmp_residual",
    "lstmp_tied",
    "lstmp_uneven",
    "lstmp_sampled",
    "flstm",
    "flstm_4_6",
    "flstm_sampled",
    "glstm_2",
    "glstm_2_4",
    "glstm_sampled",
];

impl Golden {
    /// All golden models.
    pub fn all() -> impl Iterator<Item = Golden> {
        FILES.iter().map(|(name, bytes)| Golden::read(name, bytes))
    }

    /// The golden model with this name.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn named(name: &str) -> Golden {
        let file = FILES.iter().find(|(file, _)| *file == name);
        let (name, bytes) = file.unwrap_or_else(|| panic!("there is no golden model `{name}`"));
        Golden::read(name, bytes)
    }

    /// The names of all golden models.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(name, _)| *name)
    }

    fn read(name: &'static str, bytes: &[u8]) -> Golden {
        let file = SafeTensors::deserialize(bytes).expect("safetensors");
        let (_, header) = SafeTensors::read_metadata(bytes).expect("a header");
        let config = header.metadata().as_ref().expect("metadata")["config"].clone();
        let values = |dtype, data: &[u8]| -> Vec<f64> {
            let (four, eight) = (data.as_chunks().0.iter(), data.as_chunks().0.iter());
            match dtype {
                Dtype::F32 => four.map(|b| f32::from_le_bytes(*b).into()).collect(),
                Dtype::I32 => four.map(|b| i32::from_le_bytes(*b).into()).collect(),
                Dtype::F64 => eight.map(|b| f64::from_le_bytes(*b)).collect(),
                _ => panic!("an unexpected type in a golden file"),
            }
        };
        Golden {
            name,
            tensors: file
                .iter()
                .map(|(name, view)| (name.to_owned(), values(view.dtype(), view.data())))
                .collect(),
            config: serde_json::from_str(&config).expect("a configuration"),
        }
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The elements of a tensor of the file.
    ///
    /// # Panics
    ///
    /// If the file has no such tensor.
    pub(super) fn tensor(&self, name: &str) -> &[f64] {
        self.tensors
            .get(name)
            .unwrap_or_else(|| panic!("the golden file has no `{name}`"))
    }

    /// An integer of the file's configuration.
    pub(super) fn size(&self, key: &str) -> usize {
        self.config[key].as_u64().expect("an integer") as usize
    }

    /// A number of the file's configuration.
    pub(super) fn number(&self, key: &str) -> f64 {
        self.config[key].as_f64().expect("a number")
    }

    /// `V`, the size of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.size("vocab")
    }

    /// `B`, the number of streams.
    pub fn batch(&self) -> usize {
        self.size("batch")
    }

    /// The parameters of the model.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        parameters(&self.config(Precision::F32), self.vocabulary())
    }

    /// The configuration, as parsed from the TOML that a user would write.
    pub fn config(&self, precision: Precision) -> Config {
        let c = &self.config;
        let mut text = format!(
            "[model]\ncell = {}\nlayers = {}\nembedding = {}\nhidden = {}\nprojection = {}\nresidual = {}\ntied = {}\n\
             forget_bias = {}\ndropout = 0.0\n",
            c["cell"],
            c["layers"],
            c["embedding"],
            c["hidden"],
            c["projection"],
            c["residual"],
            c["tied"],
            c["forget_bias"]
        );
        for key in ["factor", "groups"] {
            if !c[key].is_null() {
                text += &format!("{key} = {}\n", c[key]);
            }
        }
        text += &format!("[softmax]\nkind = {}\n", c["softmax"]);
        if c["softmax"] == "sampled" {
            text += &format!("samples = {}\n", c["samples"]);
        }
        text += &format!(
            "[data]\ntrain = [\"x.txt\"]\n[train]\nbatch = {}\nunroll = {}\nlearning_rate = {}\nclip_norm = {}\nema = {}\n\
             optimizer = \"adagrad\"\nrecipe = \"paper\"\nsteps = 3\nprecision = \"{precision}\"\n",
            c["batch"], c["unroll"], c["learning_rate"], c["clip_norm"], c["ema"],
        );
        Config::parse(&text, self.name, Path::new("/"), &[]).expect("a valid configuration")
    }

    /// The ids of a step, from `[B, T]` in the file to time-major `[T*B]`.
    fn time_major(&self, name: &str, step: usize) -> Vec<u32> {
        let (batch, unroll) = (self.batch(), self.size("unroll"));
        let values = &self.tensor(name)[step * batch * unroll..][..batch * unroll];
        (0..unroll * batch)
            .map(|row| values[row % batch * unroll + row / batch] as u32)
            .collect()
    }

    /// From time-major `[T, B, P]` to `[B, T, P]` as in the file.
    pub(super) fn batch_major(&self, values: &[f64]) -> Vec<f64> {
        let (batch, unroll) = (self.batch(), self.size("unroll"));
        let width = values.len() / (batch * unroll);
        let mut out = Vec::with_capacity(values.len());
        for b in 0..batch {
            for t in 0..unroll {
                out.extend_from_slice(&values[(t * batch + b) * width..][..width]);
            }
        }
        out
    }

    /// The inputs of `plan` in step `step`, counted from 0.
    pub fn inputs(&self, step: usize, plan: &Plan) -> Inputs {
        let inputs = self.time_major("x", step);
        let targets = self.time_major("y", step);
        let control = vec![
            self.number("learning_rate"),
            self.number("clip_norm"),
            self.number("ema"),
            0.0,
            0.0,
            1.0,
            1.0,
        ];
        let mut made: Inputs = vec![
            ("inputs", Data::Index(inputs.clone())),
            ("targets", Data::Index(targets.clone())),
            (names::ROWS_EMBEDDING, Data::Index(row_index(&inputs))),
            ("control", Data::Real(control)),
        ];
        if self.config["softmax"] == "sampled" {
            let (samples, vocabulary) = (self.size("samples"), self.vocabulary());
            let candidates: Vec<u32> = self.tensor("candidates")[step * samples..][..samples]
                .iter()
                .map(|id| *id as u32)
                .collect();
            let tries = self.tensor("tries")[step];
            let ids: Vec<u32> = candidates.iter().chain(&targets).copied().collect();
            let log_q = ids.iter().map(|id| {
                let k = f64::from(*id);
                let p = ((k + 2.0) / (k + 1.0)).ln() / (vocabulary as f64 + 1.0).ln();
                (-(tries * (-p).ln_1p()).exp_m1()).ln()
            });
            made.push(("log_q", Data::Real(log_q.collect())));
            made.push((names::ROWS_SOFTMAX, Data::Index(row_index(&ids))));
            made.push(("candidates", Data::Index(candidates)));
        }
        made.retain(|(name, _)| plan.find(name).is_some());
        made
    }
}
