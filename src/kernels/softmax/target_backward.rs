//! `dh += dtarget * weights[target]` and `source = dtarget * h`, row by row: the backward of [`super::target_logits`].
//! `h`, `dh`, `source [rows, width]`, `dtarget [rows]`, and `weights [window, width]`, which begins at id `base`. Rows with other
//! targets stay as they are.
//!
//! `source` holds the gradients of the rows of `weights`, which [`crate::kernels::embedding::accumulate_rows`] adds up by
//! target. Where the target is [`IGNORE`], `dh` stays and `source` is 0.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, Work, grid_over};
use crate::kernels::parallel;
use crate::kernels::softmax::ignore::IGNORE;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `h`.
        pub rows: u32,
        /// Columns of `h` and `weights`.
        pub width: u32,
        /// The id of the first row of `weights`.
        pub base: u32,
        /// Rows of `weights`.
        pub window: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "softmax/target_backward",
    wgsl: include_str!("../../../shaders/softmax/target_backward.wgsl"),
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("h").or_half(),
        Binding::read("weights"),
        Binding::index("targets"),
        Binding::read("dtarget"),
        Binding::read_write("dh").or_half(),
        Binding::read_write("source"),
    ],
    grid: |raw| {
        let params = Params::of(raw);
        grid_over(params.rows as usize * params.width as usize, 256)
    },
    work: Some(|raw, sizes| {
        let params = Params::of(raw);
        Work::without_product(
            params.rows,
            params.width,
            sizes[0] + sizes[1] + 2 * sizes[4] + sizes[5],
        )
    }),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let width = params.width as usize;
        if oversized.binding == 1 {
            let split = oversized.rows(params.window as usize, &[0, width, 0, 0, 0, 0], 1)?;
            return split.each(params.base, |base, window| Params {
                base,
                window,
                ..*params
            });
        }
        let split = oversized.rows(params.rows as usize, &[width, 0, 1, 1, width, width], 1)?;
        split.each(0, |_, rows| Params { rows, ..*params })
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

/// The inputs of the kernel.
#[derive(Clone, Copy)]
struct Inputs<'a, R> {
    h: &'a [R],
    weights: &'a [R],
    targets: &'a [u32],
    dtarget: &'a [R],
}

impl<'a, R> Inputs<'a, R> {
    fn take(buffers: &mut Buffers<'a, R>) -> Inputs<'a, R> {
        Inputs {
            h: buffers.read("h"),
            weights: buffers.read("weights"),
            targets: buffers.index("targets"),
            dtarget: buffers.read("dtarget"),
        }
    }
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let inputs = Inputs::take(buffers);
    let (dh, source) = (buffers.write("dh"), buffers.write("source"));
    differentiate(params, inputs, 0, dh, source);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params: &Params = Params::of(raw);
    let width = params.width as usize;
    let inputs = Inputs::take(buffers);
    let (dh, source) = (buffers.write("dh"), buffers.write("source"));
    parallel::row_pairs(
        dh,
        source,
        [width, width],
        2 * width,
        #[inline(always)]
        |first, dh, source| differentiate(params, inputs, first, dh, source),
    );
}

/// Computes rows of `dh` and `source`, the first of which is row `first`.
#[inline(always)]
fn differentiate<R: Real>(
    params: &Params,
    inputs: Inputs<'_, R>,
    first: usize,
    dh: &mut [R],
    source: &mut [R],
) {
    let width = params.width as usize;
    let rows = dh
        .chunks_exact_mut(width)
        .zip(source.chunks_exact_mut(width));
    for (k, (dh, source)) in rows.enumerate() {
        let (target, gradient) = (inputs.targets[first + k], inputs.dtarget[first + k]);
        if target == IGNORE {
            source.fill(R::ZERO);
            continue;
        }
        let row = target.wrapping_sub(params.base);
        if row >= params.window {
            continue;
        }
        let weights = &inputs.weights[row as usize * width..][..width];
        for (dh, &weight) in dh.iter_mut().zip(weights) {
            *dh += gradient * weight;
        }
        let h = &inputs.h[(first + k) * width..][..width];
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
        let output = |len| {
            if targets.iter().all(there) {
                Fill::Output(len)
            } else {
                Fill::signed(len)
            }
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
