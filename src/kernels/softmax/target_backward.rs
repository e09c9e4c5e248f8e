//! `dh += dtarget * weights[target]` and `source = dtarget * h`, row by row: the backward of [`super::target_logits`].
//! `h`, `dh`, `source [rows, width]`, `weights [V, width]`, `dtarget [rows]`.
//!
//! `source` holds the gradients of the rows of `weights`; [`crate::kernels::embedding::accumulate_rows`] adds them up by
//! target. Where the target is [`IGNORE`], `dh` stays and `source` is 0.

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
    name: "softmax/target_backward",
    wgsl: include_str!("../../../shaders/softmax/target_backward.wgsl"),
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("h").or_half(),
        Binding::read("weights"),
        Binding::index("targets"),
        Binding::read("dtarget"),
        Binding::read_write("dh").or_half(),
        Binding::write("source"),
    ],
    constants: no_constants,
    grid: |words| {
        let params = Params::of(words);
        grid_over(params.rows as usize * params.width as usize, 256)
    },
    work: Some(|words, widths| {
        let params = Params::of(words);
        Work::rows(
            params.rows,
            params.width,
            widths[0] + widths[1] + 2 * widths[4] + widths[5],
        )
    }),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (h, weights, targets) = (buffers.read(0), buffers.read(1), buffers.index(2));
    let (dtarget, dh, source) = (buffers.read(3), buffers.write(4), buffers.write(5));
    differentiate(
        params.width as usize,
        (h, weights, targets, dtarget),
        0,
        dh,
        source,
    );
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let width = Params::of(words).width as usize;
    let (h, weights, targets) = (buffers.read(0), buffers.read(1), buffers.index(2));
    let (dtarget, dh, source) = (buffers.read(3), buffers.write(4), buffers.write(5));
    parallel::row_pairs(
        (dh, width),
        (source, width),
        2 * width,
        #[inline(always)]
        |first, dh, source| {
            differentiate(width, (h, weights, targets, dtarget), first, dh, source);
        },
    );
}

/// The rows of `dh` and `source` from row `first` on.
#[inline(always)]
fn differentiate<R: Real>(
    width: usize,
    (h, weights, targets, dtarget): (&[R], &[R], &[u32], &[R]),
    first: usize,
    dh: &mut [R],
    source: &mut [R],
) {
    let rows = dh
        .chunks_exact_mut(width)
        .zip(source.chunks_exact_mut(width));
    for (k, (dh, source)) in rows.enumerate() {
        let (target, gradient) = (targets[first + k], dtarget[first + k]);
        if target == IGNORE {
            source.fill(R::ZERO);
            continue;
        }
        let weights = &weights[target as usize * width..][..width];
        for (dh, &weight) in dh.iter_mut().zip(weights) {
            *dh += gradient * weight;
        }
        let h = &h[(first + k) * width..][..width];
        for (source, &h) in source.iter_mut().zip(h) {
            *source = gradient * h;
        }
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
            Fill::Indices(targets),
            Fill::signed(rows),
            Fill::signed(rows * width),
            Fill::Output(rows * width),
        ];
        Case::new(label, &params, 2, buffers)
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
