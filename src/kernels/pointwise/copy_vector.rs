//! The forms of [`super::copy`] that move vectors of four: for slices that are whole vectors.

use crate::kernel::{Binding, Kernel, Params as _, grid_over};

use super::copy::{self, Params};

/// See the module. A thread moves one vector: 16 bytes of `f32`.
pub static KERNEL: Kernel = with_vectors::<1>("pointwise/copy_vector");

/// A thread moves four vectors: 64 bytes of `f32`.
pub static WIDE: Kernel = with_vectors::<4>("pointwise/copy_vector 4");

static BINDINGS: [Binding; 2] = [
    Binding::read("x").vec4().or_half(),
    Binding::write("y").vec4().or_half(),
];

const fn with_vectors<const VECTORS: u32>(name: &'static str) -> Kernel {
    Kernel {
        name,
        wgsl: include_str!("../../../shaders/pointwise/copy_vector.wgsl"),
        bindings: &BINDINGS,
        constants: |_| vec![("VECTORS", VECTORS)],
        grid: |raw| grid_over(Params::of(raw).len as usize, 1024 * VECTORS as usize),
        supports: Some(|raw| Params::of(raw).len.is_multiple_of(4)),
        cases: || KERNEL.supported((copy::BASE.cases)()),
        form_of: Some(&copy::KERNEL),
        ..copy::BASE
    }
}
