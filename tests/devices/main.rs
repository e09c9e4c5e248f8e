//! Tests the results of kernels, plans and whole runs, on the CPU and on every GPU. Each module lists its
//! trials when the binary starts, because their number depends on the kernels and on the adapters of the
//! machine.
//!
//! `cargo test --release --test devices -- parity` runs those whose name contains `parity`. Without a GPU the trials that need
//! one are ignored; with `REQUIRE_GPU=1` they fail.

#[path = "../common/mod.rs"]
mod common;

mod accuracy;
mod conditions;
mod contract;
mod end_to_end;
mod golden;
mod gpu_executor;
mod interchange;
mod lost;
mod memory;
mod parity;
mod pieces;
mod prediction;
#[cfg(feature = "mpi")]
mod ranks;
mod resume;
mod runs;
mod scale;
mod units;
mod validate;

/// The trials of modules, each under the name of its module.
macro_rules! trials {
    ($($(#[$attribute:meta])* $module:ident),* $(,)?) => {{
        let mut all = Vec::new();
        $(
            $(#[$attribute])*
            all.extend($module::trials().into_iter().map(|trial| trial.named_in(stringify!($module))));
        )*
        all
    }};
}

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = trials![
        accuracy,
        conditions,
        contract,
        parity,
        units,
        gpu_executor,
        golden,
        pieces,
        validate,
        prediction,
        end_to_end,
        resume,
        scale,
        lost,
        memory,
        interchange,
        #[cfg(feature = "mpi")]
        ranks,
    ];
    libtest_mimic::run(&arguments, trials).exit();
}
