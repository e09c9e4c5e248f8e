//! `y[row] = table[ids[row]]`: the embeddings of a batch of ids. `table [V, width]`, `ids [rows]`, each below `V`,
//! `y [rows, width]`.
//!
//! Backward is [`super::accumulate_rows`]: `dtable[v]` is the sum of `dy[row]` over the rows with `ids[row] == v`.

use crate::kernel::{
    Binding, Buffers, Case, Fill, Kernel, Params as _, Work, grid_over, no_constants,
};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `y`.
        pub rows: u32,
        /// Columns of `table` and `y`.
        pub width: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "embedding/gather",
    wgsl: include_str!("../../../shaders/embedding/gather.wgsl"),
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("table"),
        Binding::index("ids"),
        Binding::write("y").or_half(),
    ],
    constants: no_constants,
    grid: |words| {
        let params = Params::of(words);
        grid_over(params.rows as usize * params.width as usize, 256)
    },
    work: Some(|words, widths| {
        let params = Params::of(words);
        Work::rows(params.rows, params.width, widths[0] + widths[2])
    }),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (table, ids, y) = (buffers.read(0), buffers.index(1), buffers.write(2));
    copy_rows(params.width as usize, table, ids, y);
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let width = Params::of(words).width as usize;
    let (table, ids, y) = (buffers.read(0), buffers.index(1), buffers.write(2));
    parallel::rows(
        y,
        width,
        width,
        #[inline(always)]
        |first, y| {
            copy_rows(width, table, &ids[first..], y);
        },
    );
}

#[inline(always)]
fn copy_rows<R: Real>(width: usize, table: &[R], ids: &[u32], y: &mut [R]) {
    for (y, &id) in y.chunks_exact_mut(width).zip(ids) {
        y.copy_from_slice(&table[id as usize * width..][..width]);
    }
}

fn cases() -> Vec<Case> {
    let case = |label, vocabulary: usize, width: usize, ids: Vec<u32>| {
        let params = Params {
            rows: ids.len() as u32,
            width: width as u32,
        };
        let output = Fill::Output(ids.len() * width);
        let buffers = vec![Fill::signed(vocabulary * width), Fill::Indices(ids), output];
        Case::new(label, &params, 1, buffers)
    };
    vec![
        case("one element", 1, 1, vec![0]),
        case(
            "first, last and repeated rows",
            11,
            7,
            vec![10, 0, 3, 3, 10],
        ),
        case("one column", 300, 1, (0..300).rev().collect()),
        case(
            "more than one task",
            17,
            257,
            (0..131).map(|k| k * 5 % 17).collect(),
        ),
        case(
            "of the bench model",
            2048,
            256,
            (0..1280).map(|k| k * 7 % 2048).collect(),
        )
        .timed(),
    ]
}
