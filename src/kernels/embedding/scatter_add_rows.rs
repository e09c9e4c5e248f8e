//! `table[id_k] += gradient[k]` for the rows of a row index: adds a row-sparse gradient to a dense one.
//!
//! `gradient [capacity, width]` begins at row `first` of the index, `table [window, width]` at id `base`. Other steps process
//! rows with other ids.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, Work, grid_over};
use crate::kernels::embedding::rows::row_index;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `gradient`, including those past the count of the row index.
        pub capacity: u32,
        /// Elements of a row.
        pub width: u32,
        /// The number of the first row of `gradient` in the row index.
        pub first: u32,
        /// The id of the first row of `table`.
        pub base: u32,
        /// Rows of `table`.
        pub window: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "embedding/scatter_add_rows",
    wgsl: include_str!("../../../shaders/embedding/scatter_add_rows.wgsl"),
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("gradient"),
        Binding::index("rows"),
        Binding::read_write("table"),
    ],
    grid,
    work: Some(|raw, _| {
        let params = Params::of(raw);
        Work::without_product(params.capacity, params.width, 4 * 3)
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
        let split = oversized.rows(params.capacity as usize, &[width, 0, 0], 1)?;
        split.each(params.first, |first, capacity| Params {
            first,
            capacity,
            ..*params
        })
    }),
    twin: twin!(twin),
    cases,
    ..Kernel::DEFAULT
};

fn grid(raw: &[u32]) -> [u32; 3] {
    let params = Params::of(raw);
    grid_over(params.capacity as usize * params.width as usize, 64)
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (gradient, rows, table) = (
        buffers.read("gradient"),
        buffers.index("rows"),
        buffers.write("table"),
    );
    let width = params.width as usize;
    let count = (rows[0].saturating_sub(params.first)).min(params.capacity) as usize;
    let ids = &rows[1 + params.first as usize..];
    for (k, id) in ids[..count].iter().enumerate() {
        let row = id.wrapping_sub(params.base);
        if row >= params.window {
            continue;
        }
        for i in 0..width {
            table[row as usize * width + i] += gradient[k * width + i];
        }
    }
}

fn cases() -> Vec<Case> {
    let part = |label, ids: &[u32], first: u32, base, window: usize, width: usize| {
        let capacity = ids.len() - first as usize;
        let params = Params {
            capacity: capacity as u32,
            width: width as u32,
            first,
            base,
            window: window as u32,
        };
        let buffers = vec![
            Fill::signed(capacity * width),
            Fill::Indices(row_index(ids)),
            Fill::signed(window * width),
        ];
        Case::new(label, &params, 1, buffers)
    };
    let case = |label, ids, vocabulary, width| part(label, ids, 0, 0, vocabulary, width);
    vec![
        case("one element", &[0], 1, 1),
        case("repeated ids, odd width", &[7, 2, 7, 0, 10, 2, 7], 11, 13),
        part(
            "some rows of a table and of a gradient",
            &[7, 2, 7, 0, 10, 2, 7],
            1,
            3,
            5,
            13,
        ),
        case("width 1", &[3, 1, 4, 1, 5, 9, 2, 6], 10, 1),
    ]
}
