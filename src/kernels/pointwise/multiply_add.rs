//! `y = x a + b`, repeated `rounds` times, from registers. No model uses it: it measures the peak FLOPs of a device.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, Work, grid_over};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of each, a multiple of 4.
        pub len: u32,
        /// Repetitions.
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
    fields: Params::FIELDS,
    bindings: &[Binding::read("x").vec4(), Binding::write("y").vec4()],
    grid: |raw| grid_over(Params::of(raw).len as usize, 8192),
    work: Some(|raw, _| {
        let params = Params::of(raw);
        Work {
            flops: 2 * u64::from(params.len) * u64::from(params.rounds),
            bytes: 8 * u64::from(params.len),
        }
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    no_gradient: Some("measures a device, is in no model"),
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, y) = (buffers.read("x"), buffers.write("y"));
    let (a, b) = (R::from_f32(params.factor), R::from_f32(params.term));
    for (y, &x) in y.iter_mut().zip(x) {
        *y = x;
        for _ in 0..params.rounds {
            *y = *y * a + b;
        }
    }
}

/// Elements that are in registers at once.
const BLOCK: usize = 192;

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params: &Params = Params::of(raw);
    let (x, y) = (buffers.read("x"), buffers.write("y"));
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
