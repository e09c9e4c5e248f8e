//! The number of pieces of a product. A fixed rule determines it, because it decides how sums are rounded: if it were measured,
//! results could differ between runs.
//!
//! A GPU runs the workgroups of a product in waves, as many at once as its multiprocessors hold. The last wave is rarely full:
//! 320 workgroups on a GPU that runs 264 at once take as long as 528. In pieces there are more and shorter workgroups, so
//! that less is lost, and a product with few blocks can use every multiprocessor. On the other hand, the partial sums are
//! written and read once more. The rule estimates both, and takes the number of pieces with the least time.

use crate::graph::memory::Limits;
use crate::kernel::Change;
use crate::kernels::matmul::product::Params;

/// The elements of a block that occupies half of a multiprocessor: two workgroups with blocks of 128 x 128 are resident at once.
const HALF: u32 = 128 * 128;

/// The weight of the estimate with all resident workgroups (see [`HALF`]). The rest of the weight is for forms that need so much
/// of a multiprocessor that only half as many workgroups are resident.
const SHARE: f64 = 0.75;

/// The time that a workgroup needs to load its first operands and to store its sums, expressed as a number of terms.
const OVERHEAD: u32 = 32;

/// What multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    /// `f32` in registers: about 100 G multiply-adds a second on each multiprocessor.
    Registers,
    /// Matrix units, which are about eight times as fast.
    Units,
    /// Matrix units, with three products for one.
    SplitUnits,
}

impl Arithmetic {
    /// How many times as fast as in registers a product is.
    fn speed(self) -> f64 {
        match self {
            Arithmetic::Registers => 1.0,
            Arithmetic::Units => 8.0,
            Arithmetic::SplitUnits => 8.0 / 3.0,
        }
    }

    /// The time that a byte of memory takes, in multiply-adds of a multiprocessor, times the number of multiprocessors.
    fn byte(self) -> f64 {
        4.0 * self.speed()
    }

    /// The time of a dispatch and its barrier, in multiply-adds of a multiprocessor.
    fn dispatch(self) -> f64 {
        3e5 * self.speed()
    }

    /// The blocks of the forms of cells that every device with such arithmetic can run.
    fn blocks_of_cells(self) -> &'static [[u32; 2]] {
        match self {
            Arithmetic::Registers | Arithmetic::SplitUnits => &[[128, 64], [64, 64]],
            Arithmetic::Units => &[[128, 128], [128, 64], [64, 64]],
        }
    }
}

/// Without [`Change::Pieces`]: the number of workgroups of 128 x 64 that every GPU gets.
const WORKGROUPS: u32 = 512;

/// The number of pieces of a product, 1 if its partial sums exceed the limits.
pub(super) fn pieces(limits: &Limits, params: &Params, arithmetic: Arithmetic) -> u32 {
    let p = params;
    // Pieces are contiguous: their sum is the product only if the product has no gaps.
    let is_dense =
        p.product_stride == p.groups * p.columns && (p.groups == 1 || p.product_group == p.columns);
    if !is_dense || limits.multiprocessors == 0 {
        return 1;
    }
    let elements = u64::from(p.rows) * u64::from(p.product_stride);
    let room = limits.slice.min(limits.arena) as u64 / elements.max(1);
    let most = u32::try_from(room).unwrap_or(u32::MAX);
    let most = p.in_at_most(most).pieces;
    if limits.without.has(Change::Pieces) {
        let blocks = p.groups * p.rows.div_ceil(128) * p.columns.div_ceil(64);
        let wanted = p.in_at_most(WORKGROUPS.div_ceil(blocks)).pieces;
        return if wanted <= most { wanted } else { 1 };
    }
    let multiprocessors = limits.multiprocessors as u32;
    let mut least = (f64::INFINITY, 1);
    for pieces in 1..=most {
        let divided = p.in_at_most(pieces);
        let time = time(&divided, multiprocessors, arithmetic);
        if time < least.0 {
            least = (time, divided.pieces);
        }
    }
    least.1
}

/// The side of the blocks that the estimate assumes: 64 if the product has at most 64 rows or columns, else 128.
fn block(params: &Params) -> u32 {
    if params.rows.min(params.columns) > 64 {
        128
    } else {
        64
    }
}

/// Whether a cell computes its product itself: whether that takes less time than a product before it, in pieces if that is
/// faster. A separate product is written and read once more, `bytes` for each element, and has a dispatch of its own; the product
/// of a cell has one piece.
pub(super) fn is_of_cell(
    limits: &Limits,
    params: &Params,
    arithmetic: Arithmetic,
    bytes: u32,
) -> bool {
    let multiprocessors = limits.multiprocessors as u32;
    if multiprocessors == 0 {
        return true;
    }
    let separate = params.in_pieces(pieces(limits, params, arithmetic));
    let elements = f64::from(params.rows) * f64::from(params.groups * params.columns);
    let moved = 2.0 * f64::from(bytes) * elements * arithmetic.byte() / f64::from(multiprocessors);
    let time = time(&separate, multiprocessors, arithmetic) + moved + arithmetic.dispatch();
    let mut blocks = arithmetic.blocks_of_cells().iter();
    blocks.any(|&block| time_of_blocks(params, block, multiprocessors) < time)
}

/// The estimated time of a product, in multiply-adds of a multiprocessor.
fn time(params: &Params, multiprocessors: u32, arithmetic: Arithmetic) -> f64 {
    let products = time_of_blocks(params, [block(params); 2], multiprocessors);
    if params.pieces == 1 {
        return products;
    }
    let elements = f64::from(params.pieces)
        * f64::from(params.rows)
        * f64::from(params.groups * params.columns);
    // Partial sums in f32, written and read.
    products
        + 8.0 * elements * arithmetic.byte() / f64::from(multiprocessors)
        + arithmetic.dispatch()
}

/// The same without the sum of its pieces, in blocks of this many rows and columns.
fn time_of_blocks(params: &Params, [rows, columns]: [u32; 2], multiprocessors: u32) -> f64 {
    let of_workgroup = f64::from(rows * columns) * f64::from(params.piece_depth() + OVERHEAD);
    let resident = 2 * HALF / (rows * columns);
    let count = params.groups * params.rows.div_ceil(rows) * params.columns.div_ceil(columns);
    let count = count * params.pieces;
    of_workgroup
        * (SHARE * waves(count, multiprocessors, resident)
            + (1.0 - SHARE) * waves(count, multiprocessors, resident / 2))
}

/// The time of `count` workgroups, with at most `resident` of them at once on a multiprocessor. A full multiprocessor takes time
/// `resident`; a partly filled one takes between half of that and all of it.
fn waves(count: u32, multiprocessors: u32, resident: u32) -> f64 {
    let at_once = multiprocessors * resident;
    let (full, rest) = (count / at_once, count % at_once);
    let last = if rest == 0 {
        0.0
    } else {
        let held = rest.div_ceil(multiprocessors);
        0.5 + 0.5 * f64::from(held) / f64::from(resident)
    };
    f64::from(resident) * (f64::from(full) + last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Changes;
    use Arithmetic::{Registers, SplitUnits, Units};

    /// Products of the paper's models with their batch of 128 and unroll of 20: groups, rows, columns, terms.
    const SHAPES: [(&str, [usize; 4]); 14] = [
        ("input gradient", [1, 2560, 1024, 32_768]),
        ("recurrent gradient", [1, 128, 1024, 32_768]),
        ("weight gradient", [1, 1024, 32_768, 2560]),
        ("projection", [1, 128, 1024, 8192]),
        ("projection gradient", [1, 128, 8192, 1024]),
        ("projection's weights", [1, 8192, 1024, 2560]),
        ("softmax dh", [1, 2560, 1024, 8192]),
        ("factor gradient", [1, 2560, 512, 32_768]),
        ("recurrent factor gradient", [1, 128, 512, 32_768]),
        ("G-4 input gradient", [4, 2560, 256, 8192]),
        ("G-4 recurrent gradient", [4, 128, 256, 8192]),
        ("G-8 input gradient", [8, 2560, 128, 4096]),
        ("G-8 recurrent gradient", [8, 128, 128, 4096]),
        ("G-8 weight gradient", [8, 128, 4096, 2560]),
    ];

    fn params([groups, rows, columns, depth]: [usize; 4]) -> Params {
        Params {
            groups: groups as u32,
            product_stride: (groups * columns) as u32,
            product_group: columns as u32,
            ..Params::dense(rows, columns, depth)
        }
    }

    fn limits(multiprocessors: usize) -> Limits {
        Limits {
            multiprocessors,
            ..Limits::COMMON
        }
    }

    /// The workgroups of a product.
    fn workgroups(params: &Params) -> u32 {
        let block = block(params);
        let blocks = params.rows.div_ceil(block) * params.columns.div_ceil(block);
        params.groups * blocks * params.pieces
    }

    /// The share of the multiprocessors' time in which they compute, with two workgroups at once on each.
    fn efficiency(params: &Params, multiprocessors: u32) -> f64 {
        let at_once = 2 * multiprocessors;
        let used = workgroups(&params.in_pieces(1)) * params.depth;
        let taken = workgroups(params).div_ceil(at_once) * at_once * params.piece_depth();
        f64::from(used) / f64::from(taken)
    }

    #[test]
    fn waves_are_full_where_the_depth_allows() {
        for multiprocessors in [40, 84, 108, 132, 144] {
            for (name, shape) in SHAPES {
                let whole = params(shape);
                let most = whole.in_at_most(u32::MAX).pieces;
                let counts = (1..=most).map(|pieces| whole.in_at_most(pieces));
                let possible = counts
                    .map(|p| efficiency(&p, multiprocessors))
                    .fold(0.0, f64::max);
                let limits = limits(multiprocessors as usize);
                let chosen = whole.in_pieces(pieces(&limits, &whole, Registers));
                let reached = efficiency(&chosen, multiprocessors);
                assert!(
                    reached >= 0.85 || possible < 0.85,
                    "{name} on {multiprocessors}: {reached} with {} pieces, {possible} is possible",
                    chosen.pieces
                );
            }
        }
    }

    #[test]
    fn matrix_units_pay_more_for_partial_sums() {
        for (shape, counts) in [
            ([1, 2560, 1024, 32_768], [8, 8, 8]),
            ([1, 128, 1024, 8192], [32, 32, 16]),
            ([1, 128, 8192, 1024], [4, 4, 2]),
            ([8, 2560, 128, 4096], [8, 3, 3]),
        ] {
            let whole = params(shape);
            let of = |arithmetic| pieces(&limits(132), &whole, arithmetic);
            assert_eq!([Registers, SplitUnits, Units].map(of), counts, "{shape:?}");
        }
    }

    #[test]
    fn without_the_change_every_gpu_has_the_same_pieces() {
        for multiprocessors in [16, 132] {
            let limits = Limits {
                without: Changes::from_iter([Change::Pieces]),
                ..limits(multiprocessors)
            };
            for (shape, count) in [
                ([1, 2560, 1024, 32_768], 2),
                ([1, 128, 1024, 8192], 32),
                ([1, 1024, 32_768, 2560], 1),
            ] {
                assert_eq!(
                    pieces(&limits, &params(shape), Registers),
                    count,
                    "{shape:?}"
                );
            }
            let small = Limits {
                slice: 1 << 20,
                ..limits
            };
            assert_eq!(pieces(&small, &params([1, 128, 1024, 8192]), Registers), 1);
        }
    }

    #[test]
    fn partial_sums_stay_within_the_limits() {
        let whole = params([1, 128, 1024, 8192]);
        let elements = 128 * 1024;
        for (slice, most) in [
            (1, 1),
            (elements - 1, 1),
            (5 * elements, 5),
            (usize::MAX, 32),
        ] {
            let limits = Limits {
                slice,
                ..limits(132)
            };
            let chosen = pieces(&limits, &whole, Registers);
            assert!(chosen <= most, "{chosen} pieces in {slice} elements");
            assert!(chosen > 1 || most == 1);
        }
        assert_eq!(pieces(&limits(0), &whole, Registers), 1);
    }

    #[test]
    fn cells_compute_products_that_fill_a_device() {
        let recurrent = [1, 128, 32_768, 1024];
        let projection_gradient = [1, 128, 8192, 1024];
        for (multiprocessors, shape, arithmetic, of_cell) in [
            (132, recurrent, Registers, true),
            (132, recurrent, SplitUnits, true),
            (132, recurrent, Units, true),
            (132, [8, 128, 4096, 128], Units, true),
            (132, projection_gradient, Registers, false),
            (132, projection_gradient, Units, true),
            (16, projection_gradient, Registers, true),
            (132, [1, 128, 256, 1024], Registers, false),
            (132, [1, 128, 256, 1024], Units, false),
            (0, [1, 128, 256, 1024], Registers, true),
        ] {
            let bytes = if arithmetic == Units { 2 } else { 4 };
            let found = is_of_cell(&limits(multiprocessors), &params(shape), arithmetic, bytes);
            assert_eq!(
                found, of_cell,
                "{shape:?} on {multiprocessors}, {arithmetic:?}"
            );
        }
    }

    #[test]
    fn a_product_with_gaps_has_one_piece() {
        let whole = params([1, 128, 1024, 8192]);
        let with_gaps = Params {
            product_stride: 1025,
            ..whole
        };
        assert_eq!(pieces(&limits(132), &with_gaps, Registers), 1);
    }
}
