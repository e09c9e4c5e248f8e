//! The arguments of `wlstm compare`.

use std::path::PathBuf;

use clap::Args;

use super::super::args::{DeviceArgs, OverrideArgs, count, positive};
use crate::job::comparison::Equal;

/// Train several models under one budget and compare them in a table
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The models take turns on one device. Only a model's own training time counts, so other load on the \
    machine affects all models alike. A model that fails or diverges does not stop the others.\n\
    \n\
    Columns: parameters of the recurrent layers; all parameters; steps; words per second, without the first step, in which \
    the device warms up; times, the speed relative to the first model; by FLOPs, the speed-up that its FLOP count alone would \
    allow; reached, the share of it that was achieved; sooner, the training time to reach the best validation of the first \
    model, divided by the time that the first model needs (interpolated between validations); the best validation perplexity and \
    the last; bits per byte of the best; unknown, the share of unknown words in the validation text, if there are any; device \
    memory.\n\
    \n\
    With --seconds, the comparison shows what each model learns in the same time on this machine. With --epochs or --words, \
    it shows what each model learns from the same amount of text. Without a budget, the limits in the configurations apply; \
    they must be equal.\n\
    \n\
    The folder contains a run of each model, compare.json, compare.md, compare.csv and report.html. Ctrl-C saves, and \
    --resume continues. Each model is an ordinary run: use it with `wlstm generate`, or train it further. At the end the \
    program prints a command that trains the best model from the start, for ten times as long.\n\
    \n\
    A short comparison gives only an indication. A model that takes more steps is also validated more often, which favours \
    its best perplexity, so compare the last perplexities as well. Train for longer if the curves in report.html are still \
    falling, and use --seeds 3: the table then shows means and sample standard deviations, report.html shows a band for each \
    model, and a note names the models that are not significantly worse than the best, by Welch's t-test at 95 % confidence. Means, \
    bands and tests include only runs that trained to the end of the budget.\n\
    \n\
    --equal compares cells at equal size or cost: it chooses model.hidden of every model but the first, as a multiple of 8 that \
    the groups divide. The nearest size must be within 5 % of the first model.\n\
    \n\
    Models may differ in data.tokens and in the vocabulary if they read the same texts. Their perplexities cannot be compared, so \
    the table shows bits per byte first. A lower bound of bits per byte is not ranked. --words and --equal flops need models of \
    the same tokens.\n\
    \n\
    --variants accepts cells with their sizes, for example flstm:factor=64. A --set with several values gives one model for \
    each value.\n\
    \n\
    Examples:\n  \
    wlstm compare configs/shakespeare.toml \\\n      \
    --variants lstmp,flstm:factor=64,glstm:groups=4 --seconds 60\n  \
    wlstm compare configs/text.toml --set data.train=my-text.txt \\\n      \
    --variants lstmp,flstm:factor=64,glstm:groups=4 --seconds 60\n  \
    wlstm compare configs/text.toml --set data.train=my-text.txt \\\n      \
    --set model.groups=2,4,8 --words 1000000 --format markdown\n  \
    wlstm compare configs/text.toml --set data.train=my-text.txt \\\n      \
    --set data.tokens=characters,bpe,words --epochs 2\n  \
    wlstm compare configs/shakespeare.toml \\\n      \
    --variants lstmp,flstm:factor=64,glstm:groups=4 --equal parameters --seeds 3 --seconds 60\n  \
    wlstm compare --resume --out runs/compare"
)]
pub(in crate::cli) struct CompareArgs {
    /// Configuration files (TOML)
    #[arg(required_unless_present = "resume", value_name = "CONFIG")]
    pub configs: Vec<PathBuf>,
    /// Cells to compare in each configuration, for example lstmp,flstm:factor=64,glstm:groups=4
    #[arg(long, value_name = "LIST")]
    pub variants: Vec<String>,
    /// Train each model for this many seconds
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true, group = "budget")]
    pub seconds: Option<f64>,
    /// Train each model for this many optimizer steps
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, group = "budget")]
    pub steps: Option<u64>,
    /// Train each model for this many passes over the text
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, group = "budget")]
    pub epochs: Option<u64>,
    /// Train each model on this many words, rounded up to whole steps
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, group = "budget")]
    pub words: Option<u64>,
    /// Folder of the comparison [default: runs/compare; runs/compare-2 and so on if it exists]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Continue the comparison in --out, or the newest one
    #[arg(long)]
    pub resume: bool,
    /// Seed of all random numbers
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    pub seed: Option<u64>,
    /// Train each model N times, with N consecutive seeds from `train.seed` or --seed on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = seeds, allow_negative_numbers = true, conflicts_with = "resume")]
    pub seeds: u64,
    /// Choose `model.hidden` of each model so that it has as many recurrent parameters, or FLOPs per word, as the first one
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "resume")]
    pub equal: Option<EqualArg>,
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Overrides; an override with several values, such as --set model.groups=2,4,8, gives one model for each
    /// value.
    #[command(flatten)]
    pub overrides: OverrideArgs,
    /// Format of the table
    #[arg(long, value_enum, default_value_t = TableFormat::Text)]
    pub format: TableFormat,
    /// Print one JSON document; the same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// The maximum of `--seeds`.
const MAX_SEEDS: u64 = 100;

/// Parses a number of seeds.
fn seeds(text: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(number) if (1..=MAX_SEEDS).contains(&number) => Ok(number),
        _ => Err(format!("give a whole number from 1 to {MAX_SEEDS}")),
    }
}

/// The quantity that `--equal` makes equal in all models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum EqualArg {
    /// Parameters of the recurrent layers, without embedding and softmax
    Parameters,
    /// FLOPs per trained word, including those of the softmax
    Flops,
}

impl From<EqualArg> for Equal {
    fn from(given: EqualArg) -> Equal {
        match given {
            EqualArg::Parameters => Equal::Parameters,
            EqualArg::Flops => Equal::Flops,
        }
    }
}

/// The format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum TableFormat {
    /// Aligned columns for a terminal
    Text,
    /// Markdown table
    Markdown,
    /// Comma-separated values, all columns
    Csv,
    /// One JSON document
    Json,
}
