//! From raw values to the checked configuration. Every rule about a value, and about values together, is here, but for
//! what only training asks: that something ends the run, and that the schedule can be followed until then.

use std::path::{Path, PathBuf};

use super::document::Document;
use super::paths;
use super::{
    Config, DataConfig, DeviceConfig, ModelConfig, Precision, Schedule, Softmax, TablePlacement,
    TrainConfig,
};
use crate::cell::{CELLS, Cell, Dimension, SizeKey, size_keys};
use crate::error::{Error, Result};

/// The most layers a model can have.
const LAYERS: usize = 100;
/// The largest embedding, hidden or projection size, factor, and number of candidates.
const SIZE: usize = 1 << 24;
/// The largest vocabulary, and the most tokens of a batch: indices have 32 bits, with a sign in some places.
const INDEX: usize = i32::MAX as usize;
/// The least bytes of a binding: what bindings begin at multiples of, and some more.
const LEAST_BINDING: u64 = 1 << 12;
/// The most goes of a step: each has a plan of its own.
const MOST_GOES: usize = 256;
/// The largest count of steps or epochs: what TOML can write.
const COUNT: u64 = i64::MAX as u64;

#[derive(Clone, Copy)]
enum ScheduleKind {
    Constant,
    Cosine,
    Exponential,
    Plateau,
}

const SCHEDULES: &[(&str, ScheduleKind)] = &[
    ("constant", ScheduleKind::Constant),
    ("cosine", ScheduleKind::Cosine),
    ("exponential", ScheduleKind::Exponential),
    ("plateau", ScheduleKind::Plateau),
];

/// Resolves and checks a whole document. `folder` is what relative paths are relative to.
pub fn resolve(document: &Document, folder: &Path) -> Result<Config> {
    let model = model(document)?;
    let data = data(document, folder)?;
    let softmax = softmax(document, data.vocab_size)?;
    let train = train(document)?;
    if model.tables == TablePlacement::Host && softmax == Softmax::Full {
        return Err(document.field("model.tables").conflict(
            "a full softmax needs every row at every step",
            "use `softmax.kind = \"sampled\"`, or tables on the device",
        ));
    }
    if matches!(train.schedule, Schedule::Plateau { .. }) && !data.validates() {
        return Err(document.field("data.valid").conflict(
            "the schedule `plateau` follows the validation perplexity",
            "name validation files, hold a part of the text out with `data.valid_share`, or choose another `train.schedule`",
        ));
    }
    Ok(Config {
        model,
        softmax,
        data,
        train,
        device: device(document)?,
    })
}

fn model(document: &Document) -> Result<ModelConfig> {
    let field = |key| document.field(key);
    let layers = field("model.layers").size(1, LAYERS)?;
    let model = ModelConfig {
        cells: cells(document, layers)?,
        embedding: field("model.embedding").size(1, SIZE)?,
        hidden: field("model.hidden").size(1, SIZE)?,
        projection: field("model.projection").size(0, SIZE)?,
        dropout: field("model.dropout")
            .number("a number from 0 to below 1", |x| (0.0..1.0).contains(&x))?,
        residual: field("model.residual").flag()?,
        tied: field("model.tied").flag()?,
        tables: field("model.tables").choice()?,
        forget_bias: field("model.forget_bias")
            .number("a number from -1e38 to 1e38", |x| x.abs() <= 1e38)?,
    };
    check_cells(document, &model)?;
    let (embedding, output) = (model.embedding, model.output_size());
    let output_key = if model.projection == 0 {
        "model.hidden"
    } else {
        "model.projection"
    };
    if model.tied && embedding != output {
        return Err(field("model.tied").conflict(
            format_args!("`model.embedding` is {embedding}, `{output_key}` is {output}"),
            "a table for both needs an embedding of the size of the output",
        ));
    }
    if model.residual && !(0..layers).any(|layer| model.input_size(layer) == output) {
        return Err(field("model.residual").conflict(
            format_args!(
                "the one layer has `model.embedding` = {embedding}, `{output_key}` = {output}"
            ),
            "only a layer whose input has the size of its output can be residual",
        ));
    }
    Ok(model)
}

/// The size of a cell is read for the layers whose cell has one.
fn cells(document: &Document, layers: usize) -> Result<Vec<Cell>> {
    let names: Vec<_> = CELLS.iter().map(|kind| (kind.name(), *kind)).collect();
    let mut kinds = Vec::new();
    for field in document.field("model.cell").per_layer(layers)? {
        kinds.push(field.one_of(&names)?);
    }
    let mut cells: Vec<Cell> = kinds.into_iter().map(|kind| Cell::new(kind, 0)).collect();
    for key in size_keys() {
        if cells.iter().all(|cell| cell.size_of(key).is_none()) {
            continue;
        }
        let field = document.field(key.key);
        for (cell, field) in cells.iter_mut().zip(field.per_layer(layers)?) {
            if cell.size_of(key).is_some() {
                *cell = Cell::new(cell.kind(), field.size(1, SizeKey::MOST)?);
            }
        }
    }
    Ok(cells)
}

/// Checks the size of every cell against the sizes of its layer.
fn check_cells(document: &Document, model: &ModelConfig) -> Result<()> {
    let output_key = if model.projection == 0 {
        "model.hidden"
    } else {
        "model.projection"
    };
    for (layer, cell) in model.cells.iter().enumerate() {
        let sizes = model.sizes(layer);
        let Err(violation) = cell.check(&sizes) else {
            continue;
        };
        let own = cell.kind().size_key().map_or("model.cell", |key| key.key);
        let (key, size) = match violation.dimension {
            Dimension::Input if layer == 0 => ("model.embedding", sizes.input),
            Dimension::Input => (output_key, sizes.input),
            Dimension::Output => (output_key, sizes.output),
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

fn softmax(document: &Document, vocabulary: usize) -> Result<Softmax> {
    let sampled = document
        .field("softmax.kind")
        .one_of(&[("sampled", true), ("full", false)])?;
    if !sampled {
        return Ok(Softmax::Full);
    }
    let field = document.field("softmax.samples");
    let samples = field.size(1, SIZE)?;
    if vocabulary != 0 && samples > vocabulary {
        return Err(field.conflict(
            format_args!("`data.vocab_size` is {vocabulary}, and candidates are distinct"),
            "choose fewer candidates than words, or `softmax.kind = \"full\"`",
        ));
    }
    Ok(Softmax::Sampled { samples })
}

fn data(document: &Document, folder: &Path) -> Result<DataConfig> {
    let field = |key| document.field(key);
    let files = |key| -> Result<Vec<PathBuf>> {
        let given_here = document.is_override(key);
        let field = field(key);
        let paths = field.texts()?;
        Ok(paths
            .into_iter()
            .map(|path| paths::resolve(folder, path, given_here))
            .collect())
    };
    let mut data = DataConfig {
        order: field("data.order").choice()?,
        tokens: field("data.tokens").choice()?,
        train: files("data.train")?,
        valid: files("data.valid")?,
        test: files("data.test")?,
        vocab: field("data.vocab")
            .path()?
            .map(|path| paths::resolve(folder, path, document.is_override("data.vocab"))),
        vocab_size: field("data.vocab_size").size(0, INDEX)?,
        min_count: field("data.min_count").integer(1, COUNT)?,
        shuffle: field("data.shuffle").flag()?,
        valid_share: field("data.valid_share").number("a number from 0 to 0.5", |share| {
            (0.0..=0.5).contains(&share)
        })?,
    };
    if data.vocab.is_some() {
        if document.is_override("data.min_count") {
            return Err(field("data.min_count").conflict(
                "the words are those of `data.vocab`",
                "leave one of the two out, or make the file with `wlstm vocab --min-count`",
            ));
        }
        data.min_count = 1;
    }
    if data.train.is_empty() {
        return Err(field("data.train").refuse("at least one file or pattern of training text"));
    }
    let all = data
        .train
        .iter()
        .chain(&data.valid)
        .chain(&data.test)
        .chain(&data.vocab);
    for path in all {
        if path.to_str().is_none() {
            return Err(
                Error::usage(format!("the path `{}` is not Unicode", path.display()))
                    .help("move the configuration to a folder with a Unicode name"),
            );
        }
    }
    Ok(data)
}

fn train(document: &Document) -> Result<TrainConfig> {
    let field = |key| document.field(key);
    let not_negative =
        |key| field(key).number("a finite number that is not negative", |x| x >= 0.0);
    // Devices compute in f32, where what is smaller is 0 and what is larger infinite.
    let single = |key| {
        field(key).number("0, or a number from 1e-37 to 1e38", |x| {
            x == 0.0 || (1e-37..=1e38).contains(&x)
        })
    };
    let train = TrainConfig {
        batch: field("train.batch").size(1, INDEX)?,
        accumulate: field("train.accumulate").size(1, MOST_GOES)?,
        unroll: field("train.unroll").size(1, INDEX)?,
        optimizer: field("train.optimizer").choice()?,
        learning_rate: single("train.learning_rate")?,
        schedule: schedule(document)?,
        init_range: single("train.init_range")?,
        clip_norm: single("train.clip_norm")?,
        ema: field("train.ema").number("a number from 0 (off) to at most 0.999999", |x| {
            (0.0..=0.999_999).contains(&x)
        })?,
        recipe: field("train.recipe").choice()?,
        precision: field("train.precision").choice()?,
        fused: field("train.fused").flag()?,
        recompute: field("train.recompute").flag()?,
        epochs: field("train.epochs").integer(0, COUNT)?,
        steps: field("train.steps").integer(0, COUNT)?,
        seconds: not_negative("train.seconds")?,
        validate_every: field("train.validate_every").integer(0, COUNT)?,
        validate_targets: field("train.validate_targets").integer(0, COUNT)?,
        checkpoint_every: field("train.checkpoint_every").integer(0, COUNT)?,
        keep: field("train.keep").size(1, INDEX)?,
        log_every: field("train.log_every").integer(1, COUNT)?,
        histogram_every: field("train.histogram_every").integer(0, COUNT)?,
        seed: field("train.seed").integer(0, u64::MAX)?,
    };
    if train.batch.saturating_mul(train.unroll) > INDEX {
        return Err(field("train.batch").conflict(
            format_args!(
                "with `train.unroll` = {} that makes more than {INDEX} tokens a step",
                train.unroll
            ),
            "make one of the two smaller",
        ));
    }
    if train.precision == Precision::Mixed && train.fused {
        return Err(field("train.fused").conflict(
            "products of mixed precision have not the bits of the CPU",
            "leave it out, or use `train.precision = \"f32\"`",
        ));
    }
    Ok(train)
}

fn device(document: &Document) -> Result<DeviceConfig> {
    let field = document.field("device.max_binding");
    let most = field.integer(0, COUNT)?;
    if (1..LEAST_BINDING).contains(&most) {
        return Err(field.refuse(format!(
            "0 (what the device allows), or at least {LEAST_BINDING} bytes"
        )));
    }
    Ok(DeviceConfig {
        // Devices bind whole words.
        max_binding: most / 4 * 4,
        table_rows: document.field("device.table_rows").size(0, INDEX)?,
    })
}

fn schedule(document: &Document) -> Result<Schedule> {
    let decay = || {
        let decay = document.field("train.decay");
        decay.number("a number above 0, at most 1", |x| x > 0.0 && x <= 1.0)
    };
    Ok(match document.field("train.schedule").one_of(SCHEDULES)? {
        ScheduleKind::Constant => Schedule::Constant,
        ScheduleKind::Cosine => Schedule::Cosine {
            warmup_steps: document.field("train.warmup_steps").integer(0, COUNT)?,
        },
        ScheduleKind::Exponential => Schedule::Exponential {
            decay: decay()?,
            decay_after: document.field("train.decay_after").integer(0, COUNT)?,
        },
        ScheduleKind::Plateau => Schedule::Plateau { decay: decay()? },
    })
}
