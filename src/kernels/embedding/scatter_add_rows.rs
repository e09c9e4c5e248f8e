//! `table[id_k] += gradient[k]` for the rows of a row index: a gradient sparse by rows added to a dense one.

use crate::kernel::{
    Binding, Buffers, Case, Fill, Kernel, Params as _, Work, grid_over, no_constants,
};
use crate::kernels::embedding::rows::row_index;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `gradient`, those past the count of the row index included.
        pub capacity: u32,
        /// Elements of a row.
        pub width: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "embedding/scatter_add_rows",
    wgsl: include_str!("../../../shaders/embedding/scatter_add_rows.wgsl"),
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("gradient"),
        Binding::index("rows"),
        Binding::read_write("table"),
    ],
    constants: no_constants,
    grid,
    work: Some(|words, _| {
        let params = Params::of(words);
        Work::rows(params.capacity, params.width, 4 * 3)
    }),
    twin: twin!(twin),
    fast: None,
    cases,
    others: &[],
};

fn grid(words: &[u32]) -> [u32; 3] {
    let params = Params::of(words);
    grid_over(params.capacity as usize * params.width as usize, 64)
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (gradient, rows, table) = (buffers.read(0), buffers.index(1), buffers.write(2));
    let width = params.width as usize;
    for k in 0..rows[0] as usize {
        let id = rows[1 + k] as usize;
        for i in 0..width {
            table[id * width + i] += gradient[k * width + i];
        }
    }
}

fn cases() -> Vec<Case> {
    let case = |label, ids: &[u32], vocabulary: usize, width: usize| {
        let params = Params {
            capacity: ids.len() as u32,
            width: width as u32,
        };
        let buffers = vec![
            Fill::signed(ids.len() * width),
            Fill::Indices(row_index(ids)),
            Fill::signed(vocabulary * width),
        ];
        Case::new(label, &params, 1, buffers)
    };
    vec![
        case("one element", &[0], 1, 1),
        case("repeated ids, odd width", &[7, 2, 7, 0, 10, 2, 7], 11, 13),
        case("width 1", &[3, 1, 4, 1, 5, 9, 2, 6], 10, 1),
    ]
}
