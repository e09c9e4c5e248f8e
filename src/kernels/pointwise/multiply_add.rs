//! `y = x a + b`, `rounds` times over: arithmetic without memory. No model has it; it tells what a device could do at best.

use crate::kernel::{
    Binding, Buffers, Case, Fill, Kernel, Params as _, Work, grid_over, no_constants,
};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of each, a multiple of 4.
        pub len: u32,
        /// How often.
        pub rounds: u32,
        /// `a`.
        pub factor: f32,
        /// `b`.
        pub term: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "pointwise/multiply_add",
    wgsl: include_str!("../../../shaders/pointwise/multiply_add.wgsl"),
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[Binding::read("x").vec4(), Binding::write("y").vec4()],
    constants: no_constants,
    grid: |words| grid_over(Params::of(words).len as usize, 8192),
    work: Some(|words, _| {
        let params = Params::of(words);
        Work {
            flops: 2 * u64::from(params.len) * u64::from(params.rounds),
            bytes: 8 * u64::from(params.len),
        }
    }),
    cut: None,
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    suits: None,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, y) = (buffers.read(0), buffers.write(1));
    let (a, b) = (R::from_f32(params.factor), R::from_f32(params.term));
    for (y, &x) in y.iter_mut().zip(x) {
        *y = x;
        for _ in 0..params.rounds {
            *y = *y * a + b;
        }
    }
}

/// Elements whose sums are in registers at once.
const BLOCK: usize = 192;

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params: &Params = Params::of(words);
    let (x, y) = (buffers.read(0), buffers.write(1));
    parallel::rows(
        y,
        BLOCK,
        BLOCK * (1 + params.rounds as usize / 16),
        #[inline(always)]
        |first, y| {
            let x = &x[first * BLOCK..][..y.len()];
            let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<BLOCK>(), y.as_chunks_mut::<BLOCK>());
            for (y, x) in ys.iter_mut().zip(xs) {
                let mut values = *x;
                for _ in 0..params.rounds {
                    for value in &mut values {
                        *value = value.mul_add(params.factor, params.term);
                    }
                }
                *y = values;
            }
            for (y, &x) in y_rest.iter_mut().zip(x_rest) {
                *y = x;
                for _ in 0..params.rounds {
                    *y = y.mul_add(params.factor, params.term);
                }
            }
        },
    );
}

fn cases() -> Vec<Case> {
    let case = |label, len: u32, rounds| {
        let params = Params {
            len,
            rounds,
            factor: -0.75,
            term: 0.5,
        };
        let buffers = vec![Fill::signed(len as usize), Fill::Output(len as usize)];
        Case::new(label, &params, rounds as usize, buffers)
    };
    vec![
        case("four elements", 4, 1),
        case("odd length", 1036, 3),
        case("more than one task", 40_012, 17),
        case("a million", 1 << 20, 256).timed(),
    ]
}
