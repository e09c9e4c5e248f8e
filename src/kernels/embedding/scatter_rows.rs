//! `table[ids[row]] = x[row]`: writes rows into a table. `x [rows, width]`, `ids [rows]`, all distinct, and
//! `table [window, width]`, which begins at id `base`. Rows with other ids are skipped; so is an id that no table has, such as
//! [`IGNORE`](crate::kernels::softmax::IGNORE).
//!
//! The reverse of [`super::gather`]. It writes rows that come from the host, and the recurrent states of lines.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, Work, grid_over};
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `x`.
        pub rows: u32,
        /// Columns of `x` and `table`.
        pub width: u32,
        /// The id of the first row of `table`.
        pub base: u32,
        /// Rows of `table`.
        pub window: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "embedding/scatter_rows",
    wgsl: include_str!("../../../shaders/embedding/scatter_rows.wgsl"),
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("x"),
        Binding::index("ids"),
        Binding::read_write("table"),
    ],
    grid: |raw| {
        let params = Params::of(raw);
        grid_over(params.rows as usize * params.width as usize, 256)
    },
    work: Some(|raw, _| {
        let params = Params::of(raw);
        Work::without_product(params.rows, params.width, 4 * 2)
    }),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let width = params.width as usize;
        if oversized.binding == 2 {
            let split = oversized.rows(params.window as usize, &[0, 0, width], 1)?;
            return split.each(params.base, |base, window| Params {
                base,
                window,
                ..*params
            });
        }
        let split = oversized.rows(params.rows as usize, &[width, 1, 0], 1)?;
        split.each(0, |_, rows| Params { rows, ..*params })
    }),
    twin: twin!(twin),
    cases,
    no_gradient: Some("moves rows that are kept elsewhere, is in no loss"),
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, ids, table) = (
        buffers.read("x"),
        buffers.index("ids"),
        buffers.write("table"),
    );
    let width = params.width as usize;
    for (x, id) in x.chunks_exact(width).zip(ids) {
        let row = id.wrapping_sub(params.base);
        if row < params.window {
            table[row as usize * width..][..width].copy_from_slice(x);
        }
    }
}

fn cases() -> Vec<Case> {
    let case = |label, base, window: usize, width: usize, ids: Vec<u32>| {
        let params = Params {
            rows: ids.len() as u32,
            width: width as u32,
            base,
            window: window as u32,
        };
        let buffers = vec![
            Fill::signed(ids.len() * width),
            Fill::Indices(ids),
            Fill::signed(window * width),
        ];
        Case::new(label, &params, 1, buffers)
    };
    vec![
        case("one element", 0, 1, 1, vec![0]),
        case(
            "first and last, some none",
            0,
            11,
            7,
            vec![10, u32::MAX, 0, 3],
        ),
        case(
            "some rows of a table",
            11,
            6,
            33,
            vec![10, 11, 16, 17, 0, 13],
        ),
        case("one column", 0, 300, 1, (0..300).rev().collect()),
    ]
}
