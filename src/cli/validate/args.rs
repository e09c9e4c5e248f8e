//! The arguments of `wlstm validate`.

use clap::Args;

/// Check every kernel of a device against its reference
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Runs every kernel on all its cases, in f32 and, where the device supports it, in f16, and compares the \
    results with f64 on the CPU. Then trains twelve small models, which cover every cell, for three steps, and compares them \
    with reference values from another implementation. Exits with code 6 if any result is wrong. Attach the output to bug \
    reports.\n\
    \n\
    For each kernel, prints the largest errors and the position of the largest one, the time, and GFLOP/s or GB/s. Errors are \
    absolute, relative, in ulp, and as a share of the tolerance; only the last decides whether a kernel passes. With --device \
    cpu no shader runs: this checks the CPU kernels.\n\
    \n\
    Relative errors and ulp (units in the last place) cover the elements that are at least 1/1024 of the largest element of \
    their output.\n\
    \n\
    Examples:\n  \
    wlstm validate\n  \
    wlstm validate --device gpu:nvidia --filter matmul\n  \
    wlstm validate --all --json > validate.json"
)]
pub(in crate::cli) struct ValidateArgs {
    /// Where to compute: auto, cpu, gpu, gpu:N (number N of `wlstm devices`) or gpu:TEXT (the adapter whose name contains
    /// TEXT), for example gpu:nvidia
    #[arg(
        long,
        value_name = "SEL",
        default_value = "auto",
        conflicts_with = "all"
    )]
    pub device: String,
    /// Check every adapter through every backend, OpenGL included, and the CPU
    #[arg(long)]
    pub all: bool,
    /// Check only kernels and models whose name contains this text, for example matmul/product or golden/lstmp
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub filter: String,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
