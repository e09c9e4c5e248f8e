//! The gradient of one time step's cell, from the gradient of its projected output.
//!
//! ```text
//! dm  = left weight'                     left = dh [B, depth], weight [H, depth]   (no projection: dm = left [B, H])
//! do  = dm tanh(c)                       dc' = dc + dm o (1 - tanh(c)^2)
//! di  = dc' j      dj = dc' i      df = dc' c_before
//! dz  = di i (1 - i), dj (1 - j^2), df f (1 - f), do o (1 - o)
//! dc  = dc' f                            for the step before
//! ```
//!
//! `z` holds the gates i, j, f, o of [`super::cell_forward`] and receives `dz`; both `[B, 4H]`, interleaved. `dc [B, H]`
//! arrives from the step after (`carry`), or starts at zero.

use std::cell::RefCell;

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, Work, no_constants, vectorised};
use crate::matrix::{self, View, ViewMut};
use crate::real::Real;
use crate::{params, twin};

use super::{LANES, deinterleave, interleave};

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
        Binding::read("left"),
        Binding::read("weight"),
        Binding::read_write("z").vec4(),
        Binding::read("c_before"),
        Binding::read("c"),
        Binding::read_write("dc"),
    ],
    constants: no_constants,
    grid,
    work: Some(work),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
};

/// A workgroup makes 32 units of 32 streams.
fn grid(words: &[u32]) -> [u32; 3] {
    let params = Params::of(words);
    [params.hidden.div_ceil(32), params.batch.div_ceil(32), 1]
}

fn work(words: &[u32]) -> Work {
    let p = Params::of(words);
    let [batch, hidden, depth] = [p.batch, p.hidden, p.depth].map(u64::from);
    let depth = if p.projected != 0 { depth } else { 0 };
    let cells = batch * hidden;
    Work {
        flops: 2 * cells * depth,
        bytes: 4 * (batch * depth.max(1) + depth * hidden + (8 + 2 + 2) * cells),
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
                    dm += left[b * depth + k] * weight[u * depth + k];
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

/// A range of units for all streams.
struct Block<'a> {
    first: usize,
    z: ViewMut<'a>,
    dc: ViewMut<'a>,
}

/// What all blocks read.
struct Shared<'a> {
    p: &'a Params,
    left: &'a [f32],
    weight: &'a [f32],
    c_before: &'a [f32],
    c: &'a [f32],
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let p: &Params = Params::of(words);
    let (left, weight, z) = (buffers.read(0), buffers.read(1), buffers.write(2));
    let (c_before, c, dc) = (buffers.read(3), buffers.read(4), buffers.write(5));
    let (batch, hidden) = (p.batch as usize, p.hidden as usize);
    let block = Block {
        first: 0,
        z: ViewMut::new(z, batch, 4 * hidden, 4 * hidden),
        dc: ViewMut::new(dc, batch, hidden, hidden),
    };
    // A unit costs about as much as 64 multiply-adds besides its products.
    let depth = if p.projected != 0 {
        p.depth as usize
    } else {
        0
    };
    let parts = matrix::parts(batch * hidden * (depth + 64));
    split(
        &Shared {
            p,
            left,
            weight,
            c_before,
            c,
        },
        block,
        parts,
    );
}

fn split(shared: &Shared<'_>, block: Block<'_>, parts: usize) {
    let units = block.dc.column_count();
    let Some(cut) = matrix::cut(units, shared.p.batch as usize, parts) else {
        return compute(shared, block);
    };
    let (z, z_rest) = block.z.split_columns(4 * cut);
    let (dc, dc_rest) = block.dc.split_columns(cut);
    rayon::join(
        || {
            split(
                shared,
                Block {
                    first: block.first,
                    z,
                    dc,
                },
                parts / 2,
            )
        },
        || {
            let rest = Block {
                first: block.first + cut,
                z: z_rest,
                dc: dc_rest,
            };
            split(shared, rest, parts - parts / 2)
        },
    );
}

thread_local! {
    /// `dm` of a block, kept so that a step allocates nothing.
    static DM: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

fn compute(shared: &Shared<'_>, mut block: Block<'_>) {
    let p = shared.p;
    let [batch, hidden, depth] = [p.batch, p.hidden, p.depth].map(|n| n as usize);
    let (first, count) = (block.first, block.dc.column_count());
    DM.with_borrow_mut(|product| {
        if p.projected != 0 {
            product.resize(product.len().max(batch * count), 0.0);
            let left = View::new(shared.left, batch, depth, depth);
            let weight = View::new(shared.weight, hidden, depth, depth).rows(first, count);
            matrix::multiply(
                ViewMut::new(product, batch, count, count),
                false,
                left,
                weight.transposed(),
            );
        }
        for b in 0..batch {
            let at = b * hidden + first;
            let dm = if p.projected != 0 {
                &product[b * count..]
            } else {
                &shared.left[at..]
            };
            let (dm, c_before, c) = (
                &dm[..count],
                &shared.c_before[at..][..count],
                &shared.c[at..][..count],
            );
            let (z, dc) = (block.z.row(b), block.dc.row(b));
            if p.carry == 0 {
                dc.fill(0.0);
            }
            vectorised(
                #[inline(always)]
                || cells(z, c_before, c, dm, dc),
            );
        }
    });
}

#[inline(always)]
fn cells(z: &mut [f32], c_before: &[f32], c: &[f32], dm: &[f32], dc: &mut [f32]) {
    let whole = dc.len() / LANES * LANES;
    for u in (0..whole).step_by(LANES) {
        let z = &mut z[4 * u..][..4 * LANES];
        let mut gates = deinterleave(z);
        let before: &[f32; LANES] = c_before[u..][..LANES].try_into().expect("a whole block");
        let state: &[f32; LANES] = c[u..][..LANES].try_into().expect("a whole block");
        let dm: &[f32; LANES] = dm[u..][..LANES].try_into().expect("a whole block");
        let dc: &mut [f32; LANES] = (&mut dc[u..][..LANES]).try_into().expect("a whole block");
        for k in 0..LANES {
            let values = [gates[0][k], gates[1][k], gates[2][k], gates[3][k]];
            let (dz, dc_before) = unit(values, before[k], state[k], dm[k], dc[k]);
            for q in 0..4 {
                gates[q][k] = dz[q];
            }
            dc[k] = dc_before;
        }
        interleave(&gates, z);
    }
    for u in whole..dc.len() {
        let gates = [0, 1, 2, 3].map(|q| z[4 * u + q]);
        let (dz, dc_before) = unit(gates, c_before[u], c[u], dm[u], dc[u]);
        z[4 * u..][..4].copy_from_slice(&dz);
        dc[u] = dc_before;
    }
}

fn cases() -> Vec<Case> {
    let case = |label, batch: u32, hidden: u32, depth: u32, carry: u32| {
        let projected = depth != 0;
        let width = if projected { depth } else { hidden };
        let params = Params {
            batch,
            hidden,
            depth: width,
            projected: projected.into(),
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
        case("one unit", 1, 1, 1, 1),
        case("projected, odd sizes", 9, 37, 13, 1),
        case("the last time step", 35, 39, 7, 0),
        case("no projection", 5, 70, 0, 1),
    ]
}
