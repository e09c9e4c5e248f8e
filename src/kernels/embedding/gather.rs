//! `y[row] = table[ids[row]]`: the embeddings of a batch of ids. `ids [rows]`, `y [rows, width]`, and `table [window, width]`:
//! the rows with ids from `base` on. Rows of `y` with other ids stay as they are.
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
        /// The first id of the rows of `table` that are there.
        pub base: u32,
        /// How many are there; others are left to other steps.
        pub window: u32,
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
        Binding::read_write("y").or_half(),
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
    cut: Some(|words, excess| {
        let params: &Params = Params::of(words);
        let width = params.width as usize;
        if excess.binding == 0 {
            let cut = excess.rows(params.window as usize, &[width, 0, 0], 1)?;
            return cut.each(params.base, |base, window| Params {
                base,
                window,
                ..*params
            });
        }
        let cut = excess.rows(params.rows as usize, &[0, 1, width], 1)?;
        cut.each(0, |_, rows| Params { rows, ..*params })
    }),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    suits: None,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (table, ids, y) = (buffers.read(0), buffers.index(1), buffers.write(2));
    copy_rows(params, table, ids, y);
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params: &Params = Params::of(words);
    let width = params.width as usize;
    let (table, ids, y) = (buffers.read(0), buffers.index(1), buffers.write(2));
    parallel::rows(
        y,
        width,
        width,
        #[inline(always)]
        |first, y| {
            copy_rows(params, table, &ids[first..], y);
        },
    );
}

#[inline(always)]
fn copy_rows<R: Real>(params: &Params, table: &[R], ids: &[u32], y: &mut [R]) {
    let width = params.width as usize;
    for (y, id) in y.chunks_exact_mut(width).zip(ids) {
        let row = id.wrapping_sub(params.base);
        if row < params.window {
            y.copy_from_slice(&table[row as usize * width..][..width]);
        }
    }
}

fn cases() -> Vec<Case> {
    let windowed = |label, base, window: usize, width: usize, ids: Vec<u32>| {
        let params = Params {
            rows: ids.len() as u32,
            width: width as u32,
            base,
            window: window as u32,
        };
        let all = ids
            .iter()
            .all(|id| (base..base + params.window).contains(id));
        let output = match all {
            true => Fill::Output(ids.len() * width),
            false => Fill::signed(ids.len() * width),
        };
        let buffers = vec![Fill::signed(window * width), Fill::Indices(ids), output];
        Case::new(label, &params, 1, buffers)
    };
    let case = |label, vocabulary, width, ids| windowed(label, 0, vocabulary, width, ids);
    vec![
        case("one element", 1, 1, vec![0]),
        case(
            "first, last and repeated rows",
            11,
            7,
            vec![10, 0, 3, 3, 10],
        ),
        windowed(
            "some rows of a table",
            11,
            6,
            5,
            vec![10, 11, 16, 17, 0, u32::MAX, 13],
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
