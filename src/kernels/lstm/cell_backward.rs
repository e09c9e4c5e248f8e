//! The gradient of one time step's cell, from the gradient of its projected output.
//!
//! ```text
//! dm  = left weight'                     left = dh [B, depth], weight [H, depth] or, turned, [depth, H]
//!                                        (no projection: dm = left [B, H])
//! do  = dm tanh(c)                       dc' = dc + dm o (1 - tanh(c)^2)
//! di  = dc' j      dj = dc' i      df = dc' c_before
//! dz  = di i (1 - i), dj (1 - j^2), df f (1 - f), do o (1 - o)
//! dc  = dc' f                            for the step before
//! ```
//!
//! `z` holds the gates i, j, f, o of [`super::cell_forward`] and receives `dz`; both `[B, 4H]`, interleaved. `dc [B, H]`
//! arrives from the step after (`carry`), or starts at zero.

use std::cell::RefCell;

use crate::kernel::{
    Binding, Buffers, Case, Fill, Kernel, Params as _, Widths, Work, no_constants,
};
use crate::matrix::{self, Groups, View, ViewMut};
use crate::real::Real;
use crate::{params, team, twin};

use super::layout::{Blocks, LANES, Shuffle, shuffled};
use super::stream_edges;

params! {
    /// The sizes of one step.
    pub struct Params {
        /// `B`.
        pub batch: u32,
        /// `H`.
        pub hidden: u32,
        /// Columns of `left`: `P`, or `H` without projection.
        pub depth: u32,
        /// Whether there is a projection; without, any slice may be bound as `weight`.
        pub projected: u32,
        /// Whether `weight` is stored `[depth, H]`.
        pub turned: u32,
        /// Whether `dc` holds what the step after left.
        pub carry: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "lstm/cell_backward",
    wgsl: include_str!("../../../shaders/lstm/cell_backward.wgsl"),
    snippets: &[&crate::kernel::ACTIVATION, &crate::kernel::FUSED],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("left").or_half(),
        Binding::read("weight").or_half(),
        Binding::read_write("z").vec4().or_half(),
        Binding::read("c_before"),
        Binding::read("c"),
        Binding::read_write("dc"),
    ],
    constants: no_constants,
    grid,
    work: Some(work),
    cut: Some(|words, excess| {
        let params: &Params = Params::of(words);
        let hidden = params.hidden as usize;
        let widths = [params.depth as usize, 0, 4 * hidden, hidden, hidden, hidden];
        let mut cut = excess.rows(params.batch as usize, &widths, 1)?;
        // In the place of the weights stands what is multiplied, or anything small.
        if params.projected == 0 && excess.lens[0] == excess.lens[1] {
            cut = cut.alike(0, 1);
        }
        cut.each(0, |_, batch| Params { batch, ..*params })
    }),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    suits: None,
    others: &[],
};

/// A workgroup makes 32 units of 32 streams.
fn grid(words: &[u32]) -> [u32; 3] {
    let params = Params::of(words);
    [params.hidden.div_ceil(32), params.batch.div_ceil(32), 1]
}

fn work(words: &[u32], widths: Widths) -> Work {
    let p = Params::of(words);
    let [batch, hidden, depth] = [p.batch, p.hidden, p.depth].map(u64::from);
    let depth = if p.projected != 0 { depth } else { 0 };
    let cells = batch * hidden;
    Work {
        flops: 2 * cells * depth,
        bytes: widths[0] * batch * depth.max(1)
            + widths[1] * depth * hidden
            + (8 * widths[2] + widths[3] + widths[4] + 2 * widths[5]) * cells,
    }
}

/// Gradients of the pre-activations and of the state before, of one unit.
#[inline(always)]
fn unit<R: Real>(gates: [R; 4], c_before: R, c: R, dm: R, dc_after: R) -> ([R; 4], R) {
    let [i, j, f, o] = gates;
    let t = c.tanh();
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
    let (left, weight, z) = (buffers.read(0), buffers.read(1), buffers.write(2));
    let (c_before, c, dc) = (buffers.read(3), buffers.read(4), buffers.write(5));
    let [batch, hidden, depth] = [p.batch, p.hidden, p.depth].map(|n| n as usize);
    for b in 0..batch {
        for u in 0..hidden {
            let mut dm = R::ZERO;
            if p.projected != 0 {
                for k in 0..depth {
                    let at = match p.turned {
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
            let (dz, dc_before) = unit(gates, c_before[at], c[at], dm, dc_after);
            z[4 * at..][..4].copy_from_slice(&dz);
            dc[at] = dc_before;
        }
    }
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let p: &Params = Params::of(words);
    let (left, weight, z) = (buffers.read(0), buffers.read(1), buffers.write(2));
    let (c_before, c, dc) = (buffers.read(3), buffers.read(4), buffers.write(5));
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
        let weight = match p.turned {
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

/// Calls `work` with memory of `len` elements of which nothing is known. It is kept, so that a step allocates nothing.
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

/// Everything behind the product, stream by stream: memory is then walked over in its order.
fn differentiate(
    p: &Params,
    dm: &[f32],
    z: &mut [f32],
    c_before: &[f32],
    c: &[f32],
    dc: &mut [f32],
) {
    let [batch, hidden] = [p.batch, p.hidden].map(|n| n as usize);
    let edges = || stream_edges(batch, hidden);
    let z = ViewMut::new(z, batch, 4 * hidden, 4 * hidden).into_rows(edges());
    let dc = ViewMut::new(dc, batch, hidden, hidden).into_rows(edges());
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

impl Blocks for Cells<'_> {
    #[inline(always)]
    fn run<S: Shuffle>(self, shuffle: S) {
        let Cells {
            z,
            c_before,
            c,
            dm,
            dc,
        } = self;
        let (z_blocks, z) = z.as_chunks_mut::<{ 4 * LANES }>();
        let (before_blocks, c_before) = c_before.as_chunks::<LANES>();
        let (c_blocks, c) = c.as_chunks::<LANES>();
        let (dm_blocks, dm) = dm.as_chunks::<LANES>();
        let (dc_blocks, dc) = dc.as_chunks_mut::<LANES>();
        let inputs = before_blocks.iter().zip(c_blocks).zip(dm_blocks);
        for ((z, dc), ((before, c), dm)) in z_blocks.iter_mut().zip(dc_blocks).zip(inputs) {
            let mut gates = shuffle.deinterleave(z);
            for k in 0..LANES {
                let values = [gates[0][k], gates[1][k], gates[2][k], gates[3][k]];
                let (dz, dc_before) = unit(values, before[k], c[k], dm[k], dc[k]);
                for q in 0..4 {
                    gates[q][k] = dz[q];
                }
                dc[k] = dc_before;
            }
            shuffle.interleave(gates, z);
        }
        for u in 0..dc.len() {
            let gates = [0, 1, 2, 3].map(|q| z[4 * u + q]);
            let (dz, dc_before) = unit(gates, c_before[u], c[u], dm[u], dc[u]);
            z[4 * u..][..4].copy_from_slice(&dz);
            dc[u] = dc_before;
        }
    }
}

fn cases() -> Vec<Case> {
    let case = |label, batch: u32, hidden: u32, depth: u32, (turned, carry): (u32, u32)| {
        let projected = depth != 0;
        let width = if projected { depth } else { hidden };
        let params = Params {
            batch,
            hidden,
            depth: width,
            projected: projected.into(),
            turned,
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
        case("one unit", 1, 1, 1, (0, 1)),
        case("projected, odd sizes", 9, 37, 13, (0, 1)),
        case("the last time step", 35, 39, 7, (0, 0)),
        case("weight transposed, odd sizes", 9, 37, 13, (1, 1)),
        case("no projection", 5, 70, 0, (0, 1)),
        case("projected, of the bench model", 64, 1024, 256, (1, 1)).timed(),
    ]
}
