//! `y[row] = h[row] . weights[target] + bias[target]`: the logits of the targets, each with its row of the table.
//! `h [rows, width]`, `y [rows]`, and `weights [window, width]`, `bias [window]`, which begin at id `base`. Elements of `y` with
//! other targets stay as they are; they are 0 where the target is [`IGNORE`].
//!
//! Backward is [`super::target_backward`].

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
    name: "softmax/target_logits",
    wgsl: include_str!("../../../shaders/softmax/target_logits.wgsl"),
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("h").or_half(),
        Binding::read("weights"),
        Binding::read("bias"),
        Binding::index("targets"),
        Binding::read_write("y"),
    ],
    grid: |raw| grid_over(Params::of(raw).rows as usize, 1),
    work: Some(|raw, sizes| {
        let params = Params::of(raw);
        Work::without_product(params.rows, params.width, sizes[0] + sizes[1])
    }),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let width = params.width as usize;
        if matches!(oversized.binding, 1 | 2) {
            let split = oversized.rows(params.window as usize, &[0, width, 1, 0, 0], 1)?;
            return split.each(params.base, |base, window| Params {
                base,
                window,
                ..*params
            });
        }
        let split = oversized.rows(params.rows as usize, &[width, 0, 0, 1, 1], 1)?;
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
    bias: &'a [R],
    targets: &'a [u32],
}

impl<'a, R> Inputs<'a, R> {
    fn take(buffers: &mut Buffers<'a, R>) -> Inputs<'a, R> {
        Inputs {
            h: buffers.read("h"),
            weights: buffers.read("weights"),
            bias: buffers.read("bias"),
            targets: buffers.index("targets"),
        }
    }
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (inputs, y) = (Inputs::take(buffers), buffers.write("y"));
    products(params, inputs, 0, y);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params: &Params = Params::of(raw);
    let (inputs, y) = (Inputs::take(buffers), buffers.write("y"));
    parallel::rows(
        y,
        1,
        params.width as usize,
        #[inline(always)]
        |first, y| products(params, inputs, first, y),
    );
}

/// Computes rows of `y`, the first of which is row `first`.
#[inline(always)]
fn products<R: Real>(params: &Params, inputs: Inputs<'_, R>, first: usize, y: &mut [R]) {
    let width = params.width as usize;
    let h = inputs.h[first * width..].chunks_exact(width);
    for ((y, h), &target) in y.iter_mut().zip(h).zip(&inputs.targets[first..]) {
        let row = target.wrapping_sub(params.base);
        if target == IGNORE {
            *y = R::ZERO;
        } else if row < params.window {
            let weights = &inputs.weights[row as usize * width..][..width];
            *y = parallel::dot(h, weights) + inputs.bias[row as usize];
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
            Fill::signed(window),
            Fill::Indices(targets.clone()),
            output(rows),
        ];
        Case::new(label, &params, width + 1, buffers)
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
