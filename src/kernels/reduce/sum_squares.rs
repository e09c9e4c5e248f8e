//! `partials[p] = sum of x[i]^2` over share `p` of `x`, which is `share` neighbours (fewer, or none, for the last
//! ones). The first half of a norm; the second is [`super::norm`].

use crate::kernel::{
    Binding, Buffers, Case, Fill, Kernel, Params as _, Part, WORKGROUP, grid_over, no_constants,
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
        /// Elements of a share.
        pub share: u32,
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
    cut: Some(|words, excess| {
        let params: &Params = Params::of(words);
        if excess.binding != 0 {
            return None;
        }
        let (share, len) = (params.share as usize, params.len as usize);
        let parts = (excess.most / share).min((len - 1) / share);
        if parts == 0 {
            return None;
        }
        let (at, rest) = (parts * share, params.parts as usize - parts);
        let mut ranges = [excess.whole(), excess.whole()];
        (ranges[0][0], ranges[1][0]) = (0..at, at..len);
        (ranges[0][1], ranges[1][1]) = (0..parts, parts..parts + rest);
        let [first, second] = ranges;
        let params = |len: usize, parts: usize| {
            Params {
                len: len as u32,
                parts: parts as u32,
                ..*params
            }
            .words()
        };
        Some([
            Part {
                params: params(at, parts),
                ranges: first,
            },
            Part {
                params: params(len - at, rest),
                ranges: second,
            },
        ])
    }),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    suits: None,
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
        params.share as usize,
        #[inline(always)]
        |first, partials| {
            add_up(params, x, first, partials);
        },
    );
}

/// The shares from `first` on.
#[inline(always)]
fn add_up<R: Real>(params: &Params, x: &[R], first: usize, partials: &mut [R]) {
    let share = params.share as usize;
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
            share: len.div_ceil(parts) as u32,
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
