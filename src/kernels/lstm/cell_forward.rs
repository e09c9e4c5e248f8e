//! The gates and the cell of one time step.
//!
//! ```text
//! z  = [z +] left_g weight_g + bias      left [B, G*depth], weight_g [depth, 4H/G], z [B, 4H] interleaved
//! i, f, o = sigmoid(z_i), sigmoid(z_f + forget_bias), sigmoid(z_o);  j = tanh(z_j)
//! c' = f * c + i * j
//! m  = o * tanh(c')
//! ```
//!
//! `left` is the recurrent input `h` where `z` already holds the products of the layer's input (`accumulate`), or all inputs
//! where it does not, such as the factor `[x; h] W1` of an F-LSTM. The kernel leaves the gates i, j, f, o in `z`, for the
//! backward pass.

use std::array::{from_mut, from_ref};

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
        /// `H`, all groups together.
        pub hidden: u32,
        /// `G`.
        pub groups: u32,
        /// Terms of each sum: columns of `left` of a group.
        pub depth: u32,
        /// Elements between the weights of two groups.
        pub weight_group: u32,
        /// Whether the sums are added to the contents of `z`.
        pub accumulate: u32,
        /// Added to the forget gate.
        pub forget_bias: f32,
    }
}

impl Params {
    /// The product of the step, as those of `matmul` describe it. `None` if its gates are complete.
    pub fn product(&self) -> Option<product::Params> {
        let columns = 4 * self.hidden / self.groups;
        (self.depth > 0).then_some(product::Params {
            groups: self.groups,
            rows: self.batch,
            columns,
            depth: self.depth,
            transpose_left: 0,
            transpose_right: 0,
            left_stride: self.groups * self.depth,
            left_group: self.depth,
            right_stride: columns,
            right_group: self.weight_group,
            product_stride: 4 * self.hidden,
            product_group: columns,
            with_bias: 0,
            accumulate: self.accumulate,
            pieces: 1,
        })
    }

    /// A step of similar proportions with at most `most` multiply-adds, for tuning. Sides stay multiples of eight.
    fn reduced(mut self, most: u64) -> Params {
        let mut units = self.hidden / self.groups;
        while [self.batch, 4 * units, self.groups, self.depth]
            .map(u64::from)
            .iter()
            .product::<u64>()
            > most
        {
            let sides = [&mut self.batch, &mut units, &mut self.depth];
            let longest = sides.into_iter().max().expect("three sides");
            if *longest <= 8 {
                break;
            }
            *longest = longest.div_ceil(2).next_multiple_of(8);
        }
        self.hidden = units * self.groups;
        self
    }
}

/// See the module.
pub static KERNEL: Kernel = BASE;

/// What follows [`CELL`] in the shaders of all forms.
static INTERFACE: Snippet = Snippet {
    name: "cell_forward",
    wgsl: include_str!("../../../shaders/shared/cell_forward.wgsl"),
};

/// The snippets of shaders that multiply on matrix units.
pub(super) static ON_UNITS: [&Snippet; 3] = [&ACTIVATION, &CELL, &INTERFACE];

/// The common parts of all forms.
pub(super) const BASE: Kernel = Kernel {
    name: "lstm/cell_forward",
    wgsl: include_str!("../../../shaders/lstm/cell_forward.wgsl"),
    snippets: &[&ACTIVATION, &CELL, &INTERFACE, &FUSED],
    fields: Params::FIELDS,
    bindings: &bindings(
        Binding::read("left").or_half(),
        Binding::read("weight").vec4().or_half(),
        true,
    ),
    constants: |_| vec![("WEIGHT_LANES", 4)],
    grid,
    work: Some(work),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let [hidden, left] = [params.hidden, params.groups * params.depth].map(|n| n as usize);
        let widths = [left, 0, 0, 4 * hidden, hidden, hidden, hidden];
        let split = oversized.rows(params.batch as usize, &widths, 1)?;
        split.each(0, |_, batch| Params { batch, ..*params })
    }),
    reduced: Some(|raw, most| Params::of(raw).reduced(most).to_raw()),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

/// The bindings of a form with these operands, and with results that may be halves or not.
pub(super) const fn bindings(left: Binding, weight: Binding, halves: bool) -> [Binding; 7] {
    let (z, m) = (Binding::read_write("z").vec4(), Binding::write("m"));
    let (z, m) = if halves {
        (z.or_half(), m.or_half())
    } else {
        (z, m)
    };
    [
        left,
        weight,
        Binding::read("bias").vec4(),
        z,
        Binding::read("c_before"),
        Binding::write("c"),
        m,
    ]
}

/// A workgroup computes 32 units of 8 streams.
fn grid(raw: &[u32]) -> [u32; 3] {
    let params = Params::of(raw);
    [params.hidden.div_ceil(32), params.batch.div_ceil(8), 1]
}

fn work(raw: &[u32], sizes: ElementSizes) -> Work {
    let p = Params::of(raw);
    let [batch, hidden, groups, depth] = [p.batch, p.hidden, p.groups, p.depth].map(u64::from);
    let gates = batch * 4 * hidden;
    let gates_moved = sizes[3] * gates * if p.accumulate != 0 { 2 } else { 1 };
    let cells_moved = (sizes[4] + sizes[5] + sizes[6]) * batch * hidden;
    Work {
        flops: 2 * gates * depth,
        bytes: sizes[0] * batch * groups * depth
            + sizes[1] * depth * 4 * hidden
            + gates_moved
            + cells_moved,
    }
}

/// The gates, the state and the output of one unit.
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
    let (left, weight, bias) = (
        buffers.read("left"),
        buffers.read("weight"),
        buffers.read("bias"),
    );
    let (z, c_before, c, m) = (
        buffers.write("z"),
        buffers.read("c_before"),
        buffers.write("c"),
        buffers.write("m"),
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
                if p.accumulate != 0 {
                    sum = z[4 * (b * hidden + u) + q] + sum;
                }
                gates[q] = sum + bias[4 * u + q];
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

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let p: &Params = Params::of(raw);
    let (left, weight, bias) = (
        buffers.read("left"),
        buffers.read("weight"),
        buffers.read("bias"),
    );
    let (z, c_before, c, m) = (
        buffers.write("z"),
        buffers.read("c_before"),
        buffers.write("c"),
        buffers.write("m"),
    );
    let [batch, hidden, groups, depth] = [p.batch, p.hidden, p.groups, p.depth].map(|n| n as usize);
    let width = 4 * hidden / groups;
    let layout = Groups {
        count: groups,
        stride: width,
        rows: batch,
        columns: width,
        row_stride: 4 * hidden,
    };
    let parts = matrix::parts(batch * 4 * hidden * depth);
    matrix::each_block(z, layout, parts, |block| {
        let left = View::new(&left[block.group * depth..], batch, depth, groups * depth);
        let weight = &weight[block.group * p.weight_group as usize..];
        let weight = View::new(weight, depth, width, width);
        block.multiply(p.accumulate != 0, left, weight);
    });
    let bounds = || stream_bounds(batch, hidden);
    let z = ViewMut::new(z, batch, 4 * hidden, 4 * hidden).into_rows(bounds());
    let c = ViewMut::new(c, batch, hidden, hidden).into_rows(bounds());
    let m = ViewMut::new(m, batch, hidden, hidden).into_rows(bounds());
    team::each(c.count(), |k| {
        let (first, mut c) = c.take(k);
        let (mut z, mut m) = (z.take(k).1, m.take(k).1);
        for row in 0..c.row_count() {
            let b = first + row;
            let c_before = &c_before[b * hidden..][..hidden];
            let (z, c, m) = (z.row(row), c.row(row), m.row(row));
            shuffled(Cells {
                z,
                bias,
                c_before,
                c,
                m,
                forget_bias: p.forget_bias,
            });
        }
    });
}

/// The cells of one stream.
struct Cells<'a> {
    z: &'a mut [f32],
    bias: &'a [f32],
    c_before: &'a [f32],
    c: &'a mut [f32],
    m: &'a mut [f32],
    forget_bias: f32,
}

impl BlockComputation for Cells<'_> {
    #[inline(always)]
    fn run<S: Shuffle>(self, shuffle: S) {
        let Cells {
            z,
            bias,
            c_before,
            c,
            m,
            forget_bias,
        } = self;
        let (z_runs, z_blocks, z) = blocks_mut(z);
        let (bias_runs, bias_blocks, bias) = blocks(bias);
        let (before_runs, before_blocks, c_before) = blocks(c_before);
        let (c_runs, c_blocks, c) = blocks_mut(c);
        let (m_runs, m_blocks, m) = blocks_mut(m);
        let results = z_runs.iter_mut().zip(c_runs).zip(m_runs);
        let inputs = bias_runs.iter().zip(before_runs);
        for (((z, c), m), (bias, before)) in results.zip(inputs) {
            units(shuffle, z, bias, before, c, m, forget_bias);
        }
        let results = z_blocks.iter_mut().zip(c_blocks).zip(m_blocks);
        let inputs = bias_blocks.iter().zip(before_blocks);
        for (((z, c), m), (bias, before)) in results.zip(inputs) {
            let (z, bias, before) = (from_mut(z), from_ref(bias), from_ref(before));
            units(
                shuffle,
                z,
                bias,
                before,
                from_mut(c),
                from_mut(m),
                forget_bias,
            );
        }
        if c.is_empty() {
            return;
        }
        let (mut z_last, bias, before) = (padded(z), padded(bias), padded(c_before));
        let (mut c_last, mut m_last) = ([[0.0; LANES]; 1], [[0.0; LANES]; 1]);
        let (c_out, m_out) = (&mut c_last, &mut m_last);
        units(
            shuffle,
            &mut z_last,
            &bias,
            &before,
            c_out,
            m_out,
            forget_bias,
        );
        z.copy_from_slice(&z_last[0][..z.len()]);
        c.copy_from_slice(&c_last[0][..c.len()]);
        m.copy_from_slice(&m_last[0][..m.len()]);
    }
}

/// Some blocks of units.
#[inline(always)]
fn units<S: Shuffle, const N: usize>(
    shuffle: S,
    z: &mut [[f32; 4 * LANES]; N],
    bias: &[[f32; 4 * LANES]; N],
    before: &[[f32; LANES]; N],
    c: &mut [[f32; LANES]; N],
    m: &mut [[f32; LANES]; N],
    forget_bias: f32,
) {
    let mut gates = [[[0.0; LANES]; N]; 4];
    for n in 0..N {
        let mut total = [0.0; 4 * LANES];
        for k in 0..4 * LANES {
            total[k] = z[n][k] + bias[n][k];
        }
        for (gate, block) in gates.iter_mut().zip(shuffle.deinterleave(&total)) {
            gate[n] = block;
        }
    }
    let [i, j, f, o] = &mut gates;
    replace(i, Real::sigmoid);
    replace(j, Real::tanh);
    replace(f, |z| (z + forget_bias).sigmoid());
    replace(o, Real::sigmoid);
    for n in 0..N {
        for k in 0..LANES {
            c[n][k] = f[n][k] * before[n][k] + i[n][k] * j[n][k];
        }
    }
    *m = *c;
    replace(m, Real::tanh);
    for n in 0..N {
        for k in 0..LANES {
            m[n][k] *= o[n][k];
        }
        shuffle.interleave([i[n], j[n], f[n], o[n]], &mut z[n]);
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
            Fill::signed((batch * groups * depth).max(1) as usize),
            Fill::signed(weight.max(4) as usize),
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
        case("a sum of several parts", 3, 9, 1, 1100, 1),
        case("no product", 5, 37, 1, 0, 1),
        // Sizes that can be read by vectors of four and of eight, in several blocks.
        case("three groups of vectors", 70, 72, 3, 40, 1),
        case("vectors, a sum of several parts", 9, 8, 1, 520, 0),
        case("lstmp of the bench model", 64, 1024, 1, 256, 1).timed(),
        case("glstm of the bench model", 64, 1024, 8, 32, 1).timed(),
    ]
}
