//! The form of [`super::product`] that works as [`super::product_tiled`] and reads and writes vectors of four: for sizes,
//! strides and slices that are multiples of four.

use crate::kernel::{Binding, Case, Constants, Kernel, Params as _};

use super::product::{self, Params};

/// See the module. A workgroup computes a block of 64 x 64.
pub static KERNEL: Kernel = with_block::<64>("matmul/product_vector");

/// Blocks of 128 x 128.
pub static WIDE: Kernel = with_block::<128>("matmul/product_vector 128");

/// The bindings of the forms that read vectors.
pub(super) static BINDINGS: [Binding; 4] = [
    Binding::read("left").vec4().or_half(),
    Binding::read("right").vec4().or_half(),
    Binding::read("bias").or_half(),
    Binding::read_write("product").vec4().or_half(),
];

const fn with_block<const BLOCK: u32>(name: &'static str) -> Kernel {
    Kernel {
        name,
        wgsl: include_str!("../../../shaders/matmul/product_vector.wgsl"),
        bindings: &BINDINGS,
        constants: constants::<BLOCK>,
        grid: product::blocks::<BLOCK, BLOCK>,
        supports: Some(|raw| supports(raw, 4)),
        cases: || cases(4),
        form_of: Some(&product::KERNEL),
        ..product::BASE
    }
}

fn constants<const BLOCK: u32>(raw: &[u32]) -> Constants {
    let mut constants = (product::BASE.constants)(raw);
    constants.extend([("ROWS", BLOCK), ("COLUMNS", BLOCK), ("PRODUCT_LANES", 4)]);
    constants
}

/// Whether the stored rows of both operands are whole vectors of `lanes`, and those of the product whole vectors of four.
pub(super) fn supports(raw: &[u32], lanes: u32) -> bool {
    let p: &Params = Params::of(raw);
    let width = |transposed: u32, plain, transposed_width| {
        if transposed != 0 {
            transposed_width
        } else {
            plain
        }
    };
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

/// The cases of the product that such a form supports.
pub(super) fn cases(lanes: u32) -> Vec<Case> {
    let mut cases = (product::BASE.cases)();
    cases.retain(|case| supports(&case.params, lanes));
    cases
}
