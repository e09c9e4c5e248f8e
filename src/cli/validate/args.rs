//! The arguments of `wlstm validate`.

use clap::Args;

/// Hold every kernel on a device against its reference
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Every kernel runs all its cases, in f32 and in f16 where the device has it, and is compared with f64 on the CPU; then \
    twelve small models, every cell among them, are trained for three steps and compared with values that were computed elsewhere. \
    Ends with exit code 6 if anything disagrees. What it prints belongs into a bug report.\n\n\
    Relative errors and ulp (units in the last place) are of the elements that are at least 1/1024 of the largest of their output.\n\n\
    Examples:\n  \
    wlstm validate\n  \
    wlstm validate --device gpu:nvidia --filter matmul\n  \
    wlstm validate --all --json > validate.json"
)]
pub(in crate::cli) struct ValidateArgs {
    /// Where to compute: auto, cpu, gpu, gpu:N, or part of an adapter's name, as gpu:nvidia
    #[arg(
        long,
        value_name = "SEL",
        default_value = "auto",
        conflicts_with = "all"
    )]
    pub device: String,
    /// Every adapter through every backend (OpenGL too), and the CPU
    #[arg(long)]
    pub all: bool,
    /// Only kernels and models whose name contains this, as matmul/product or golden/lstmp
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub filter: String,
    /// Prints one JSON document
    #[arg(long)]
    pub json: bool,
}
