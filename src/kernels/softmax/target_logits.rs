//! `y[row] = h[row] . weights[target] + bias[target]`: the logits of the targets, each of another row of the table.
//! `h [rows, width]`, `y [rows]`, and `weights [window, width]`, `bias [window]`: those of the ids from `base` on. Elements of `y`
//! with other targets stay as they are, and are 0 where the target is [`IGNORE`].
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
        /// The first id of the rows of `weights` that are there.
        pub base: u32,
        /// How many are there; others are left to other steps.
        pub window: u32,
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
        Binding::read_write("y"),
    ],
    constants: no_constants,
    grid: |words| grid_over(Params::of(words).rows as usize, 1),
    work: Some(|words, widths| {
        let params = Params::of(words);
        Work::rows(params.rows, params.width, widths[0] + widths[1])
    }),
    cut: Some(|words, excess| {
        let params: &Params = Params::of(words);
        let width = params.width as usize;
        if matches!(excess.binding, 1 | 2) {
            let cut = excess.rows(params.window as usize, &[0, width, 1, 0, 0], 1)?;
            return cut.each(params.base, |base, window| Params {
                base,
                window,
                ..*params
            });
        }
        let cut = excess.rows(params.rows as usize, &[width, 0, 0, 1, 1], 1)?;
        cut.each(0, |_, rows| Params { rows, ..*params })
    }),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    suits: None,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (h, weights, bias) = (buffers.read(0), buffers.read(1), buffers.read(2));
    let (targets, y) = (buffers.index(3), buffers.write(4));
    products(params, (h, weights, bias), targets, 0, y);
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params: &Params = Params::of(words);
    let width = params.width as usize;
    let (h, weights, bias) = (buffers.read(0), buffers.read(1), buffers.read(2));
    let (targets, y) = (buffers.index(3), buffers.write(4));
    parallel::rows(
        y,
        1,
        width,
        #[inline(always)]
        |first, y| {
            products(params, (h, weights, bias), targets, first, y);
        },
    );
}

/// The rows of `y` from row `first` on.
#[inline(always)]
fn products<R: Real>(
    params: &Params,
    (h, weights, bias): (&[R], &[R], &[R]),
    targets: &[u32],
    first: usize,
    y: &mut [R],
) {
    let width = params.width as usize;
    let h = h[first * width..].chunks_exact(width);
    for ((y, h), &target) in y.iter_mut().zip(h).zip(&targets[first..]) {
        let row = target.wrapping_sub(params.base);
        if target == IGNORE {
            *y = R::ZERO;
        } else if row < params.window {
            let weights = &weights[row as usize * width..][..width];
            *y = parallel::dot(h, weights) + bias[row as usize];
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
