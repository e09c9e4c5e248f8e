//! Inverted dropout of some rows of a batch: `y = scale * x` where a random `u32` is at least `threshold`, else 0. `x`,
//! `y [rows, width]`; `ids [rows]`, the rows of the batch that they are; `random [4]` as in [`super::dropout`].
//!
//! The rows of the batch are time-major, and `ids` count those of `count` streams: row `id` is that of stream
//! `first + id % count` of `all`, at time `id / count`. Element `j` of the row `r` of all streams has the random number
//! `r * width + j`, as in [`super::dropout`] of the whole batch. A mask therefore depends neither on the other rows nor on the
//! device. The backward rule is this kernel again, on the gradient.

use super::dropout::{self, drop_elements, threshold};
use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, PHILOX, Params as _, Work, grid_over};
use crate::kernels::softmax::IGNORE;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `x` and `y`.
        pub rows: u32,
        /// Columns of `x` and `y`.
        pub width: u32,
        /// The first stream that `ids` count.
        pub first: u32,
        /// The number of streams that `ids` count.
        pub count: u32,
        /// The number of streams of the batch.
        pub all: u32,
        /// The purpose of the random numbers: [`crate::random::Purpose`].
        pub purpose: u32,
        /// A random `u32` below it drops its element: the probability times 2^32, rounded.
        pub threshold: u32,
        /// The factor of elements that are kept: `1 / (1 - probability)`.
        pub scale: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "pointwise/dropout_rows",
    wgsl: include_str!("../../../shaders/pointwise/dropout_rows.wgsl"),
    snippets: &[&PHILOX],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("x").or_half(),
        Binding::index("ids"),
        Binding::index("random"),
        Binding::write("y").or_half(),
    ],
    grid: |raw| {
        let params = Params::of(raw);
        grid_over(params.rows as usize * params.width as usize, 64)
    },
    work: Some(|raw, sizes| {
        let params = Params::of(raw);
        Work::without_product(params.rows, params.width, sizes[0] + sizes[3])
    }),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let width = params.width as usize;
        let split = oversized.rows(params.rows as usize, &[width, 1, 0, width], 1)?;
        split.each(0, |_, rows| Params { rows, ..*params })
    }),
    twin: twin!(twin),
    cases,
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, ids, random, y) = (
        buffers.read("x"),
        buffers.index("ids"),
        buffers.index("random"),
        buffers.write("y"),
    );
    let width = params.width as usize;
    let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
    for ((x, y), id) in rows.zip(ids) {
        let time = (id / params.count).wrapping_mul(params.all);
        let row = time.wrapping_add(params.first + id % params.count);
        let elements = dropout::Params {
            len: params.width,
            first: row.wrapping_mul(params.width),
            row: params.width,
            stride: params.width,
            purpose: params.purpose,
            threshold: params.threshold,
            scale: params.scale,
        };
        drop_elements(&elements, random, x, 0, y);
    }
}

fn cases() -> Vec<Case> {
    let case = |label, width: u32, streams: [u32; 3], probability, ids: Vec<u32>| {
        let [first, count, all] = streams;
        let params = Params {
            rows: ids.len() as u32,
            width,
            first,
            count,
            all,
            purpose: 18,
            threshold: threshold(probability),
            scale: (1.0 / (1.0 - probability)) as f32,
        };
        let len = ids.len() * width as usize;
        let buffers = vec![
            Fill::signed(len),
            Fill::Indices(ids),
            Fill::Indices(vec![1000, 3, 42, 7]),
            Fill::Output(len),
        ];
        Case::new(label, &params, 1, buffers)
    };
    vec![
        case("one element", 1, [0, 1, 1], 0.5, vec![0]),
        case(
            "all streams, rows that are not multiples of four",
            7,
            [0, 3, 3],
            0.3,
            vec![8, 0, 5, 1],
        ),
        case(
            "the second half of the streams",
            13,
            [3, 3, 6],
            0.5,
            vec![0, 4, 11, 2, 7],
        ),
        case(
            "a place without a row",
            5,
            [2, 4, 11],
            0.1,
            vec![1, IGNORE, 9],
        ),
        case("wider than a block", 131, [1, 2, 5], 0.9, vec![3, 6, 10]),
        case(
            "nothing dropped",
            12,
            [0, 4, 4],
            0.0,
            (0..40).rev().collect(),
        ),
        case(
            "of the bench model",
            64,
            [0, 64, 64],
            0.1,
            (0..320).map(|k| k * 7 % 1280).collect(),
        )
        .timed(),
    ]
}
