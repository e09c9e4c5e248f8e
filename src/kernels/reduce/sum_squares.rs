//! `partials[p] = sum of x[i]^2` over share `p` of `x`: `share` consecutive elements, or fewer or none in the last shares. The
//! first half of a norm; the second is [`super::norm`].

use crate::kernel::{
    Binding, Buffers, Case, Fill, Kernel, Params as _, PartialStep, WORKGROUP, grid_over,
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
    grid: |raw| grid_over(Params::of(raw).parts as usize, 1),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        if oversized.binding != 0 {
            return None;
        }
        let (share, len) = (params.share as usize, params.len as usize);
        let parts = (oversized.most / share).min((len - 1) / share);
        if parts == 0 {
            return None;
        }
        let (at, rest) = (parts * share, params.parts as usize - parts);
        let mut ranges = [oversized.whole(), oversized.whole()];
        (ranges[0][0], ranges[1][0]) = (0..at, at..len);
        (ranges[0][1], ranges[1][1]) = (0..parts, parts..parts + rest);
        let [first, second] = ranges;
        let params = |len: usize, parts: usize| {
            Params {
                len: len as u32,
                parts: parts as u32,
                ..*params
            }
            .to_raw()
        };
        Some([
            PartialStep {
                params: params(at, parts),
                ranges: first,
            },
            PartialStep {
                params: params(len - at, rest),
                ranges: second,
            },
        ])
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    no_gradient: Some("measures a gradient, is in no loss"),
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, partials) = (buffers.read("x"), buffers.write("partials"));
    add_up(params, x, 0, partials);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params = Params::of(raw);
    let (x, partials) = (buffers.read("x"), buffers.write("partials"));
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

/// Computes shares, the first of which is share `first`.
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
