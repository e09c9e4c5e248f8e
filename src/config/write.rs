//! The configuration back as TOML text, and its digest.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::document::quote;
use super::{Config, Schedule, Softmax};
use crate::cell::{Cell, size_keys};
use crate::digest::Digest;

impl Config {
    /// The configuration as TOML, with every key that plays a part. Reading the text gives the identical configuration,
    /// wherever the file stands.
    pub fn to_toml(&self) -> String {
        let mut out = Sections(String::from(
            "# The resolved configuration of a run, written by wlstm.\n",
        ));
        self.write_model(&mut out);
        self.write_softmax(&mut out);
        self.write_data(&mut out);
        self.write_train(&mut out);
        out.section("device");
        out.key("max_binding", self.device.max_binding);
        out.key("table_rows", self.device.table_rows);
        out.0
    }

    /// Sixteen hexadecimal digits that are equal for equal configurations: the digest of the TOML text.
    pub fn digest(&self) -> String {
        format!("{:016x}", Digest::of(self.to_toml().bytes()).value())
    }

    fn write_model(&self, out: &mut Sections) {
        let model = &self.model;
        let names = model.cells.iter().map(|cell| quote(cell.name()));
        out.section("model");
        out.key("cell", per_layer(names.collect()));
        out.key("layers", model.layers());
        out.key("embedding", model.embedding);
        out.key("hidden", model.hidden);
        out.key("projection", model.projection);
        for key in size_keys() {
            if let Some(values) = for_layers_with(&model.cells, |cell| cell.size_of(key)) {
                out.key(key.name(), values);
            }
        }
        out.number("dropout", model.dropout);
        out.key("residual", model.residual);
        out.key("tied", model.tied);
        out.key("tables", quote(model.tables.as_str()));
        out.number("forget_bias", model.forget_bias);
    }

    fn write_softmax(&self, out: &mut Sections) {
        out.section("softmax");
        match self.softmax {
            Softmax::Full => out.key("kind", quote("full")),
            Softmax::Sampled { samples } => {
                out.key("kind", quote("sampled"));
                out.key("samples", samples);
            }
        }
    }

    fn write_data(&self, out: &mut Sections) {
        let data = &self.data;
        out.section("data");
        out.key("order", quote(data.order.as_str()));
        out.key("tokens", quote(data.tokens.as_str()));
        out.key("train", paths(&data.train));
        out.key("valid", paths(&data.valid));
        out.key("test", paths(&data.test));
        if let Some(vocab) = &data.vocab {
            out.key("vocab", path(vocab));
        }
        out.key("vocab_size", data.vocab_size);
        if data.vocab.is_none() {
            out.key("min_count", data.min_count);
        }
        out.key("shuffle", data.shuffle);
        out.number("valid_share", data.valid_share);
    }

    fn write_train(&self, out: &mut Sections) {
        let train = &self.train;
        out.section("train");
        out.key("batch", train.batch);
        out.key("accumulate", train.accumulate);
        out.key("unroll", train.unroll);
        out.key("optimizer", quote(train.optimizer.as_str()));
        out.number("learning_rate", train.learning_rate);
        match train.schedule {
            Schedule::Constant => out.key("schedule", quote("constant")),
            Schedule::Cosine { warmup_steps } => {
                out.key("schedule", quote("cosine"));
                out.key("warmup_steps", warmup_steps);
            }
            Schedule::Exponential { decay, decay_after } => {
                out.key("schedule", quote("exponential"));
                out.number("decay", decay);
                out.key("decay_after", decay_after);
            }
            Schedule::Plateau { decay } => {
                out.key("schedule", quote("plateau"));
                out.number("decay", decay);
            }
        }
        out.number("init_range", train.init_range);
        out.number("clip_norm", train.clip_norm);
        out.number("ema", train.ema);
        out.key("recipe", quote(train.recipe.as_str()));
        out.key("precision", quote(train.precision.as_str()));
        out.key("fused", train.fused);
        out.key("recompute", train.recompute);
        out.key("epochs", train.epochs);
        out.key("steps", train.steps);
        out.number("seconds", train.seconds);
        out.key("validate_every", train.validate_every);
        out.key("validate_targets", train.validate_targets);
        out.key("checkpoint_every", train.checkpoint_every);
        out.key("keep", train.keep);
        out.key("log_every", train.log_every);
        out.key("histogram_every", train.histogram_every);
        out.key("seed", train.seed);
    }
}

struct Sections(String);

impl Sections {
    fn section(&mut self, name: &str) {
        self.line(format_args!("[{name}]"));
    }

    fn key(&mut self, name: &str, value: impl std::fmt::Display) {
        self.line(format_args!("{name} = {value}"));
    }

    /// The shortest digits that give the same number back; what they look like (`0.2`, `1e-7`) is TOML too.
    fn number(&mut self, name: &str, value: f64) {
        self.line(format_args!("{name} = {value:?}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a string cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

/// One value if all layers agree, else a list.
fn per_layer(values: Vec<String>) -> String {
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        values.into_iter().next().unwrap_or_default()
    } else {
        format!("[{}]", values.join(", "))
    }
}

/// The values of the layers that have one; a layer without takes the first one's, which is not looked at. None if no
/// layer has one.
fn for_layers_with(cells: &[Cell], value: impl Fn(&Cell) -> Option<usize>) -> Option<String> {
    let first = cells.iter().find_map(&value)?;
    Some(per_layer(
        cells
            .iter()
            .map(|cell| value(cell).unwrap_or(first).to_string())
            .collect(),
    ))
}

fn path(path: &Path) -> String {
    // Resolving refuses paths that are not Unicode.
    quote(&path.to_string_lossy())
}

fn paths(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|one| path(one)).collect();
    format!("[{}]", paths.join(", "))
}
