//! The plan of a case.

use super::contents::Contents;
use crate::graph::plan::{Plan, Role, Slice, Step, Storage, TensorId, TensorInfo};
use crate::kernel::{Case, Halves, Kernel};
use crate::tensor::{Dtype, Shape};

/// The value of the elements around every slice; exact in `f16`.
const SENTINEL: f32 = -7652.0;

/// The minimum number of elements between slices.
const MARGIN: usize = 68;

/// How the real slices of a case are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Each in its own tensor.
    Apart,
    /// All in one tensor, as in the arenas of plans. Devices then compile [`Kernel::source`] as `aliased`.
    Together,
}

/// The plan of a case, and the initial contents of its tensors: the slices with sentinels around them.
pub fn one_step(
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
    // The binding that each image was made for.
    let mut owners = Vec::new();
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
                owners.push(k);
                (images.len() - 1, front)
            }
            Contents::Real(values) => {
                let shared = &mut together[usize::from(halves.has(k))];
                let tensor = match (layout, *shared) {
                    (Layout::Together, Some(tensor)) => tensor,
                    _ => {
                        images.push(Contents::Real(Vec::new()));
                        owners.push(k);
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
    for (k, (image, owner)) in images.iter().zip(owners).enumerate() {
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
        condition: None,
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
