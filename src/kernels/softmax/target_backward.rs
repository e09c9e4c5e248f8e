//! `dh += dtarget * weights[target]` and `source = dtarget * h`, row by row: the backward of [`super::target_logits`].
//! `h`, `dh`, `source [rows, width]`, `dtarget [rows]`, and `weights [window, width]`: those of the ids from `base` on. Rows with
//! other targets stay as they are.
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
        /// The first id of the rows of `weights` that are there.
        pub base: u32,
        /// How many are there; others are left to other steps.
        pub window: u32,
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
        Binding::read_write("source"),
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
    cut: Some(|words, excess| {
        let params: &Params = Params::of(words);
        let width = params.width as usize;
        if excess.binding == 1 {
            let cut = excess.rows(params.window as usize, &[0, width, 0, 0, 0, 0], 1)?;
            return cut.each(params.base, |base, window| Params {
                base,
                window,
                ..*params
            });
        }
        let cut = excess.rows(params.rows as usize, &[width, 0, 1, 1, width, width], 1)?;
        cut.each(0, |_, rows| Params { rows, ..*params })
    }),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    suits: None,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (h, weights, targets) = (buffers.read(0), buffers.read(1), buffers.index(2));
    let (dtarget, dh, source) = (buffers.read(3), buffers.write(4), buffers.write(5));
    differentiate(params, (h, weights, targets, dtarget), 0, dh, source);
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params: &Params = Params::of(words);
    let width = params.width as usize;
    let (h, weights, targets) = (buffers.read(0), buffers.read(1), buffers.index(2));
    let (dtarget, dh, source) = (buffers.read(3), buffers.write(4), buffers.write(5));
    parallel::row_pairs(
        (dh, width),
        (source, width),
        2 * width,
        #[inline(always)]
        |first, dh, source| {
            differentiate(params, (h, weights, targets, dtarget), first, dh, source);
        },
    );
}

/// The rows of `dh` and `source` from row `first` on.
#[inline(always)]
fn differentiate<R: Real>(
    params: &Params,
    (h, weights, targets, dtarget): (&[R], &[R], &[u32], &[R]),
    first: usize,
    dh: &mut [R],
    source: &mut [R],
) {
    let width = params.width as usize;
    let rows = dh
        .chunks_exact_mut(width)
        .zip(source.chunks_exact_mut(width));
    for (k, (dh, source)) in rows.enumerate() {
        let (target, gradient) = (targets[first + k], dtarget[first + k]);
        if target == IGNORE {
            source.fill(R::ZERO);
            continue;
        }
        let row = target.wrapping_sub(params.base);
        if row >= params.window {
            continue;
        }
        let weights = &weights[row as usize * width..][..width];
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
    let windowed = |label, base, window: usize, width: usize, targets: Vec<u32>| {
        let rows = targets.len();
        let params = Params {
            rows: rows as u32,
            width: width as u32,
            base,
            window: window as u32,
        };
        let there =
            |target: &u32| (base..base + params.window).contains(target) || *target == IGNORE;
        let output = |len| match targets.iter().all(there) {
            true => Fill::Output(len),
            false => Fill::signed(len),
        };
        let buffers = vec![
            Fill::signed(rows * width),
            Fill::signed(window * width),
            Fill::Indices(targets.clone()),
            Fill::signed(rows),
            Fill::signed(rows * width),
            output(rows * width),
        ];
        Case::new(label, &params, 2, buffers)
    };
    let case = |label, vocabulary, width, targets| windowed(label, 0, vocabulary, width, targets);
    vec![
        case("one element", 1, 1, vec![0]),
        case(
            "padding and repeated targets",
            13,
            67,
            vec![12, IGNORE, 0, 12, 5],
        ),
        windowed(
            "some rows of a table",
            12,
            13,
            67,
            vec![24, IGNORE, 11, 25, 12, 0],
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
