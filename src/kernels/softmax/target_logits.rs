//! `y[row] = h[row] . weights[target] + bias[target]`: the logits of the targets, each of another row of the table.
//! `h [rows, width]`, `weights [V, width]`, `bias [V]`, `y [rows]`. 0 where the target is [`IGNORE`].
//!
//! Backward is [`super::target_backward`].

use crate::kernel::{
    Binding, Buffers, Case, Fill, Kernel, Params as _, Work, grid_over, no_constants,
};
use crate::kernels::parallel;
use crate::kernels::softmax::IGNORE;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `h`.
        pub rows: u32,
        /// Columns of `h` and `weights`.
        pub width: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "softmax/target_logits",
    wgsl: include_str!("../../../shaders/softmax/target_logits.wgsl"),
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("h").or_half(),
        Binding::read("weights"),
        Binding::read("bias"),
        Binding::index("targets"),
        Binding::write("y"),
    ],
    constants: no_constants,
    grid: |words| grid_over(Params::of(words).rows as usize, 1),
    work: Some(|words, widths| {
        let params = Params::of(words);
        Work::rows(params.rows, params.width, widths[0] + widths[1])
    }),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (h, weights, bias) = (buffers.read(0), buffers.read(1), buffers.read(2));
    let (targets, y) = (buffers.index(3), buffers.write(4));
    products(params.width as usize, (h, weights, bias), targets, 0, y);
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let width = Params::of(words).width as usize;
    let (h, weights, bias) = (buffers.read(0), buffers.read(1), buffers.read(2));
    let (targets, y) = (buffers.index(3), buffers.write(4));
    parallel::rows(
        y,
        1,
        width,
        #[inline(always)]
        |first, y| {
            products(width, (h, weights, bias), targets, first, y);
        },
    );
}

/// The rows of `y` from row `first` on.
#[inline(always)]
fn products<R: Real>(
    width: usize,
    (h, weights, bias): (&[R], &[R], &[R]),
    targets: &[u32],
    first: usize,
    y: &mut [R],
) {
    let h = h[first * width..].chunks_exact(width);
    for ((y, h), &target) in y.iter_mut().zip(h).zip(&targets[first..]) {
        *y = if target == IGNORE {
            R::ZERO
        } else {
            let weights = &weights[target as usize * width..][..width];
            parallel::dot(h, weights) + bias[target as usize]
        };
    }
}

fn cases() -> Vec<Case> {
    let case = |label, vocabulary: usize, width: usize, targets: Vec<u32>| {
        let rows = targets.len();
        let params = Params {
            rows: rows as u32,
            width: width as u32,
        };
        let buffers = vec![
            Fill::signed(rows * width),
            Fill::signed(vocabulary * width),
            Fill::signed(vocabulary),
            Fill::Indices(targets),
            Fill::Output(rows),
        ];
        Case::new(label, &params, width + 1, buffers)
    };
    vec![
        case("one element", 1, 1, vec![0]),
        case(
            "padding and repeated targets",
            13,
            67,
            vec![12, IGNORE, 0, 12, 5],
        ),
        case(
            "more than one task",
            31,
            259,
            (0..131).map(|k| k % 31).collect(),
        ),
        case(
            "of the bench model",
            2048,
            256,
            (0..1280).map(|k| k * 7 % 2048).collect(),
        )
        .timed(),
    ]
}
