//! [`super::product_tiled`] for operands and products that can be read by vectors of four: sizes, strides and beginnings are
//! multiples. Another form of the same kernel, with the same interface, twin and bits; the executor chooses where it can.

use crate::kernel::{Binding, Case, Constants, Kernel, Params as _};

use super::product::{self, Params};

/// See the module. A workgroup makes a block of 64 x 64.
pub static KERNEL: Kernel = form::<64>("matmul/product_vector");

/// Blocks of 128 x 128.
pub static WIDE: Kernel = form::<128>("matmul/product_vector 128");

/// Those of all forms of vectors.
pub(super) static BINDINGS: [Binding; 4] = [
    Binding::read("left").vec4().or_half(),
    Binding::read("right").vec4().or_half(),
    Binding::read("bias").or_half(),
    Binding::read_write("product").vec4().or_half(),
];

const fn form<const BLOCK: u32>(name: &'static str) -> Kernel {
    Kernel {
        name,
        wgsl: include_str!("../../../shaders/matmul/product_vector.wgsl"),
        bindings: &BINDINGS,
        constants: constants::<BLOCK>,
        grid: product::blocks::<BLOCK, BLOCK>,
        suits: Some(|words| suits(words, 4)),
        cases: || cases(4),
        ..product::FORM
    }
}

fn constants<const BLOCK: u32>(words: &[u32]) -> Constants {
    let mut constants = (product::FORM.constants)(words);
    constants.extend([("ROWS", BLOCK), ("COLUMNS", BLOCK), ("PRODUCT_LANES", 4)]);
    constants
}

/// Whether the rows of both operands, as they are stored, are whole vectors of `lanes`, and those of the product of four.
pub(super) fn suits(words: &[u32], lanes: u32) -> bool {
    let p: &Params = Params::of(words);
    let width = |transposed: u32, plain, turned| if transposed != 0 { turned } else { plain };
    let widths = [
        width(p.transpose_left, p.depth, p.rows),
        width(p.transpose_right, p.columns, p.depth),
    ];
    let steps = [
        p.left_stride,
        p.left_group,
        p.right_stride,
        p.right_group,
        p.columns,
        p.product_stride,
        p.product_group,
    ];
    widths.iter().all(|n| n % lanes == 0) && steps.iter().all(|n| n % 4 == 0)
}

/// The cases of a product that such a form can do.
pub(super) fn cases(lanes: u32) -> Vec<Case> {
    let mut cases = (product::FORM.cases)();
    cases.retain(|case| suits(&case.params, lanes));
    cases
}
