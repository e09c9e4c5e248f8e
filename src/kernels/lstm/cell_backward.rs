//! The gradient of one time step's cell, from the gradient of its projected output.
//!
//! ```text
//! dm  = left weight'                     left = dh [B, depth], weight [H, depth], or [depth, H] if transposed
//!                                        (no projection: dm = left [B, H])
//! do  = dm tanh(c)                       dc' = dc + dm o (1 - tanh(c)^2)
//! di  = dc' j      dj = dc' i      df = dc' c_before
//! dz  = di i (1 - i), dj (1 - j^2), df f (1 - f), do o (1 - o)
//! dc  = dc' f                            for the previous time step
//! ```
//!
//! `z` holds the gates i, j, f, o of [`super::cell_forward`] and receives `dz`; both `[B, 4H]`, interleaved. `dc [B, H]`
//! holds the gradient from the next time step (`carry`), or starts at zero.

use std::array::{from_mut, from_ref};
use std::cell::RefCell;

use crate::kernel::{
    ACTIVATION, Binding, Buffers, Case, ElementSizes, FUSED, Fill, Kernel, Params as _, Snippet,
    Work,
};
use crate::kernels::matmul::product;
use crate::matrix::{self, Groups, View, ViewMut};
use crate::real::Real;
use crate::{params, team, twin};

use super::interface::CELL;
use super::layout::{
    BlockComputation, LANES, Shuffle, blocks, blocks_mut, padded, replace, shuffled,
};
use super::streams::stream_bounds;

params! {
    /// The sizes of one step.
    pub struct Params {
        /// `B`.
        pub batch: u32,
        /// `H`.
        pub hidden: u32,
        /// Columns of `left`: `P`, or `H` without projection.
        pub depth: u32,
        /// Whether there is a projection. If not, any slice may be bound as `weight`.
        pub projected: u32,
        /// Whether `weight` is stored `[depth, H]`.
        pub transposed: u32,
        /// Whether `dc` holds the gradient from the next time step.
        pub carry: u32,
    }
}

impl Params {
    /// The product of the step, as those of `matmul` describe it. `None` without projection.
    pub fn product(&self) -> Option<product::Params> {
        let [batch, hidden, depth] = [self.batch, self.hidden, self.depth].map(|n| n as usize);
        let dense = product::Params::dense(batch, hidden, depth);
        (self.projected != 0).then_some(match self.transposed {
            0 => dense.transposed_right(),
            _ => dense,
        })
    }

    /// A step of similar proportions with at most `most` multiply-adds, for tuning. Sides stay multiples of eight.
    fn reduced(mut self, most: u64) -> Params {
        while [self.batch, self.hidden, self.depth]
            .map(u64::from)
            .iter()
            .product::<u64>()
            > most
        {
            let sides = [&mut self.batch, &mut self.hidden, &mut self.depth];
            let longest = sides.into_iter().max().expect("three sides");
            if *longest <= 8 {
                break;
            }
            *longest = longest.div_ceil(2).next_multiple_of(8);
        }
        self
    }
}

/// See the module.
pub static KERNEL: Kernel = BASE;

/// What follows [`CELL`] in the shaders of all forms.
static INTERFACE: Snippet = Snippet {
    name: "cell_backward",
    wgsl: include_str!("../../../shaders/shared/cell_backward.wgsl"),
};

/// The snippets of shaders that multiply on matrix units.
pub(super) static ON_UNITS: [&Snippet; 3] = [&ACTIVATION, &CELL, &INTERFACE];

/// The common parts of all forms.
pub(super) const BASE: Kernel = Kernel {
    name: "lstm/cell_backward",
    wgsl: include_str!("../../../shaders/lstm/cell_backward.wgsl"),
    snippets: &[&ACTIVATION, &CELL, &INTERFACE, &FUSED],
    fields: Params::FIELDS,
    bindings: &in_elements(
        Binding::read("left").or_half(),
        Binding::read("weight").or_half(),
        Binding::read_write("z").vec4().or_half(),
    ),
    grid,
    work: Some(work),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let hidden = params.hidden as usize;
        let widths = [params.depth as usize, 0, 4 * hidden, hidden, hidden, hidden];
        let mut split = oversized.rows(params.batch as usize, &widths, 1)?;
        // Without a projection, the left operand or a small slice is bound as `weight`.
        if params.projected == 0 && oversized.lens[0] == oversized.lens[1] {
            split = split.copy_range(0, 1);
        }
        split.each(0, |_, batch| Params { batch, ..*params })
    }),
    reduced: Some(|raw, most| Params::of(raw).reduced(most).to_raw()),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

/// The bindings of a form that accesses cells one by one.
pub(super) const fn in_elements(left: Binding, weight: Binding, z: Binding) -> [Binding; 6] {
    let (c_before, c) = (Binding::read("c_before"), Binding::read("c"));
    [left, weight, z, c_before, c, Binding::read_write("dc")]
}

/// The same by fours.
pub(super) const fn in_vectors(left: Binding, weight: Binding, z: Binding) -> [Binding; 6] {
    let [left, weight, z, c_before, c, dc] = in_elements(left, weight, z);
    [left, weight, z, c_before.vec4(), c.vec4(), dc.vec4()]
}

/// A workgroup computes 32 units of 32 streams.
fn grid(raw: &[u32]) -> [u32; 3] {
    let params = Params::of(raw);
    [params.hidden.div_ceil(32), params.batch.div_ceil(32), 1]
}

fn work(raw: &[u32], sizes: ElementSizes) -> Work {
    let p = Params::of(raw);
    let [batch, hidden, depth] = [p.batch, p.hidden, p.depth].map(u64::from);
    let (depth, width) = if p.projected != 0 {
        (depth, depth)
    } else {
        (0, hidden)
    };
    let cells = batch * hidden;
    Work {
        flops: 2 * cells * depth,
        bytes: sizes[0] * batch * width
            + sizes[1] * depth * hidden
            + (8 * sizes[2] + sizes[3] + sizes[4] + 2 * sizes[5]) * cells,
    }
}

/// The gradients of one unit: of its pre-activations and of its previous state. `t` is `tanh(c)`.
#[inline(always)]
fn unit<R: Real>(gates: [R; 4], c_before: R, t: R, dm: R, dc_after: R) -> ([R; 4], R) {
    let [i, j, f, o] = gates;
    let dc = dc_after + dm * o * (R::ONE - t * t);
    let dz = [
        dc * j * i * (R::ONE - i),
        dc * i * (R::ONE - j * j),
        dc * c_before * f * (R::ONE - f),
        dm * t * o * (R::ONE - o),
    ];
    (dz, dc * f)
}

fn twin<R: Real>(p: &Params, buffers: &mut Buffers<'_, R>) {
    let (left, weight, z) = (
        buffers.read("left"),
        buffers.read("weight"),
        buffers.write("z"),
    );
    let (c_before, c, dc) = (
        buffers.read("c_before"),
        buffers.read("c"),
        buffers.write("dc"),
    );
    let [batch, hidden, depth] = [p.batch, p.hidden, p.depth].map(|n| n as usize);
    for b in 0..batch {
        for u in 0..hidden {
            let mut dm = R::ZERO;
            if p.projected != 0 {
                for k in 0..depth {
                    let at = match p.transposed {
                        0 => u * depth + k,
                        _ => k * hidden + u,
                    };
                    dm += left[b * depth + k] * weight[at];
                }
            } else {
                dm = left[b * depth + u];
            }
            let at = b * hidden + u;
            let gates = [0, 1, 2, 3].map(|q| z[4 * at + q]);
            let dc_after = if p.carry != 0 { dc[at] } else { R::ZERO };
            let (dz, dc_before) = unit(gates, c_before[at], c[at].tanh(), dm, dc_after);
            z[4 * at..][..4].copy_from_slice(&dz);
            dc[at] = dc_before;
        }
    }
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let p: &Params = Params::of(raw);
    let (left, weight, z) = (
        buffers.read("left"),
        buffers.read("weight"),
        buffers.write("z"),
    );
    let (c_before, c, dc) = (
        buffers.read("c_before"),
        buffers.read("c"),
        buffers.write("dc"),
    );
    let [batch, hidden, depth] = [p.batch, p.hidden, p.depth].map(|n| n as usize);
    if p.projected == 0 {
        return differentiate(p, left, z, c_before, c, dc);
    }
    with_scratch(batch * hidden, |dm| {
        let layout = Groups {
            count: 1,
            stride: 0,
            rows: batch,
            columns: hidden,
            row_stride: hidden,
        };
        let left = View::new(left, batch, depth, depth);
        let weight = match p.transposed {
            0 => View::new(weight, hidden, depth, depth).transposed(),
            _ => View::new(weight, depth, hidden, hidden),
        };
        let parts = matrix::parts(batch * hidden * depth);
        matrix::each_block(dm, layout, parts, |block| {
            block.multiply(false, left, weight);
        });
        differentiate(p, dm, z, c_before, c, dc);
    });
}

/// Calls `work` with `len` elements of unspecified content. The memory is kept, so that a step allocates nothing.
fn with_scratch<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    thread_local! {
        static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < len {
            scratch.resize(len, 0.0);
        }
        work(&mut scratch[..len])
    })
}

/// Computes everything after the product, stream by stream, so that memory is read in order.
fn differentiate(
    p: &Params,
    dm: &[f32],
    z: &mut [f32],
    c_before: &[f32],
    c: &[f32],
    dc: &mut [f32],
) {
    let [batch, hidden] = [p.batch, p.hidden].map(|n| n as usize);
    let bounds = || stream_bounds(batch, hidden);
    let z = ViewMut::new(z, batch, 4 * hidden, 4 * hidden).into_rows(bounds());
    let dc = ViewMut::new(dc, batch, hidden, hidden).into_rows(bounds());
    team::each(dc.count(), |k| {
        let (first, mut dc) = dc.take(k);
        let mut z = z.take(k).1;
        for row in 0..dc.row_count() {
            let at = (first + row) * hidden;
            let (dm, c_before, c) = (
                &dm[at..][..hidden],
                &c_before[at..][..hidden],
                &c[at..][..hidden],
            );
            let (z, dc) = (z.row(row), dc.row(row));
            if p.carry == 0 {
                dc.fill(0.0);
            }
            shuffled(Cells {
                z,
                c_before,
                c,
                dm,
                dc,
            });
        }
    });
}

/// The cells of one stream.
struct Cells<'a> {
    z: &'a mut [f32],
    c_before: &'a [f32],
    c: &'a [f32],
    dm: &'a [f32],
    dc: &'a mut [f32],
}

impl BlockComputation for Cells<'_> {
    #[inline(always)]
    fn run<S: Shuffle>(self, shuffle: S) {
        let Cells {
            z,
            c_before,
            c,
            dm,
            dc,
        } = self;
        let (z_runs, z_blocks, z) = blocks_mut(z);
        let (before_runs, before_blocks, c_before) = blocks(c_before);
        let (c_runs, c_blocks, c) = blocks(c);
        let (dm_runs, dm_blocks, dm) = blocks(dm);
        let (dc_runs, dc_blocks, dc) = blocks_mut(dc);
        let inputs = before_runs.iter().zip(c_runs).zip(dm_runs);
        for ((z, dc), ((before, c), dm)) in z_runs.iter_mut().zip(dc_runs).zip(inputs) {
            units(shuffle, z, before, c, dm, dc);
        }
        let inputs = before_blocks.iter().zip(c_blocks).zip(dm_blocks);
        for ((z, dc), ((before, c), dm)) in z_blocks.iter_mut().zip(dc_blocks).zip(inputs) {
            let (before, c, dm) = (from_ref(before), from_ref(c), from_ref(dm));
            units(shuffle, from_mut(z), before, c, dm, from_mut(dc));
        }
        if dc.is_empty() {
            return;
        }
        let (mut z_last, mut dc_last) = (padded(z), padded(dc));
        let (before, c, dm) = (padded(c_before), padded(c), padded(dm));
        units(shuffle, &mut z_last, &before, &c, &dm, &mut dc_last);
        z.copy_from_slice(&z_last[0][..z.len()]);
        dc.copy_from_slice(&dc_last[0][..dc.len()]);
    }
}

/// Some blocks of units.
#[inline(always)]
fn units<S: Shuffle, const N: usize>(
    shuffle: S,
    z: &mut [[f32; 4 * LANES]; N],
    before: &[[f32; LANES]; N],
    c: &[[f32; LANES]; N],
    dm: &[[f32; LANES]; N],
    dc: &mut [[f32; LANES]; N],
) {
    let mut t = *c;
    replace(&mut t, Real::tanh);
    for n in 0..N {
        let mut gates = shuffle.deinterleave(&z[n]);
        for k in 0..LANES {
            let values = [gates[0][k], gates[1][k], gates[2][k], gates[3][k]];
            let (dz, dc_before) = unit(values, before[n][k], t[n][k], dm[n][k], dc[n][k]);
            for q in 0..4 {
                gates[q][k] = dz[q];
            }
            dc[n][k] = dc_before;
        }
        shuffle.interleave(gates, &mut z[n]);
    }
}

fn cases() -> Vec<Case> {
    let case = |label, batch: u32, hidden: u32, depth: u32, transposed, carry| {
        let projected = depth != 0;
        let width = if projected { depth } else { hidden };
        let params = Params {
            batch,
            hidden,
            depth: width,
            projected: projected.into(),
            transposed,
            carry,
        };
        let cells = (batch * hidden) as usize;
        let buffers = vec![
            Fill::signed((batch * width) as usize),
            Fill::signed(if projected {
                (hidden * depth) as usize
            } else {
                1
            }),
            Fill::Uniform {
                len: 4 * cells,
                low: 0.05,
                high: 0.95,
            },
            Fill::signed(cells),
            Fill::signed(cells),
            if carry != 0 {
                Fill::signed(cells)
            } else {
                Fill::Output(cells)
            },
        ];
        Case::new(label, &params, width as usize, buffers)
    };
    vec![
        case("one unit", 1, 1, 1, 0, 1),
        case("projected, odd sizes", 9, 37, 13, 0, 1),
        case("the last time step", 35, 39, 7, 0, 0),
        case("the last time step, units by fours", 5, 40, 8, 0, 0),
        case("weight transposed, odd sizes", 9, 37, 13, 1, 1),
        case("no projection", 5, 70, 0, 0, 1),
        case("a sum of several parts", 3, 9, 1100, 0, 1),
        // Sizes that can be read by vectors of four and of eight, in several blocks.
        case("vectors", 70, 136, 40, 0, 1),
        case(
            "vectors, weight transposed, a sum of several parts",
            9,
            72,
            520,
            1,
            0,
        ),
        case("projected, of the bench model", 64, 1024, 256, 1, 1).timed(),
    ]
}
