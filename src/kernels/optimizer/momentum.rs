//! `v = momentum * v + g`, `w -= lr * v`: gradient descent with a heavy ball.
//!
//! `g` is the gradient times `norm[1]`, or `norm[2]` if it is not `clipped`; where that factor is 0, nothing changes. Dense:
//! weights, state and gradient `[capacity, width]`, and `rows` is not read: any indices. Sparse: only the rows of the [row
//! index](crate::kernels::embedding::rows) `rows` are touched, each once. `control [0]` is the learning rate `lr`; `norm` is
//! `[3]`.

use crate::kernel::{Binding, Buffers, Case, Kernel, Params as _, Work, grid_over, no_constants};
use crate::kernels::optimizer::{Sizes, Update, Window, clip_factor, update, update_parallel};
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step and what does not change between steps.
    pub struct Params {
        /// Rows of the gradient.
        pub capacity: u32,
        /// Columns of weights and gradient.
        pub width: u32,
        /// Not 0: row `k` of the gradient belongs to row `rows[1 + first + k]`, for `first + k < rows[0]`.
        pub sparse: u32,
        /// The number of the first row of the gradient in the row index.
        pub first: u32,
        /// The first id of the rows of weights and state that are there.
        pub base: u32,
        /// How many are there; others are left to other steps.
        pub window: u32,
        /// Not 0: the gradient is multiplied by `norm[1]`; 0: by `norm[2]`.
        pub clipped: u32,
        /// How much of the velocity stays.
        pub momentum: f32,
    }
}

impl Params {
    fn window(&self) -> Window {
        Window {
            capacity: self.capacity,
            width: self.width,
            sparse: self.sparse != 0,
            first: self.first,
            base: self.base,
            window: self.window,
        }
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "optimizer/momentum",
    wgsl: include_str!("../../../shaders/optimizer/momentum.wgsl"),
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read_write("weight"),
        Binding::read_write("velocity"),
        Binding::read("gradient"),
        Binding::index("rows"),
        Binding::read("control"),
        Binding::read("norm"),
    ],
    constants: no_constants,
    grid: |words| {
        let params = Params::of(words);
        grid_over(params.capacity as usize * params.width as usize, 256)
    },
    work: Some(|words, _| {
        let params = Params::of(words);
        Work::rows(params.capacity, params.width, 4 * 5)
    }),
    cut: Some(|words, excess| {
        let params: &Params = Params::of(words);
        let part = |part: Window| Params {
            capacity: part.capacity,
            width: part.width,
            first: part.first,
            base: part.base,
            window: part.window,
            ..*params
        };
        let (cut, parts) = params.window().cut(2, excess)?;
        cut.with(parts.map(part))
    }),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    suits: None,
    others: &[],
};

struct Rule<R> {
    factor: R,
    rate: R,
    momentum: R,
}

impl<R: Real> Rule<R> {
    fn new(params: &Params, control: &[R], norm: &[R]) -> Rule<R> {
        Rule {
            factor: clip_factor(params.clipped, norm),
            rate: control[0],
            momentum: R::from_f32(params.momentum),
        }
    }
}

impl<R: Real> Update<R, 2> for Rule<R> {
    #[inline(always)]
    fn factor(&self) -> R {
        self.factor
    }

    #[inline(always)]
    fn update(&self, [weight, velocity]: [&mut [R]; 2], gradient: &[R]) {
        for ((w, v), &g) in weight.iter_mut().zip(velocity).zip(gradient) {
            *v = self.momentum * *v + self.factor * g;
            *w -= self.rate * *v;
        }
    }
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let arrays = [buffers.write(0), buffers.write(1)];
    let (gradient, rows) = (buffers.read(2), buffers.index(3));
    let rule = Rule::new(params, buffers.read(4), buffers.read(5));
    update(arrays, gradient, rows, params.window(), &rule);
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params = Params::of(words);
    let arrays = [buffers.write(0), buffers.write(1)];
    let (gradient, rows) = (buffers.read(2), buffers.index(3));
    let rule = Rule::new(params, buffers.read(4), buffers.read(5));
    update_parallel(arrays, gradient, rows, params.window(), &rule);
}

fn cases() -> Vec<Case> {
    let case = |sizes: Sizes| {
        let params = Params {
            capacity: sizes.capacity as u32,
            width: sizes.width as u32,
            sparse: sizes.sparse.into(),
            first: sizes.first,
            base: sizes.base,
            window: sizes.window,
            clipped: sizes.clipped.into(),
            momentum: 0.9,
        };
        sizes.case(&params, &[(-1.0, 1.0)], &[0.5])
    };
    Sizes::all().into_iter().map(case).collect()
}
