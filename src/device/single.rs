//! Runs one case of one kernel on any executor, runs its twins on the same data, and compares the two.
//!
//! A case becomes a plan of one step, so tests use the same code as training: real slices are persistent tensors, index slices
//! are inputs. Every slice begins at an odd offset in a longer tensor, and the elements around it are checked afterwards.

use std::fmt;
use std::sync::Arc;

use half::f16;

use super::executor::{Data, Executor, Inputs, PlanId};
use crate::digest::Fnv1a;
use crate::error::{Error, Kind, Result};
use crate::graph::plan::{Plan, Role, Slice, Step, Storage, TensorId, TensorInfo};
use crate::kernel::{Access, Buffer, Buffers, Case, CpuFn, Fill, Halves, Kernel};
use crate::random::{Purpose, Stream};
use crate::real::Real;
use crate::tensor::{Dtype, Shape};

/// The value of the elements around every slice; exact in `f16`.
const SENTINEL: f32 = -7652.0;

/// The minimum number of elements between slices.
const MARGIN: usize = 68;

/// The contents of one binding.
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

/// The contents of each binding before a case runs; determined by kernel, case and seed.
pub fn fill(kernel: &Kernel, case: &Case, seed: u64) -> Vec<Contents> {
    // Different cases get different numbers.
    let name = Fnv1a::of(kernel.name.bytes().chain(case.label.bytes()));
    let mut stream = Stream::new(seed, Purpose::Initialise, name.value());
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

/// Rounds the contents of the bindings in `halves` to `f16`.
pub fn rounded(mut contents: Vec<Contents>, halves: Halves) -> Vec<Contents> {
    for (k, contents) in contents.iter_mut().enumerate() {
        if let Contents::Real(values) = contents
            && halves.has(k)
        {
            for value in values {
                *value = f16::from_f32(*value).to_f32();
            }
        }
    }
    contents
}

/// How the real slices of a case are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Each in its own tensor.
    Apart,
    /// All in one tensor, as in the arenas of plans. Devices then compile [`Kernel::source`] as `aliased`.
    Together,
}

/// Runs a case on an executor, with the bindings in `halves` as `f16`. Returns the contents of each real
/// binding afterwards (empty for index bindings).
///
/// # Errors
///
/// [`Kind::Mismatch`] if the kernel changed an element that it must not write; otherwise the errors of the executor.
pub fn run_case(
    executor: &mut dyn Executor,
    kernel: &'static Kernel,
    case: &Case,
    contents: &[Contents],
    layout: Layout,
    halves: Halves,
) -> Result<Vec<Vec<f32>>> {
    let packed = executor.limits().packed;
    let (plan, mut images) = one_step(kernel, case, contents, layout, halves, packed);
    let (slices, tensors) = (plan.steps[0].slices.clone(), plan.tensors.clone());
    let (id, inputs) = load(executor, plan, &images)?;
    executor.run(id, &inputs)?;
    executor.fetch()?;

    let mismatch = |what: String| {
        let place = format!("{} ({})", kernel.name, case.label);
        Error::new(Kind::Mismatch, format!("{place}: {what}"))
    };
    for (k, (info, image)) in tensors.iter().zip(&mut images).enumerate() {
        let Contents::Real(before) = image else {
            continue;
        };
        let after = executor.read(&info.name)?;
        for (at, (old, new)) in before.iter().zip(&after).enumerate() {
            let writable = kernel.bindings.iter().zip(&slices).any(|(binding, slice)| {
                binding.access != Access::Read
                    && slice.tensor.0 as usize == k
                    && (slice.offset..slice.offset + slice.len).contains(&at)
            });
            if !writable && old.to_bits() != new.to_bits() {
                let (name, element) = nearest(kernel, &slices, k, at);
                return Err(mismatch(format!(
                    "`{name}`[{element}], which it must not write, changed from {old} to {new}"
                )));
            }
        }
        *before = after;
    }
    let results = slices
        .iter()
        .map(|slice| match &images[slice.tensor.0 as usize] {
            Contents::Real(values) => values[slice.offset..slice.offset + slice.len].to_vec(),
            Contents::Index(_) => Vec::new(),
        });
    Ok(results.collect())
}

/// Runs a case `times` times on an executor. Returns the seconds of each run.
///
/// # Errors
///
/// Those of the executor.
pub fn time_case(
    executor: &mut dyn Executor,
    kernel: &'static Kernel,
    case: &Case,
    times: usize,
    halves: Halves,
) -> Result<Vec<f64>> {
    let contents = rounded(fill(kernel, case, 1), halves);
    let packed = executor.limits().packed;
    let (mut plan, images) = one_step(kernel, case, &contents, Layout::Apart, halves, packed);
    plan.fused = false;
    let step = plan.steps[0].clone();
    plan.steps.resize(times, step);
    let (id, inputs) = load(executor, plan, &images)?;
    Ok(executor.profile(id, &inputs)?.seconds)
}

/// Loads the plan of a case and writes its tensors. Returns its inputs.
fn load(executor: &mut dyn Executor, plan: Plan, images: &[Contents]) -> Result<(PlanId, Inputs)> {
    let (step, tensors) = (plan.steps[0].clone(), plan.tensors.clone());
    let id = executor.load(Arc::new(plan))?;
    let mut inputs = Inputs::new();
    for (binding, slice) in step.kernel.bindings.iter().zip(&step.slices) {
        if let Contents::Index(image) = &images[slice.tensor.0 as usize] {
            inputs.push((binding.name, Data::Index(image.clone())));
        }
    }
    for (info, image) in tensors.iter().zip(images) {
        if let Contents::Real(values) = image {
            executor.write(&info.name, values)?;
        }
    }
    Ok((id, inputs))
}

/// The binding whose slice is nearest to element `at` of tensor `tensor`, and the index of that element relative to the slice.
fn nearest(kernel: &Kernel, slices: &[Slice], tensor: usize, at: usize) -> (&'static str, i64) {
    let bindings = kernel.bindings.iter().zip(slices);
    let here = bindings.filter(|(_, slice)| slice.tensor.0 as usize == tensor);
    let distance = |slice: &Slice| {
        let end = slice.offset + slice.len;
        slice
            .offset
            .saturating_sub(at)
            .max((at + 1).saturating_sub(end))
    };
    let (binding, slice) = here
        .min_by_key(|(_, slice)| distance(slice))
        .expect("every tensor of a case has a slice");
    (binding.name, at as i64 - slice.offset as i64)
}

/// The plan of a case, and the initial contents of its tensors: the slices with sentinels around them.
fn one_step(
    kernel: &'static Kernel,
    case: &Case,
    contents: &[Contents],
    layout: Layout,
    halves: Halves,
    packed: bool,
) -> (Plan, Vec<Contents>) {
    let name = format!("{} ({})", kernel.name, case.label);
    assert_eq!(contents.len(), kernel.bindings.len(), "{name}");
    let mut images: Vec<Contents> = Vec::new();
    let mut places: Vec<(usize, usize)> = Vec::new();
    // The tensor that all `f32` slices share, and that of the `f16` slices.
    let mut together = [None; 2];
    for (k, (binding, contents)) in kernel.bindings.iter().zip(contents).enumerate() {
        let lanes = binding.lanes;
        places.push(match contents {
            Contents::Index(values) => {
                let front = 2 * k + 1;
                let mut image = vec![0; front];
                image.extend(values);
                image.resize(image.len() + MARGIN, 0);
                images.push(Contents::Index(image));
                (images.len() - 1, front)
            }
            Contents::Real(values) => {
                let shared = &mut together[usize::from(halves.has(k))];
                let tensor = match (layout, *shared) {
                    (Layout::Together, Some(tensor)) => tensor,
                    _ => {
                        images.push(Contents::Real(Vec::new()));
                        images.len() - 1
                    }
                };
                *shared = Some(tensor);
                let Contents::Real(image) = &mut images[tensor] else {
                    unreachable!("real slices lie in real tensors");
                };
                // An odd number of vectors from the start, and past an aligned offset for every second binding.
                let vectors = image.len().div_ceil(lanes) + k % 2 * MARGIN;
                let front = lanes * (vectors / 2 * 2 + 1);
                image.resize(front, SENTINEL);
                image.extend(values);
                image.resize(image.len() + MARGIN, SENTINEL);
                (tensor, front)
            }
        });
    }
    let mut tensors = Vec::new();
    for (k, image) in images.iter().enumerate() {
        let owner = places
            .iter()
            .position(|(tensor, _)| *tensor == k)
            .expect("a slice");
        // Named by size, so that later cases reuse the memory.
        let (name, dtype, storage) = match image {
            Contents::Index(_) => (
                kernel.bindings[owner].name.to_owned(),
                Dtype::Index,
                Storage::Input,
            ),
            Contents::Real(values) if halves.has(owner) => (
                format!("case.{k}.{}.half", values.len()),
                Dtype::Half,
                Storage::Persistent(Role::Parameter),
            ),
            Contents::Real(values) => (
                format!("case.{k}.{}", values.len()),
                Dtype::Real,
                Storage::Persistent(Role::Parameter),
            ),
        };
        tensors.push(TensorInfo {
            piece: image.len(),
            name,
            shape: Shape::from([image.len()]),
            dtype,
            storage,
        });
    }
    let slices = places
        .iter()
        .zip(contents)
        .map(|(&(tensor, offset), contents)| Slice {
            tensor: TensorId(tensor as u32),
            offset,
            len: contents.len(),
        });
    let step = Step {
        label: case.label.to_owned(),
        kernel,
        params: case.params.clone(),
        slices: slices.collect(),
        grid: (kernel.grid)(&case.params),
    };
    let plan = Plan {
        name,
        tensors,
        steps: vec![step],
        arenas: Vec::new(),
        packed,
        // Tests both ways of computing multiply-adds.
        fused: layout == Layout::Apart,
    };
    (plan, images)
}

/// Runs a CPU implementation of a kernel: one of its twins, or its fast implementation. Returns the contents of each real binding
/// afterwards (empty for index bindings).
pub fn run_on_host<R: Real>(
    kernel: &Kernel,
    run: CpuFn<R>,
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
    let mut buffers = Buffers::new(
        kernel.bindings,
        slots.map(
            |((real, contents), binding)| match (contents, binding.access) {
                (Contents::Index(values), _) => Buffer::Index(values),
                (Contents::Real(_), Access::Read) => Buffer::Read(real),
                (Contents::Real(_), _) => Buffer::Write(real),
            },
        ),
    );
    run(params, &mut buffers);
    reals
}

/// The expected results of a case: those of the `f64` twin on the same data.
pub fn reference(kernel: &Kernel, case: &Case, contents: &[Contents]) -> Vec<Vec<f64>> {
    run_on_host(kernel, kernel.twin.double, &case.params, contents)
}

/// The largest error against the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The binding.
    pub binding: &'static str,
    /// The index of the element in its slice.
    pub element: usize,
    /// The computed value.
    pub got: f64,
    /// The reference value.
    pub want: f64,
    /// See [`Case::error`]; NaN if the reference is not finite.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
}

impl Difference {
    /// Whether the error is within the tolerance. NaN is not.
    pub fn is_tolerable(&self) -> bool {
        self.error <= self.tolerance
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}[{}] is {}, and the reference is {}: error {:.3e}, tolerance {:.3e}",
            self.binding, self.element, self.got, self.want, self.error, self.tolerance
        )
    }
}

/// The value as stored: in `f16`, infinity if it rounds beyond the largest finite number.
pub fn as_stored(value: f64, half: bool) -> f64 {
    if half && value.abs() >= 65_520.0 {
        value.signum() * f64::INFINITY
    } else {
        value
    }
}

/// The largest difference over all written bindings, as a share of its tolerance; `None` if all are exact.
/// Bindings in `halves` are compared with the tolerance of `f16`.
///
/// # Panics
///
/// If the numbers of elements differ.
pub fn compare<R: Real>(
    kernel: &Kernel,
    case: &Case,
    got: &[Vec<R>],
    want: &[Vec<f64>],
    halves: Halves,
) -> Option<Difference> {
    let mut worst: Option<Difference> = None;
    for (k, (binding, (got, want))) in kernel.bindings.iter().zip(got.iter().zip(want)).enumerate()
    {
        let tolerance = if halves.has(k) {
            case.tolerance_of_half()
        } else {
            case.tolerance()
        };
        assert_eq!(got.len(), want.len(), "{}: {}", kernel.name, binding.name);
        if binding.access == Access::Read {
            continue;
        }
        for (element, (got, &want)) in got.iter().zip(want).enumerate() {
            let got = got.to_f64();
            let want = as_stored(want, halves.has(k));
            // Also covers equal infinities, whose difference is NaN.
            if got == want {
                continue;
            }
            let error = if want.is_finite() {
                case.error(got, want)
            } else {
                f64::NAN
            };
            let worse = match &worst {
                None => true,
                Some(worst) => {
                    let excess = error / tolerance > worst.error / worst.tolerance;
                    !worst.error.is_nan() && (error.is_nan() || excess)
                }
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
