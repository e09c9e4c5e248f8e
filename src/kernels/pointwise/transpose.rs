//! `y_g = x_g'` for groups `g`: `x_g [rows, columns]`, `y_g [columns, rows]`, the groups of `y` one after the other.
//!
//! For weights that a step multiplies by from the other side many times.

use crate::kernel::{
    Binding, Buffers, Case, Excess, Fill, Kernel, Params as _, Work, no_constants,
};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

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
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[Binding::read("x").or_half(), Binding::write("y").or_half()],
    constants: no_constants,
    grid,
    work: Some(|words, widths| {
        let params = Params::of(words);
        Work::rows(
            params.groups * params.rows,
            params.columns,
            widths[0] + widths[1],
        )
    }),
    cut: Some(|words, excess| {
        let params: &Params = Params::of(words);
        let [groups, rows, columns] =
            [params.groups, params.rows, params.columns].map(|n| n as usize);
        let widths = [params.x_group as usize, rows * columns];
        // The last group of `x` ends before the next one would begin.
        let spare = match excess.binding {
            0 => widths[0] - rows * columns,
            _ => 0,
        };
        let most = excess.most + spare;
        let cut = Excess { most, ..*excess }.rows(groups, &widths, 1)?;
        let cut = cut.spaced(0, widths[0] - rows * columns, excess.lens[0]);
        cut.each(0, |_, groups| Params { groups, ..*params })
    }),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    suits: None,
    others: &[],
};

/// A workgroup turns a block of 16 by 16.
fn grid(words: &[u32]) -> [u32; 3] {
    let params = Params::of(words);
    [
        params.columns.div_ceil(16),
        params.rows.div_ceil(16),
        params.groups,
    ]
}

fn twin<R: Real>(p: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, y) = (buffers.read(0), buffers.write(1));
    let [rows, columns, x_group] = [p.rows, p.columns, p.x_group].map(|n| n as usize);
    for (g, y) in y.chunks_exact_mut(rows * columns).enumerate() {
        for i in 0..rows {
            for j in 0..columns {
                y[j * rows + i] = x[g * x_group + i * columns + j];
            }
        }
    }
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let p: &Params = Params::of(words);
    let (x, y) = (buffers.read(0), buffers.write(1));
    let [rows, columns, x_group] = [p.rows, p.columns, p.x_group].map(|n| n as usize);
    parallel::rows(
        y,
        rows,
        4 * rows,
        #[inline(always)]
        |first, y| turn(x, (rows, columns, x_group), first, y),
    );
}

/// Columns that are written at once: as many as a cache line of `x` has elements.
const BLOCK: usize = 16;

/// The rows of `y`, all groups counted on, from `first`.
#[inline(always)]
fn turn(x: &[f32], (rows, columns, x_group): (usize, usize, usize), first: usize, y: &mut [f32]) {
    let count = y.len() / rows;
    let mut done = 0;
    while done < count {
        let (g, j) = ((first + done) / columns, (first + done) % columns);
        let width = BLOCK.min(count - done).min(columns - j);
        let y = &mut y[done * rows..][..width * rows];
        for i in 0..rows {
            let x = &x[g * x_group + i * columns + j..][..width];
            for (k, &x) in x.iter().enumerate() {
                y[k * rows + i] = x;
            }
        }
        done += width;
    }
}

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
