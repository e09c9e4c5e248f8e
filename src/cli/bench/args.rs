//! The arguments of `wlstm bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::super::args::{OverrideArgs, positive};

/// Measure training steps and kernels
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Without a subcommand, measures all kernels, and the steps of a built-in model with every cell.\n\n\
    Examples:\n  \
    wlstm bench\n  \
    wlstm bench step configs/bench.toml --set model.groups=8 --profile\n  \
    wlstm bench step configs/lm1b-g4.toml --device gpu --json"
)]
pub(in crate::cli) struct BenchArgs {
    /// What is measured.
    #[command(subcommand)]
    pub what: Option<BenchCommand>,
    /// Where to compute: auto, cpu, gpu, gpu:N, or part of an adapter's name, as gpu:nvidia
    #[arg(long, value_name = "SEL", default_value = "auto", global = true)]
    pub device: String,
    /// Prints one JSON document
    #[arg(long, global = true)]
    pub json: bool,
}

/// What `wlstm bench` measures.
#[derive(Clone, Debug, Subcommand)]
pub(in crate::cli) enum BenchCommand {
    /// Each kernel alone, and what the device reaches at best
    Kernels(BenchKernelsArgs),
    /// Training steps of a configuration; its text is not read
    Step(BenchStepArgs),
}

/// `wlstm bench kernels`.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct BenchKernelsArgs {
    /// Measures the kernels whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub filter: String,
}

/// `wlstm bench step`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The text is made up; the size of the vocabulary is data.vocab_size, or that of the vocabulary file."
)]
pub(in crate::cli) struct BenchStepArgs {
    /// The configuration, a TOML file
    pub config: PathBuf,
    /// Prints a table by kernel: calls, time, share, GFLOP/s, GB/s
    #[arg(long)]
    pub profile: bool,
    /// Measures at most this many steps
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: u64,
    /// Measures at most this many seconds, and at least three steps
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = positive)]
    pub seconds: f64,
    /// Overrides of the configuration.
    #[command(flatten)]
    pub overrides: OverrideArgs,
}
