//! `y[column] = scale * sum of x[row, column] over the rows`, or `+=`: the gradient of a bias. `x [rows, width]`, `y [width]`.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `x`.
        pub rows: u32,
        /// Columns of `x`, elements of `y`.
        pub width: u32,
        /// Not 0: the sums are added to the contents of `y`.
        pub accumulate: u32,
        /// The factor of every sum.
        pub scale: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "reduce/sum_columns",
    ..BASE
};

/// The form whose threads read eight rows at a time, with more loads in flight.
pub static EIGHT: Kernel = Kernel {
    name: "reduce/sum_columns eight",
    constants: |raw| vec![("COLUMNS", columns(Params::of(raw).width)), ("AT_ONCE", 8)],
    form_of: Some(&KERNEL),
    ..BASE
};

const BASE: Kernel = Kernel {
    wgsl: include_str!("../../../shaders/reduce/sum_columns.wgsl"),
    fields: Params::FIELDS,
    bindings: &[Binding::read("x").or_half(), Binding::read_write("y")],
    constants: |raw| vec![("COLUMNS", columns(Params::of(raw).width))],
    grid: |raw| {
        let width = Params::of(raw).width;
        grid_over(width as usize, columns(width) as usize)
    },
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let split = oversized.rows(params.rows as usize, &[params.width as usize, 0], 1)?;
        let [first, second] = [split.first, split.second].map(|rows| Params {
            rows: rows as u32,
            ..*params
        });
        split.with([
            first,
            Params {
                accumulate: 1,
                ..second
            },
        ])
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, y) = (buffers.read("x"), buffers.write("y"));
    add_up(params, x, 0, y);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params = Params::of(raw);
    let (x, y) = (buffers.read("x"), buffers.write("y"));
    parallel::rows(
        y,
        BLOCK,
        BLOCK * params.rows as usize,
        #[inline(always)]
        |block, y| {
            add_up(params, x, block * BLOCK, y);
        },
    );
}

/// The threads of a workgroup.
const THREADS: usize = 256;

/// The largest number of columns of a workgroup.
const MAX_COLUMNS: usize = 32;

/// The columns that are summed at once: few enough for the cache to hold their sums, enough to read long stretches of a row.
const BLOCK: usize = 512;

/// Computes elements of `y`, the first of which is column `first`.
#[inline(always)]
fn add_up<R: Real>(params: &Params, x: &[R], first: usize, y: &mut [R]) {
    let scale = R::from_f32(params.scale);
    let lanes = THREADS / columns(params.width) as usize;
    for (k, y) in y.chunks_mut(BLOCK).enumerate() {
        // Lane `r % lanes` adds row `r`, and the lanes are added up in halves: the order of the shader.
        let mut sums = [R::ZERO; THREADS / MAX_COLUMNS * BLOCK];
        let sums = &mut sums[..lanes * y.len()];
        for (r, row) in x.chunks_exact(params.width as usize).enumerate() {
            let sums = &mut sums[r % lanes * y.len()..][..y.len()];
            for (sum, &x) in sums.iter_mut().zip(&row[first + k * BLOCK..]) {
                *sum += x;
            }
        }
        let mut half = lanes / 2;
        while half > 0 {
            let (lower, upper) = sums.split_at_mut(half * y.len());
            for (sum, &more) in lower.iter_mut().zip(&*upper) {
                *sum += more;
            }
            half /= 2;
        }
        for (y, &mut sum) in y.iter_mut().zip(sums) {
            let before = if params.accumulate != 0 { *y } else { R::ZERO };
            *y = before + scale * sum;
        }
    }
}

/// The columns of a workgroup. With fewer columns, more of its threads share the rows.
fn columns(width: u32) -> u32 {
    width.clamp(1, MAX_COLUMNS as u32).next_power_of_two()
}

fn cases() -> Vec<Case> {
    let case = |label, rows: usize, width: usize, accumulate, scale| {
        let params = Params {
            rows: rows as u32,
            width: width as u32,
            accumulate,
            scale,
        };
        let buffers = vec![Fill::signed(rows * width), Fill::signed(width)];
        Case::new(label, &params, rows, buffers)
    };
    vec![
        case("one element", 1, 1, 0, 1.0),
        case("one column", 1283, 1, 1, 20.0),
        case("three columns", 257, 3, 0, 0.5),
        case("one row", 1, 67, 1, 1.0),
        case("many columns", 131, 1031, 1, 1.0),
        case("columns without a rest", 5, 1024, 0, -1.0),
        case("of the bench model", 1280, 4096, 0, 1.0).timed(),
    ]
}
