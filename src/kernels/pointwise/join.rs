//! `y = [a_0, b_0, a_1, b_1, ..]`: joins the columns of `a` and those of `b`, group by group.
//!
//! `a [rows, groups * a_columns]`, `b [rows, groups * b_columns]`, `y [rows, groups * (a_columns + b_columns)]`. A grouped layer
//! joins the two inputs of its weights, so that the gradient of a group's weights is one product.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, Work, grid_over};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of each.
        pub rows: u32,
        /// Groups.
        pub groups: u32,
        /// Columns of a group of `a`.
        pub a_columns: u32,
        /// Columns of a group of `b`.
        pub b_columns: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "pointwise/join",
    wgsl: include_str!("../../../shaders/pointwise/join.wgsl"),
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("a").or_half(),
        Binding::read("b").or_half(),
        Binding::write("y").or_half(),
    ],
    grid: |raw| {
        let params = Params::of(raw);
        let parts = params.rows as usize * params.groups as usize;
        grid_over(parts * (params.a_columns + params.b_columns) as usize, 256)
    },
    work: Some(|raw, sizes| {
        let params = Params::of(raw);
        let parts = u64::from(params.rows) * u64::from(params.groups);
        let [a, b] = [params.a_columns, params.b_columns].map(u64::from);
        Work {
            flops: 0,
            bytes: parts * (sizes[0] * a + sizes[1] * b + sizes[2] * (a + b)),
        }
    }),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let [a, b] =
            [params.a_columns, params.b_columns].map(|columns| (params.groups * columns) as usize);
        let split = oversized.rows(params.rows as usize, &[a, b, a + b], 1)?;
        split.each(0, |_, rows| Params { rows, ..*params })
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

fn twin<R: Real>(p: &Params, buffers: &mut Buffers<'_, R>) {
    let (a, b, y) = (buffers.read("a"), buffers.read("b"), buffers.write("y"));
    join(p, a, b, 0, y);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let p: &Params = Params::of(raw);
    let (a, b, y) = (buffers.read("a"), buffers.read("b"), buffers.write("y"));
    let columns = (p.a_columns + p.b_columns) as usize;
    parallel::rows(
        y,
        columns,
        columns,
        #[inline(always)]
        |first, y| join(p, a, b, first, y),
    );
}

/// Computes parts of `y`, each a row of a group, the first of which is part `first`.
#[inline(always)]
fn join<R: Real>(p: &Params, a: &[R], b: &[R], first: usize, y: &mut [R]) {
    let [a_columns, b_columns] = [p.a_columns, p.b_columns].map(|n| n as usize);
    for (k, y) in y.chunks_exact_mut(a_columns + b_columns).enumerate() {
        let (y_a, y_b) = y.split_at_mut(a_columns);
        y_a.copy_from_slice(&a[(first + k) * a_columns..][..a_columns]);
        y_b.copy_from_slice(&b[(first + k) * b_columns..][..b_columns]);
    }
}

fn cases() -> Vec<Case> {
    let case = |label, rows: u32, groups: u32, a_columns: u32, b_columns: u32| {
        let params = Params {
            rows,
            groups,
            a_columns,
            b_columns,
        };
        let [a, b] = [a_columns, b_columns].map(|columns| (rows * groups * columns) as usize);
        let buffers = vec![Fill::signed(a), Fill::signed(b), Fill::Output(a + b)];
        Case::new(label, &params, 1, buffers)
    };
    vec![
        case("one element of each", 1, 1, 1, 1),
        case("odd sizes", 13, 3, 7, 5),
        case("more than one task", 301, 4, 33, 9),
        case("of the bench model", 1280, 8, 32, 32).timed(),
    ]
}
