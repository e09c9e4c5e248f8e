//! One kernel alone: a case of its own on any executor, its twins on the same numbers, and the comparison of both.
//!
//! Serves the parity test, `wlstm validate` and benches. A case becomes a plan of one step, so what is tested is what
//! trains: real slices are persistent tensors, index slices are inputs. Every slice begins at an odd place in a tensor
//! that is longer on both sides, and the elements around it are looked at afterwards.

use std::fmt;
use std::sync::Arc;

use super::{Data, Executor, Inputs};
use crate::error::{Error, Kind, Result};
use crate::graph::plan::{Place, Plan, Slice, Step, TensorId, TensorInfo};
use crate::kernel::{Access, Buffer, Buffers, Case, Fill, Kernel, Run};
use crate::random::{Purpose, Stream};
use crate::real::Real;
use crate::tensor::{Dtype, Shape};

/// What stands around every slice.
const SENTINEL: f32 = -7654.321;

/// The numbers of one binding.
#[derive(Clone, Debug, PartialEq)]
pub enum Contents {
    /// Real numbers.
    Real(Vec<f32>),
    /// Indices.
    Index(Vec<u32>),
}

impl Contents {
    fn len(&self) -> usize {
        match self {
            Contents::Real(values) => values.len(),
            Contents::Index(values) => values.len(),
        }
    }
}

/// The numbers of a case before it runs, one for each binding: the same for the same kernel, case and seed.
pub fn fill(kernel: &Kernel, case: &Case, seed: u64) -> Vec<Contents> {
    // FNV-1a, so that two cases do not see the same numbers.
    let text = kernel.name.bytes().chain(case.label.bytes());
    let hash = text.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut stream = Stream::new(seed, Purpose::Initialise, hash);
    case.buffers
        .iter()
        .map(|fill| match fill {
            Fill::Uniform { len, low, high } => {
                let width = f64::from(*high) - f64::from(*low);
                let mut draw = || (f64::from(*low) + width * stream.uniform()) as f32;
                Contents::Real((0..*len).map(|_| draw()).collect())
            }
            Fill::Values(values) => Contents::Real(values.clone()),
            Fill::Indices(values) => Contents::Index(values.clone()),
            Fill::Output(len) => Contents::Real(vec![f32::NAN; *len]),
        })
        .collect()
}

/// Runs a case on an executor; gives what each real binding holds afterwards (nothing for index bindings).
///
/// # Errors
///
/// Mismatch, if the kernel changed an element outside of what it may write; else what the executor says.
pub fn run_case(
    executor: &mut dyn Executor,
    kernel: &'static Kernel,
    case: &Case,
    contents: &[Contents],
) -> Result<Vec<Vec<f32>>> {
    let margins: Vec<(usize, usize)> = (0..contents.len())
        .map(|k| margins(k, kernel.bindings[k].lanes))
        .collect();
    let plan = one_step(kernel, case, contents, &margins);
    let names: Vec<String> = plan.tensors.iter().map(|info| info.name.clone()).collect();
    let id = executor.load(Arc::new(plan))?;
    let mut inputs = Inputs::new();
    for (k, contents) in contents.iter().enumerate() {
        let (front, back) = margins[k];
        match contents {
            Contents::Real(values) => {
                executor.write(&names[k], &fenced(values, front, back, SENTINEL))?;
            }
            Contents::Index(values) => {
                let data = Data::Index(fenced(values, front, back, 0));
                inputs.push((kernel.bindings[k].name, data));
            }
        }
    }
    executor.run(id, &inputs)?;
    executor.fetch()?;
    let mut results = Vec::with_capacity(contents.len());
    for (k, contents) in contents.iter().enumerate() {
        let Contents::Real(before) = contents else {
            results.push(Vec::new());
            continue;
        };
        let binding = &kernel.bindings[k];
        let mut after = executor.read(&names[k])?;
        let front = margins[k].0;
        let end = front + before.len();
        let touched = |at: usize, value: f32| {
            Error::new(
                Kind::Mismatch,
                format!(
                    "{} ({}): element {} of `{}` was overwritten with {value}, outside of 0..{}",
                    kernel.name,
                    case.label,
                    at as i64 - front as i64,
                    binding.name,
                    before.len()
                ),
            )
        };
        let outside = |at: usize| at < front || at >= end;
        let intact = |at: usize, value: f32| value.to_bits() == SENTINEL.to_bits() || !outside(at);
        if let Some((at, &value)) = after.iter().enumerate().find(|(at, v)| !intact(*at, **v)) {
            return Err(touched(at, value));
        }
        after.truncate(end);
        after.drain(..front);
        let same = |x: &f32, y: &f32| x.to_bits() == y.to_bits();
        if binding.access == Access::Read && !after.iter().zip(before).all(|(x, y)| same(x, y)) {
            return Err(Error::new(
                Kind::Mismatch,
                format!(
                    "{} ({}): `{}` is only read, and was changed",
                    kernel.name, case.label, binding.name
                ),
            ));
        }
        results.push(after);
    }
    Ok(results)
}

/// Elements before and after the slice of binding `k`: an odd number of vectors before, past an aligned place for every
/// second binding.
fn margins(k: usize, lanes: usize) -> (usize, usize) {
    let front = lanes * (2 * k + 1) + if k % 2 == 1 { 64 } else { 0 };
    (front, 64 + lanes)
}

fn fenced<T: Copy>(values: &[T], front: usize, back: usize, fence: T) -> Vec<T> {
    let mut all = vec![fence; front];
    all.extend_from_slice(values);
    all.resize(front + values.len() + back, fence);
    all
}

fn one_step(
    kernel: &'static Kernel,
    case: &Case,
    contents: &[Contents],
    margins: &[(usize, usize)],
) -> Plan {
    assert_eq!(
        contents.len(),
        kernel.bindings.len(),
        "{} ({})",
        kernel.name,
        case.label
    );
    let mut plan = Plan {
        name: format!("{} ({})", kernel.name, case.label),
        ..Plan::default()
    };
    let mut slices = Vec::new();
    for (k, (binding, contents)) in kernel.bindings.iter().zip(contents).enumerate() {
        let (front, back) = margins[k];
        let len = contents.len();
        let whole = front + len + back;
        let (name, dtype, place) = match contents {
            // Named by its size, so that the cases that follow use the same memory.
            Contents::Real(_) => (format!("case.{k}.{whole}"), Dtype::Real, Place::Persistent),
            Contents::Index(_) => (binding.name.to_owned(), Dtype::Index, Place::Input),
        };
        plan.tensors.push(TensorInfo {
            name,
            shape: Shape::from([whole]),
            dtype,
            place,
        });
        slices.push(Slice {
            tensor: TensorId(k as u32),
            offset: front,
            len,
        });
    }
    plan.steps.push(Step {
        label: case.label.to_owned(),
        kernel,
        params: case.params.clone(),
        slices,
        grid: (kernel.grid)(&case.params),
    });
    plan
}

/// Runs a CPU implementation of a kernel on these numbers; gives what each real binding holds afterwards (nothing for
/// index bindings). `run` is one of the kernel's twins, or its fast way.
pub fn run_on_host<R: Real>(
    kernel: &Kernel,
    run: Run<R>,
    params: &[u32],
    contents: &[Contents],
) -> Vec<Vec<R>> {
    let mut reals: Vec<Vec<R>> = contents
        .iter()
        .map(|contents| match contents {
            Contents::Real(values) => values.iter().map(|value| R::from_f32(*value)).collect(),
            Contents::Index(_) => Vec::new(),
        })
        .collect();
    let slots = reals.iter_mut().zip(contents).zip(kernel.bindings);
    let mut buffers =
        Buffers::new(slots.map(
            |((real, contents), binding)| match (contents, binding.access) {
                (Contents::Index(values), _) => Buffer::Index(values),
                (Contents::Real(_), Access::Read) => Buffer::Read(real),
                (Contents::Real(_), _) => Buffer::Write(real),
            },
        ));
    run(params, &mut buffers);
    reals
}

/// What a case must give: the `f64` twin on the same numbers.
pub fn reference(kernel: &Kernel, case: &Case, contents: &[Contents]) -> Vec<Vec<f64>> {
    run_on_host(kernel, kernel.twin.double, &case.params, contents)
}

/// The worst disagreement with the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The binding.
    pub binding: &'static str,
    /// The element of its slice.
    pub element: usize,
    /// What was computed.
    pub got: f64,
    /// What the reference says.
    pub want: f64,
    /// `|got - want| / (1 + |want|)`; NaN where it cannot be told.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
}

impl Difference {
    /// Whether the error is allowed. A NaN is not.
    pub fn is_tolerable(&self) -> bool {
        self.error <= self.tolerance
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}[{}] is {} where the reference has {}: error {:.3e}, tolerance {:.3e}",
            self.binding, self.element, self.got, self.want, self.error, self.tolerance
        )
    }
}

/// The worst difference over all bindings that are written; nothing where every one is exact.
///
/// # Panics
///
/// If the numbers of elements differ.
pub fn compare<R: Real>(
    kernel: &Kernel,
    case: &Case,
    got: &[Vec<R>],
    want: &[Vec<f64>],
) -> Option<Difference> {
    let tolerance = case.tolerance();
    let mut worst: Option<Difference> = None;
    for (binding, (got, want)) in kernel.bindings.iter().zip(got.iter().zip(want)) {
        assert_eq!(got.len(), want.len(), "{}: {}", kernel.name, binding.name);
        if binding.access == Access::Read {
            continue;
        }
        for (element, (got, &want)) in got.iter().zip(want).enumerate() {
            let got = got.to_f64();
            // Infinities agree only with themselves; their difference would be NaN.
            if got == want {
                continue;
            }
            let error = if want.is_finite() {
                (got - want).abs() / (1.0 + want.abs())
            } else {
                f64::NAN
            };
            let worse = match &worst {
                None => true,
                Some(worst) => !worst.error.is_nan() && (error.is_nan() || error > worst.error),
            };
            if worse {
                worst = Some(Difference {
                    binding: binding.name,
                    element,
                    got,
                    want,
                    error,
                    tolerance,
                });
            }
        }
    }
    worst
}
