//! `product = sum of pieces`, or `+=`, in order, starting with the contents of `product`: the pieces that
//! [`super::product`] left. The result equals that of a product in one piece up to rounding.
//! `parts [pieces, len]`, `product [len]`.
//!
//! It cannot be split: products are computed in pieces only where all pieces can be bound.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over};
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of a piece.
        pub len: u32,
        /// Pieces.
        pub pieces: u32,
        /// Whether the sum is added to the contents of `product`.
        pub accumulate: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "matmul/sum_pieces",
    wgsl: include_str!("../../../shaders/matmul/sum_pieces.wgsl"),
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("parts"),
        Binding::read_write("product").or_half(),
    ],
    constants: |raw| {
        let elements = elements(Params::of(raw).len);
        vec![("ELEMENTS", elements), ("AT_ONCE", AT_ONCE / elements)]
    },
    grid: |raw| {
        let len = Params::of(raw).len;
        grid_over(len as usize, 256 * elements(len) as usize)
    },
    twin: twin!(twin),
    cases,
    ..Kernel::DEFAULT
};

/// The number of loads that a thread has in flight at once.
const AT_ONCE: u32 = 8;

/// The elements that a thread sums: several where there are enough of them to fill a device.
fn elements(len: u32) -> u32 {
    if len >= 1 << 20 { 4 } else { 1 }
}

fn twin<R: Real>(p: &Params, buffers: &mut Buffers<'_, R>) {
    let (parts, product) = (buffers.read("parts"), buffers.write("product"));
    let len = p.len as usize;
    for (i, out) in product.iter_mut().enumerate() {
        let mut sum = parts[i];
        if p.accumulate != 0 {
            sum = *out + sum;
        }
        for piece in 1..p.pieces as usize {
            sum += parts[piece * len + i];
        }
        *out = sum;
    }
}

fn cases() -> Vec<Case> {
    let case = |label, len: u32, pieces: u32, accumulate: u32| {
        let params = Params {
            len,
            pieces,
            accumulate,
        };
        let product = match accumulate {
            0 => Fill::Output(len as usize),
            _ => Fill::signed(len as usize),
        };
        let parts = Fill::signed((len * pieces) as usize);
        Case::new(label, &params, pieces as usize, vec![parts, product])
    };
    vec![
        case("one", 1, 1, 0),
        case("three pieces, added", 301, 3, 1),
        case("seventeen pieces", 70, 17, 0),
        case("nine pieces", 257, 9, 1),
        case("several elements of a thread", (1 << 20) + 300, 4, 0),
        case("several elements of a thread, added", (1 << 20) + 1, 2, 1),
        case("projection of the paper's models", 128 * 1024, 16, 0).timed(),
    ]
}
