//! The gates of one time step and the cell behind them.
//!
//! ```text
//! z  = [z +] left_g weight_g + bias      left [B, G*depth], weight_g [depth, 4H/G], z [B, 4H] interleaved
//! i, f, o = sigmoid(z_i), sigmoid(z_f + forget_bias), sigmoid(z_o);  j = tanh(z_j)
//! c' = f * c + i * j
//! m  = o * tanh(c')
//! ```
//!
//! `left` is the recurrent input `h` for `lstmp` (one group) and `glstm`, with the products of the layer's input already
//! in `z`; for `flstm` it is the factor `[x; h] W1` and `z` holds nothing yet. Afterwards `z` holds the gates i, j, f, o
//! themselves, for the backward pass.

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
        /// `H`, all groups together.
        pub hidden: u32,
        /// `G`.
        pub groups: u32,
        /// Terms of each sum: columns of `left` of a group.
        pub depth: u32,
        /// Elements between the weights of two groups.
        pub weight_group: u32,
        /// Whether `z` holds something to add to.
        pub accumulate: u32,
        /// Added to the forget gate.
        pub forget_bias: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "lstm/cell_forward",
    wgsl: include_str!("../../../shaders/lstm/cell_forward.wgsl"),
    snippets: &[&crate::kernel::ACTIVATION, &crate::kernel::FUSED],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("left"),
        Binding::read("weight").vec4(),
        Binding::read("bias").vec4(),
        Binding::read_write("z").vec4(),
        Binding::read("c_before"),
        Binding::write("c"),
        Binding::write("m"),
    ],
    constants: no_constants,
    grid,
    work: Some(work),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
};

/// A workgroup makes 32 units of 8 streams.
fn grid(words: &[u32]) -> [u32; 3] {
    let params = Params::of(words);
    [params.hidden.div_ceil(32), params.batch.div_ceil(8), 1]
}

fn work(words: &[u32]) -> Work {
    let p = Params::of(words);
    let [batch, hidden, groups, depth] = [p.batch, p.hidden, p.groups, p.depth].map(u64::from);
    let gates = batch * 4 * hidden;
    let moved = gates * if p.accumulate != 0 { 2 } else { 1 } + 3 * batch * hidden;
    Work {
        flops: 2 * gates * depth,
        bytes: 4 * (batch * groups * depth + depth * 4 * hidden + moved),
    }
}

/// Gates, state and output of one unit.
#[inline(always)]
fn unit<R: Real>(z: [R; 4], c_before: R, forget_bias: R) -> ([R; 4], R, R) {
    let i = z[0].sigmoid();
    let j = z[1].tanh();
    let f = (z[2] + forget_bias).sigmoid();
    let o = z[3].sigmoid();
    let c = f * c_before + i * j;
    ([i, j, f, o], c, o * c.tanh())
}

fn twin<R: Real>(p: &Params, buffers: &mut Buffers<'_, R>) {
    let (left, weight, bias) = (buffers.read(0), buffers.read(1), buffers.read(2));
    let (z, c_before, c, m) = (
        buffers.write(3),
        buffers.read(4),
        buffers.write(5),
        buffers.write(6),
    );
    let [batch, hidden, groups, depth] = [p.batch, p.hidden, p.groups, p.depth].map(|n| n as usize);
    let units = hidden / groups;
    for b in 0..batch {
        for u in 0..hidden {
            let g = u / units;
            let mut gates = [R::ZERO; 4];
            for q in 0..4 {
                let mut sum = R::ZERO;
                for k in 0..depth {
                    sum += left[b * groups * depth + g * depth + k]
                        * weight
                            [g * p.weight_group as usize + k * 4 * units + 4 * (u - g * units) + q];
                }
                sum += bias[4 * u + q];
                let before = z[4 * (b * hidden + u) + q];
                gates[q] = if p.accumulate != 0 { before + sum } else { sum };
            }
            let at = b * hidden + u;
            let forget_bias = R::from_f32(p.forget_bias);
            let (gates, state, output) = unit(gates, c_before[at], forget_bias);
            z[4 * at..][..4].copy_from_slice(&gates);
            c[at] = state;
            m[at] = output;
        }
    }
}

/// A range of units for all streams.
struct Block<'a> {
    first: usize,
    z: ViewMut<'a>,
    c: ViewMut<'a>,
    m: ViewMut<'a>,
}

/// What all blocks read.
struct Shared<'a> {
    p: &'a Params,
    left: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    c_before: &'a [f32],
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let p: &Params = Params::of(words);
    let (left, weight, bias) = (buffers.read(0), buffers.read(1), buffers.read(2));
    let (z, c_before, c, m) = (
        buffers.write(3),
        buffers.read(4),
        buffers.write(5),
        buffers.write(6),
    );
    let (batch, hidden) = (p.batch as usize, p.hidden as usize);
    let block = Block {
        first: 0,
        z: ViewMut::new(z, batch, 4 * hidden, 4 * hidden),
        c: ViewMut::new(c, batch, hidden, hidden),
        m: ViewMut::new(m, batch, hidden, hidden),
    };
    // A unit costs about as much as 64 multiply-adds besides its products.
    let parts = matrix::parts(batch * hidden * (4 * p.depth as usize + 64));
    split(
        &Shared {
            p,
            left,
            weight,
            bias,
            c_before,
        },
        block,
        parts,
    );
}

fn split(shared: &Shared<'_>, block: Block<'_>, parts: usize) {
    let units = block.c.column_count();
    let Some(cut) = matrix::cut(units, shared.p.batch as usize, parts) else {
        return compute(shared, block);
    };
    let (z, z_rest) = block.z.split_columns(4 * cut);
    let (c, c_rest) = block.c.split_columns(cut);
    let (m, m_rest) = block.m.split_columns(cut);
    rayon::join(
        || {
            split(
                shared,
                Block {
                    first: block.first,
                    z,
                    c,
                    m,
                },
                parts / 2,
            )
        },
        || {
            let rest = Block {
                first: block.first + cut,
                z: z_rest,
                c: c_rest,
                m: m_rest,
            };
            split(shared, rest, parts - parts / 2)
        },
    );
}

fn compute(shared: &Shared<'_>, mut block: Block<'_>) {
    let p = shared.p;
    let [batch, hidden, groups, depth] = [p.batch, p.hidden, p.groups, p.depth].map(|n| n as usize);
    let per_group = hidden / groups;
    let (mut from, end) = (block.first, block.first + block.c.column_count());
    let mut z = block.z.borrow();
    while from < end {
        let g = from / per_group;
        let count = end.min((g + 1) * per_group) - from;
        let (out, rest) = z.split_columns(4 * count);
        let left = View::new(&shared.left[g * depth..], batch, depth, groups * depth);
        let weight = &shared.weight[g * p.weight_group as usize..];
        let weight = View::new(weight, depth, 4 * per_group, 4 * per_group)
            .columns(4 * (from - g * per_group), 4 * count);
        matrix::multiply(out, p.accumulate != 0, left, weight);
        z = rest;
        from += count;
    }
    let (first, count) = (block.first, end - block.first);
    let bias = &shared.bias[4 * first..4 * end];
    for b in 0..batch {
        let c_before = &shared.c_before[b * hidden + first..][..count];
        let (z, c, m) = (block.z.row(b), block.c.row(b), block.m.row(b));
        vectorised(
            #[inline(always)]
            || cells(z, bias, c_before, c, m, p.forget_bias),
        );
    }
}

#[inline(always)]
fn cells(
    z: &mut [f32],
    bias: &[f32],
    c_before: &[f32],
    c: &mut [f32],
    m: &mut [f32],
    forget_bias: f32,
) {
    let whole = c.len() / LANES * LANES;
    for u in (0..whole).step_by(LANES) {
        let z = &mut z[4 * u..][..4 * LANES];
        for (z, bias) in z.iter_mut().zip(&bias[4 * u..]) {
            *z += bias;
        }
        let mut gates = deinterleave(z);
        let before: &[f32; LANES] = c_before[u..][..LANES].try_into().expect("a whole block");
        let state: &mut [f32; LANES] = (&mut c[u..][..LANES]).try_into().expect("a whole block");
        let output: &mut [f32; LANES] = (&mut m[u..][..LANES]).try_into().expect("a whole block");
        for k in 0..LANES {
            let inputs = [gates[0][k], gates[1][k], gates[2][k], gates[3][k]];
            let (values, c, m) = unit(inputs, before[k], forget_bias);
            for q in 0..4 {
                gates[q][k] = values[q];
            }
            state[k] = c;
            output[k] = m;
        }
        interleave(&gates, z);
    }
    for u in whole..c.len() {
        let at = 4 * u;
        let inputs = [0, 1, 2, 3].map(|q| z[at + q] + bias[at + q]);
        let (values, state, output) = unit(inputs, c_before[u], forget_bias);
        z[at..at + 4].copy_from_slice(&values);
        c[u] = state;
        m[u] = output;
    }
}

fn cases() -> Vec<Case> {
    let case = |label, batch: u32, hidden: u32, groups: u32, depth: u32, accumulate: u32| {
        // Two rows of weights between groups belong to the input, as in a grouped layer.
        let weight_group = (depth + 2) * 4 * hidden / groups;
        let params = Params {
            batch,
            hidden,
            groups,
            depth,
            weight_group,
            accumulate,
            forget_bias: 1.0,
        };
        let cells = (batch * hidden) as usize;
        let weight = (groups - 1) * weight_group + depth * 4 * hidden / groups;
        let buffers = vec![
            Fill::signed((batch * groups * depth) as usize),
            Fill::signed(weight as usize),
            Fill::signed(4 * hidden as usize),
            if accumulate != 0 {
                Fill::signed(4 * cells)
            } else {
                Fill::Output(4 * cells)
            },
            Fill::signed(cells),
            Fill::Output(cells),
            Fill::Output(cells),
        ];
        Case::new(label, &params, depth as usize, buffers)
    };
    vec![
        case("one unit", 1, 1, 1, 1, 1),
        case("lstmp, odd sizes", 9, 37, 1, 13, 1),
        case("flstm, nothing to add to", 5, 70, 1, 3, 0),
        case("four groups of nine units", 11, 36, 4, 5, 1),
    ]
}
