//! `partials[p] = sum of x[i]^2` over share `p` of `x`, which is `ceil(len / parts)` neighbours (fewer, or none, for the last
//! ones). The first half of a norm; the second is [`super::norm`].

use crate::kernel::{
    Binding, Buffers, Case, Fill, Kernel, Params as _, WORKGROUP, grid_over, no_constants,
};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of `x`.
        pub len: u32,
        /// Elements of `partials`.
        pub parts: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "reduce/sum_squares",
    wgsl: include_str!("../../../shaders/reduce/sum_squares.wgsl"),
    snippets: &[&WORKGROUP],
    fields: Params::FIELDS,
    bindings: &[Binding::read("x"), Binding::write("partials")],
    constants: no_constants,
    grid: |words| grid_over(Params::of(words).parts as usize, 1),
    work: None,
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, partials) = (buffers.read(0), buffers.write(1));
    add_up(params, x, 0, partials);
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params = Params::of(words);
    let (x, partials) = (buffers.read(0), buffers.write(1));
    parallel::rows(
        partials,
        1,
        share(params),
        #[inline(always)]
        |first, partials| {
            add_up(params, x, first, partials);
        },
    );
}

/// The elements of one share.
fn share(params: &Params) -> usize {
    params.len.div_ceil(params.parts) as usize
}

/// The shares from `first` on.
#[inline(always)]
fn add_up<R: Real>(params: &Params, x: &[R], first: usize, partials: &mut [R]) {
    let share = share(params);
    for (k, partial) in partials.iter_mut().enumerate() {
        let begin = ((first + k) * share).min(x.len());
        let end = (begin + share).min(x.len());
        *partial = parallel::sum(
            &x[begin..end],
            #[inline(always)]
            |x| x * x,
        );
    }
}

fn cases() -> Vec<Case> {
    let case = |label, len: usize, parts: usize| {
        let params = Params {
            len: len as u32,
            parts: parts as u32,
        };
        let buffers = vec![Fill::signed(len), Fill::Output(parts)];
        Case::new(label, &params, len.div_ceil(parts), buffers)
    };
    vec![
        case("one element", 1, 1),
        case("more parts than elements", 3, 7),
        case("an uneven last share", 1031, 13),
        case("one part", 2563, 1),
        case("more than one task", 40_013, 67),
        case("of the bench model", 1 << 20, 64).timed(),
    ]
}
