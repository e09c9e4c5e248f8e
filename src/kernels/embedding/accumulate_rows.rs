//! `gradient[k] = scale * sum of source[p] over the positions p of distinct row k`: the row-sparse gradient of a table of
//! which only some rows were read, in the order of its [row index](super::rows). `source [sources, width]`,
//! `gradient [capacity, width]`, whose rows past the count of distinct ones are 0.
//!
//! The backward of [`super::gather`]. Positions are added in ascending order: the same bits every time.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over, no_constants};
use crate::kernels::embedding::rows::{Rows, row_index};
use crate::kernels::parallel;
use crate::kernels::softmax::IGNORE;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `gradient`, and sources that `rows` is made for.
        pub capacity: u32,
        /// Columns of `source` and `gradient`.
        pub width: u32,
        /// Multiplies every sum.
        pub scale: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "embedding/accumulate_rows",
    wgsl: include_str!("../../../shaders/embedding/accumulate_rows.wgsl"),
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("source").or_half(),
        Binding::index("rows"),
        Binding::write("gradient"),
    ],
    constants: no_constants,
    grid: |words| {
        let params = Params::of(words);
        grid_over(params.capacity as usize * params.width as usize, 256)
    },
    work: None,
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (source, rows, gradient) = (buffers.read(0), buffers.index(1), buffers.write(2));
    add_rows(params, source, rows, 0, gradient);
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params = Params::of(words);
    let (source, rows, gradient) = (buffers.read(0), buffers.index(1), buffers.write(2));
    let width = params.width as usize;
    parallel::rows(
        gradient,
        width,
        2 * width,
        #[inline(always)]
        |first, gradient| {
            add_rows(params, source, rows, first, gradient);
        },
    );
}

/// The rows of the gradient from row `first` on.
#[inline(always)]
fn add_rows<R: Real>(
    params: &Params,
    source: &[R],
    rows: &[u32],
    first: usize,
    gradient: &mut [R],
) {
    let width = params.width as usize;
    let scale = R::from_f32(params.scale);
    let rows = Rows::new(rows, params.capacity as usize);
    for (k, sum) in gradient.chunks_exact_mut(width).enumerate() {
        sum.fill(R::ZERO);
        if first + k >= rows.ids().len() {
            continue;
        }
        for &position in rows.positions(first + k) {
            let source = &source[position as usize * width..][..width];
            for (sum, &x) in sum.iter_mut().zip(source) {
                *sum += x;
            }
        }
        for sum in sum {
            *sum *= scale;
        }
    }
}

fn cases() -> Vec<Case> {
    let case = |label, width: usize, scale, ids: Vec<u32>| {
        let n = ids.len();
        let params = Params {
            capacity: n as u32,
            width: width as u32,
            scale,
        };
        let buffers = vec![
            Fill::signed(n * width),
            Fill::Indices(row_index(&ids)),
            Fill::Output(n * width),
        ];
        Case::new(label, &params, n, buffers)
    };
    vec![
        case("one element", 1, 1.0, vec![5]),
        case("all distinct", 7, 1.0, vec![9, 2, 4, 11, 0]),
        case("all the same", 33, 0.25, vec![3; 67]),
        case(
            "duplicates and padding",
            65,
            0.5,
            vec![7, IGNORE, 2, 7, 2, 2, IGNORE, 90],
        ),
        case(
            "more than one task",
            257,
            1.0,
            (0..131).map(|k| k * k % 40).collect(),
        ),
        case(
            "of the bench model",
            256,
            1.0,
            (0..3328).map(|k| k * k % 2000).collect(),
        )
        .timed(),
    ]
}
