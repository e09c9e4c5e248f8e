//! Two properties of a device that bound every step: how fast memory is copied, and the shortest time of a dispatch.

use std::sync::Arc;

use serde::Serialize;

use super::timed::{all_forms, fill, repeated, shortest};
use crate::device::{Executor, Inputs};
use crate::error::Result;
use crate::graph::builder::Builder;
use crate::graph::plan::Role;
use crate::kernel::Kernel;
use crate::kernels::pointwise::{copy, copy_vector};

/// The elements of each array of a copy: 512 MiB, more than caches hold.
const COPIED: usize = 128 << 20;

/// Copies of each form; the first does not count.
const COPIES: usize = 6;

/// Dispatches of a run that measures their time.
const DISPATCHES: usize = 400;

/// Such runs; the shortest counts.
const RUNS: usize = 5;

/// The properties of a device.
#[derive(Clone, Debug, Serialize)]
pub struct Micro {
    /// Copies by each form of the kernel. On the CPU there is one.
    pub copies: Vec<CopyTime>,
    /// Short dispatches in sequence.
    pub dispatches: Vec<DispatchTime>,
}

/// A copy of an array.
#[derive(Clone, Debug, Serialize)]
pub struct CopyTime {
    /// The form of the kernel.
    pub kernel: &'static str,
    /// The bytes that each thread copies.
    pub bytes_per_thread: u64,
    /// The bytes of the array.
    pub bytes: u64,
    /// The time of a copy in seconds.
    pub seconds: f64,
    /// Bytes read and written per second.
    pub bytes_per_second: f64,
}

/// Dispatches of one workgroup.
#[derive(Clone, Debug, Serialize)]
pub struct DispatchTime {
    /// `one` if all write the same buffer, so that each waits for the one before; `disjoint` if each writes its own.
    pub buffers: &'static str,
    /// The number of dispatches.
    pub dispatches: usize,
    /// The time of one in seconds.
    pub seconds: f64,
}

/// Measures all forms of a copy: of 512 MiB, or of the largest binding, or of an eighth of the memory if that is smaller.
pub(super) fn copies(executor: &mut dyn Executor) -> Result<Vec<CopyTime>> {
    let limits = executor.limits();
    let memory = executor.memory_info().bytes.unwrap_or(u64::MAX);
    let len = COPIED.min(limits.slice).min(limits.arena);
    // A whole number of workgroups of every form.
    let len = (len as u64).min(memory / 8 / size_of::<f32>() as u64) >> 12 << 12;
    let len = len as usize;
    let mut builder = Builder::new("copies", &limits);
    let (x, y) = (
        builder.activation("x", [len]),
        builder.activation("y", [len]),
    );
    fill(&mut builder, x);
    let forms = all_forms(executor, &copy::KERNEL);
    for form in &forms {
        let params = copy::Params { len: len as u32 };
        builder.step("copy", form, &params, &[x, y]);
    }
    let plan = repeated(builder.finish(), forms.len(), COPIES);
    let seconds = shortest(executor, plan, forms.len(), COPIES)?;
    let bytes = (size_of::<f32>() * len) as u64;
    let time = |(form, seconds): (&'static Kernel, f64)| CopyTime {
        kernel: form.name,
        bytes_per_thread: match form {
            form if *form == copy_vector::WIDE => 64,
            form if *form == copy_vector::KERNEL => 16,
            _ => 4,
        },
        bytes,
        seconds,
        bytes_per_second: 2.0 * bytes as f64 / seconds,
    };
    Ok(forms.into_iter().zip(seconds).map(time).collect())
}

/// Measures dispatches that write one buffer, and dispatches that write one each.
pub(super) fn dispatches(executor: &mut dyn Executor) -> Result<Vec<DispatchTime>> {
    let measure = |buffers| {
        let mut builder = Builder::new("dispatches", &executor.limits());
        let len = 64;
        let x = builder.persistent(Role::Parameter, "bench.x", [len]);
        for k in 0..DISPATCHES {
            let name = match buffers {
                "one" => "bench.y".to_owned(),
                _ => format!("bench.y.{k}"),
            };
            let y = if k == 0 || buffers != "one" {
                builder.persistent(Role::Parameter, &name, [len])
            } else {
                builder.kept(&name)
            };
            let params = copy::Params { len: len as u32 };
            builder.step("copy", &copy::KERNEL, &params, &[x, y]);
        }
        let id = executor.load(Arc::new(builder.finish()))?;
        let mut seconds = f64::INFINITY;
        for _ in 0..RUNS {
            seconds = seconds.min(executor.time(id, &Inputs::new())?);
        }
        Ok(DispatchTime {
            buffers,
            dispatches: DISPATCHES,
            seconds: seconds / DISPATCHES as f64,
        })
    };
    ["one", "disjoint"].into_iter().map(measure).collect()
}
