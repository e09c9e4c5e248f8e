//! The arguments of `wlstm bench`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::super::args::{OverrideArgs, count, positive};
use crate::bench::kernels::Part;
use crate::kernel::Change;

/// Measure training steps and kernels
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Without a subcommand, measures all kernels, and training steps of a built-in model with every cell. \
    Kernels are compared with the measured peak of the device, in arithmetic or in memory bandwidth; data that stays in a \
    cache can exceed 100 %.\n\
    \n\
    Examples:\n  \
    wlstm bench --json > before.json\n  \
    wlstm bench --baseline before.json\n  \
    wlstm bench step configs/bench.toml --set model.groups=8 --profile\n  \
    wlstm bench step configs/lm1b-g4.toml --device gpu --json"
)]
pub(in crate::cli) struct BenchArgs {
    /// The measurement.
    #[command(subcommand)]
    pub what: Option<BenchCommand>,
    /// Where to compute: auto, cpu, gpu, gpu:N (number N of `wlstm devices`) or gpu:TEXT (the adapter whose name contains
    /// TEXT), for example gpu:nvidia
    #[arg(long, value_name = "SEL", default_value = "auto", global = true)]
    pub device: String,
    /// Print one JSON document
    #[arg(long, global = true)]
    pub json: bool,
    /// Also print the speed relative to an earlier measurement of the same kernels or configuration, from a file with the
    /// output of --json
    #[arg(long, value_name = "FILE", global = true)]
    pub baseline: Option<PathBuf>,
}

/// The measurements of `wlstm bench`.
#[derive(Clone, Debug, Subcommand)]
pub(in crate::cli) enum BenchCommand {
    /// Measure each kernel separately, and the peak performance of the device
    Kernels(BenchKernelsArgs),
    /// Measure training steps of a configuration, on random text
    Step(BenchStepArgs),
}

/// `wlstm bench kernels`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The products have a batch of 128 and 20 time steps, and the pieces that plans for the device have. The CPU and \
    software GPUs measure them at reduced sizes, and so does a GPU on which one would take more than 10 ms. FLOP/s are compared \
    with the peak of matrix units where a form uses them.\n\
    \n\
    Examples:\n  \
    wlstm bench kernels --only products --json > before.json\n  \
    wlstm bench kernels --only products --baseline before.json"
)]
pub(in crate::cli) struct BenchKernelsArgs {
    /// Measure only kernels whose name contains this text
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub filter: String,
    /// Measure only this part (can be given several times): cases (each kernel at small sizes), products (each form of the
    /// matrix products of the paper's models) or micro (copies of memory and short dispatches)
    #[arg(long, value_name = "PART", value_parser = part())]
    pub only: Vec<Part>,
}

/// `wlstm bench step`.
#[derive(Clone, Debug, Args)]
#[command(after_help = about_steps())]
pub(in crate::cli) struct BenchStepArgs {
    /// Configuration file (TOML)
    pub config: PathBuf,
    /// Print tables of the parts of a step and of its kernels: time, share, and the floor, the shortest time that the measured
    /// peaks of the device allow
    #[arg(long)]
    pub profile: bool,
    /// Measure at most this many steps
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = count, allow_negative_numbers = true)]
    pub steps: u64,
    /// Measure for at most this many seconds, but at least three steps
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = positive)]
    pub seconds: f64,
    /// Disable one optimization, to measure its gain (can be given several times)
    #[arg(long, value_name = "NAME", value_parser = change())]
    pub without: Vec<Change>,
    /// Overrides.
    #[command(flatten)]
    pub overrides: OverrideArgs,
}

/// The end of the help of `bench step`.
fn about_steps() -> String {
    let mut text = "The text is random. The size of the vocabulary is data.vocab_size, or that of the vocabulary file.\n\n\
        The floor of a part is the time of its FLOPs at the peak in registers (of matrix units, for products of f16), or of its bytes \
        at the peak of a copy, whichever is longer. Bytes count each element that a kernel reads or writes once, without the pieces of \
        products. A kernel whose data stays in a cache can be faster than its floor.\n\n\
        Optimizations to disable:\n"
        .to_owned();
    for change in Change::ALL {
        let place = if change.is_for_gpus() { " (GPUs)" } else { "" };
        text += &format!("  {:<15}{}{place}\n", change.name(), change.describe());
    }
    text
}

/// Parses the name of a part.
fn part() -> impl TypedValueParser<Value = Part> {
    PossibleValuesParser::new(Part::ALL.map(Part::name)).try_map(|given| {
        let part = Part::ALL.into_iter().find(|part| part.name() == given);
        part.ok_or("not the name of a part")
    })
}

/// Parses the name of a change.
fn change() -> impl TypedValueParser<Value = Change> {
    PossibleValuesParser::new(Change::ALL.map(Change::name)).try_map(|given| {
        let change = Change::ALL
            .into_iter()
            .find(|change| change.name() == given);
        change.ok_or("not the name of a change")
    })
}
