//! `table[ids[row]] = x[row]`: rows put into a table. `x [rows, width]`, `ids [rows]`, no two of them the same, and
//! `table [window, width]`: the rows with ids from `base` on. Rows with other ids are left out; an id that no table has, as
//! [`IGNORE`](crate::kernels::softmax::IGNORE), stands for none.
//!
//! The other way round is [`super::gather`]. It moves what is kept elsewhere, and is in no model.

use crate::kernel::{
    Binding, Buffers, Case, Fill, Kernel, Params as _, Work, grid_over, no_constants,
};
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `x`.
        pub rows: u32,
        /// Columns of `x` and `table`.
        pub width: u32,
        /// The first id of the rows of `table` that are there.
        pub base: u32,
        /// How many are there; others are left to other steps.
        pub window: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "embedding/scatter_rows",
    wgsl: include_str!("../../../shaders/embedding/scatter_rows.wgsl"),
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("x"),
        Binding::index("ids"),
        Binding::read_write("table"),
    ],
    constants: no_constants,
    grid: |words| {
        let params = Params::of(words);
        grid_over(params.rows as usize * params.width as usize, 256)
    },
    work: Some(|words, _| {
        let params = Params::of(words);
        Work::rows(params.rows, params.width, 4 * 2)
    }),
    cut: Some(|words, excess| {
        let params: &Params = Params::of(words);
        let width = params.width as usize;
        if excess.binding == 2 {
            let cut = excess.rows(params.window as usize, &[0, 0, width], 1)?;
            return cut.each(params.base, |base, window| Params {
                base,
                window,
                ..*params
            });
        }
        let cut = excess.rows(params.rows as usize, &[width, 1, 0], 1)?;
        cut.each(0, |_, rows| Params { rows, ..*params })
    }),
    twin: twin!(twin),
    fast: None,
    cases,
    suits: None,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, ids, table) = (buffers.read(0), buffers.index(1), buffers.write(2));
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
