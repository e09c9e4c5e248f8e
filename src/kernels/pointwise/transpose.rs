//! `y_g = x_g'` for groups `g`: `x_g [rows, columns]`, `y_g [columns, rows]`, the groups of `y` stored one after another.
//!
//! A step uses it for weights whose transpose it multiplies by many times.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Oversized, Params as _, Work};
use crate::kernels::parallel;
use crate::matrix::{self, View, ViewMut};
use crate::real::Real;
use crate::{params, team, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Groups.
        pub groups: u32,
        /// Rows of `x`.
        pub rows: u32,
        /// Columns of `x`.
        pub columns: u32,
        /// Elements between groups of `x`.
        pub x_group: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "pointwise/transpose",
    wgsl: include_str!("../../../shaders/pointwise/transpose.wgsl"),
    fields: Params::FIELDS,
    bindings: &[Binding::read("x").or_half(), Binding::write("y").or_half()],
    grid,
    work: Some(|raw, sizes| {
        let params = Params::of(raw);
        Work::without_product(
            params.groups * params.rows,
            params.columns,
            sizes[0] + sizes[1],
        )
    }),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let [groups, rows, columns] =
            [params.groups, params.rows, params.columns].map(|n| n as usize);
        let widths = [params.x_group as usize, rows * columns];
        // The last group of `x` has no gap after it.
        let spare = match oversized.binding {
            0 => widths[0] - rows * columns,
            _ => 0,
        };
        let most = oversized.most + spare;
        let split = Oversized { most, ..*oversized }.rows(groups, &widths, 1)?;
        let split = split.with_gaps(0, widths[0] - rows * columns, oversized.lens[0]);
        split.each(0, |_, groups| Params { groups, ..*params })
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

/// A workgroup transposes a block of 16 by 16.
fn grid(raw: &[u32]) -> [u32; 3] {
    let params = Params::of(raw);
    [
        params.columns.div_ceil(16),
        params.rows.div_ceil(16),
        params.groups,
    ]
}

fn twin<R: Real>(p: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, y) = (buffers.read("x"), buffers.write("y"));
    let [rows, columns, x_group] = [p.rows, p.columns, p.x_group].map(|n| n as usize);
    for (g, y) in y.chunks_exact_mut(rows * columns).enumerate() {
        for i in 0..rows {
            for j in 0..columns {
                y[j * rows + i] = x[g * x_group + i * columns + j];
            }
        }
    }
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let p: &Params = Params::of(raw);
    let (x, y) = (buffers.read("x"), buffers.write("y"));
    let [rows, columns, x_group] = [p.rows, p.columns, p.x_group].map(|n| n as usize);
    let count = (parallel::GRAIN / rows).next_multiple_of(BLOCK).max(BLOCK);
    team::chunks(y, count * rows, |k, mut y| {
        let mut row = k * count;
        // A part may contain rows of several groups.
        while !y.is_empty() {
            let (g, j) = (row / columns, row % columns);
            let width = (y.len() / rows).min(columns - j);
            let (of_group, rest) = y.split_at_mut(width * rows);
            matrix::transpose(
                ViewMut::new(of_group, width, rows, rows),
                View::new(&x[g * x_group + j..], rows, width, columns),
            );
            (row, y) = (row + width, rest);
        }
    });
}

/// A task computes a multiple of this number of rows of `y`: the elements of a cache line of `x`.
const BLOCK: usize = 16;

fn cases() -> Vec<Case> {
    let case = |label, groups: u32, rows: u32, columns: u32, gap: u32| {
        let params = Params {
            groups,
            rows,
            columns,
            x_group: rows * columns + gap,
        };
        let len = (groups * rows * columns) as usize;
        let x = Fill::signed(len + ((groups - 1) * gap) as usize);
        Case::new(label, &params, 1, vec![x, Fill::Output(len)])
    };
    vec![
        case("one element", 1, 1, 1, 0),
        case("odd sizes", 1, 37, 53, 0),
        case("groups with gaps", 3, 19, 35, 11),
        case("more than one task", 2, 130, 300, 7),
        case("of the bench model", 8, 32, 512, 16_384).timed(),
    ]
}
