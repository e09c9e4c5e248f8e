//! `partials[p] = sum of x0[i]^2` over share `p` of `x0`: `share` consecutive elements, or fewer or none in the last shares. The
//! first half of a norm; the second is [`super::norm`].
//!
//! [`SEVERAL`] does the same for up to [`TENSORS`] tensors, whose partial sums follow one another, with the same bits.

use crate::kernel::{
    Binding, Buffers, Case, Fill, Kernel, MAX_BINDINGS, Params as _, PartialStep, Twin, WORKGROUP,
    Work, grid_over,
};
use crate::kernels::parallel;
use crate::params;
use crate::real::Real;

params! {
    /// The sizes of one tensor.
    pub struct Params {
        /// Its elements.
        pub len: u32,
        /// Its partial sums.
        pub parts: u32,
        /// Elements of a share.
        pub share: u32,
    }
}

/// The largest number of tensors of [`SEVERAL`].
pub const TENSORS: usize = MAX_BINDINGS - 1;

/// The fields of each tensor in turn.
static FIELDS: [(&str, &str); 3 * TENSORS] = [
    ("len0", "u32"),
    ("parts0", "u32"),
    ("share0", "u32"),
    ("len1", "u32"),
    ("parts1", "u32"),
    ("share1", "u32"),
    ("len2", "u32"),
    ("parts2", "u32"),
    ("share2", "u32"),
    ("len3", "u32"),
    ("parts3", "u32"),
    ("share3", "u32"),
    ("len4", "u32"),
    ("parts4", "u32"),
    ("share4", "u32"),
    ("len5", "u32"),
    ("parts5", "u32"),
    ("share5", "u32"),
    ("len6", "u32"),
    ("parts6", "u32"),
    ("share6", "u32"),
];

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "reduce/sum_squares",
    wgsl: include_str!("../../../shaders/reduce/sum_squares.wgsl"),
    snippets: &[&WORKGROUP],
    declares_interface: true,
    fields: FIELDS.split_at(3).0,
    bindings: &[Binding::read("x0"), Binding::write("partials")],
    grid,
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
    twin: Twin {
        single: twin,
        double: twin,
    },
    cpu: Some(cpu),
    cases,
    no_gradient: Some("measures a gradient, is in no loss"),
    ..Kernel::DEFAULT
};

/// See the module. Where there are fewer tensors, any slice is bound in their place, and their sizes are 0.
pub static SEVERAL: Kernel = Kernel {
    name: "reduce/sum_squares several",
    wgsl: KERNEL.wgsl,
    snippets: &[&WORKGROUP],
    declares_interface: true,
    fields: &FIELDS,
    bindings: &[
        Binding::read("x0"),
        Binding::read("x1"),
        Binding::read("x2"),
        Binding::read("x3"),
        Binding::read("x4"),
        Binding::read("x5"),
        Binding::read("x6"),
        Binding::write("partials"),
    ],
    constants: |_| vec![("TENSORS", TENSORS as u32)],
    grid,
    work: Some(|raw, _| Work {
        flops: 0,
        bytes: of_tensors(raw)
            .map(|params| 4 * u64::from(params.len + params.parts))
            .sum(),
    }),
    twin: Twin {
        single: twin,
        double: twin,
    },
    cpu: Some(cpu),
    cases: cases_of_several,
    no_gradient: Some("measures a gradient, is in no loss"),
    ..Kernel::DEFAULT
};

/// The params of a step of [`SEVERAL`].
///
/// # Panics
///
/// If there are more than [`TENSORS`] tensors.
pub fn several(tensors: &[Params]) -> Box<[u32]> {
    let missing = TENSORS.checked_sub(tensors.len());
    let missing = missing.expect("as many tensors as bindings at most");
    let zeros = vec![0; 3 * missing];
    tensors
        .iter()
        .flat_map(|params| params.to_raw())
        .chain(zeros)
        .collect()
}

fn of_tensors(raw: &[u32]) -> impl Iterator<Item = &Params> {
    raw.chunks_exact(3).map(Params::of)
}

fn grid(raw: &[u32]) -> [u32; 3] {
    let parts = of_tensors(raw).map(|params| params.parts as usize);
    grid_over(parts.sum(), 1)
}

fn twin<R: Real>(raw: &[u32], buffers: &mut Buffers<'_, R>) {
    let mut rest = buffers.write("partials");
    for (k, params) in of_tensors(raw).enumerate() {
        let (partials, others) = rest.split_at_mut(params.parts as usize);
        add_up(params, buffers.read(buffers.name(k)), 0, partials);
        rest = others;
    }
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let mut rest = buffers.write("partials");
    for (k, params) in of_tensors(raw).enumerate() {
        let (partials, others) = rest.split_at_mut(params.parts as usize);
        let x = buffers.read(buffers.name(k));
        parallel::rows(
            partials,
            1,
            params.share as usize,
            #[inline(always)]
            |first, partials| {
                add_up(params, x, first, partials);
            },
        );
        rest = others;
    }
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

fn cases_of_several() -> Vec<Case> {
    let case = |label, tensors: &[(usize, usize)]| {
        let params: Vec<Params> = tensors
            .iter()
            .map(|&(len, parts)| Params {
                len: len as u32,
                parts: parts as u32,
                share: len.div_ceil(parts) as u32,
            })
            .collect();
        let mut buffers: Vec<Fill> = tensors.iter().map(|&(len, _)| Fill::signed(len)).collect();
        buffers.resize_with(TENSORS, || Fill::signed(1));
        buffers.push(Fill::Output(tensors.iter().map(|&(_, parts)| parts).sum()));
        let terms = params.iter().map(|params| params.share).max();
        let terms = terms.expect("at least one tensor") as usize;
        Case::of_raw(label, several(&params), terms, buffers)
    };
    let many = [
        (1031, 13),
        (3, 7),
        (40_013, 67),
        (1, 1),
        (2563, 1),
        (257, 2),
        (5, 5),
    ];
    vec![
        case("one tensor", &[(67, 3)]),
        case("three tensors", &many[..3]),
        case("as many tensors as possible", &many),
        case(
            "of the bench model",
            &[(1 << 20, 64), (4096, 1), (1 << 18, 16)],
        )
        .timed(),
    ]
}
