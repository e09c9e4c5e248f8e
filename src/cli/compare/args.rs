//! The arguments of `wlstm compare`.

use std::path::PathBuf;

use clap::Args;

use super::super::args::{DeviceArgs, OverrideArgs, positive};

/// Train several models by turns under one budget, and print them in one table
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The models train by turns on one device, and only their own time of training counts, so that what else the machine does \
    concerns all alike. The columns: parameters of the recurrent layers and all, steps, words a second, times those of the first model, what \
    that would be if only FLOPs counted, the share of it that was reached, the best validation perplexity, memory of the device. The folder \
    keeps a run of each model, compare.json, compare.md, compare.csv and report.html. Without a budget, the limits of the \
    configurations hold, if they are alike. After Ctrl-C --resume goes on. The best of short comparisons is a hint: last beside best \
    perplexity, the curves of report.html and another --seed say how good a one. Each model is a run, to generate from or to train for \
    longer.\n\n\
    --variants takes cells with what they need, as flstm:factor=64; a --set with several values is a model for each.\n\n\
    Examples:\n  \
    wlstm compare configs/shakespeare.toml \\\n      --variants lstmp,flstm:factor=64,glstm:groups=4 --seconds 60\n  \
    wlstm compare configs/text.toml --set data.train=my-text.txt \\\n      --variants lstmp,flstm:factor=64,glstm:groups=4 --seconds 60\n  \
    wlstm compare configs/text.toml --set data.train=my-text.txt \\\n      --set model.groups=2,4,8 --words 1000000 --format markdown\n  \
    wlstm compare --resume --out runs/compare"
)]
pub(in crate::cli) struct CompareArgs {
    /// The configurations, TOML files
    #[arg(required_unless_present = "resume", value_name = "CONFIG")]
    pub configs: Vec<PathBuf>,
    /// Cells to compare in each configuration, as lstmp,flstm:factor=64,glstm:groups=4
    #[arg(long, value_name = "LIST")]
    pub variants: Vec<String>,
    /// Trains each model for this many seconds
    #[arg(long, value_name = "N", value_parser = positive, group = "budget")]
    pub seconds: Option<f64>,
    /// Trains each model for this many optimizer steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), group = "budget")]
    pub steps: Option<u64>,
    /// Trains each model for this many passes over the text
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), group = "budget")]
    pub epochs: Option<u64>,
    /// Trains each model on this many words, rounded up to whole steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), group = "budget")]
    pub words: Option<u64>,
    /// The folder of the comparison; by default runs/compare, or runs/compare-2 and so on if that is taken
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Goes on with the comparison in --out (by default the newest)
    #[arg(long)]
    pub resume: bool,
    /// The key of every random number
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    pub seed: Option<u64>,
    /// Where to train.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Overrides of the configurations; one with several values, as --set model.groups=2,4,8, makes a model for each.
    #[command(flatten)]
    pub overrides: OverrideArgs,
    /// How the table is printed
    #[arg(long, value_enum, default_value_t = TableFormat::Text)]
    pub format: TableFormat,
    /// Prints one JSON document: --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// How a table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum TableFormat {
    /// For people
    Text,
    /// A table of Markdown
    Markdown,
    /// Comma-separated values, all columns
    Csv,
    /// One JSON document
    Json,
}
