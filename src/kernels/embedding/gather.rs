//! `y[row] = table[ids[row]]`: the embeddings of a batch of ids. `ids [rows]`, `y [rows, width]`, and `table [window, width]`,
//! which begins at id `base`. Rows of `y` with other ids stay as they are.
//!
//! Backward is [`super::accumulate_rows`]: `dtable[v]` is the sum of `dy[row]` over the rows with `ids[row] == v`.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, Work, grid_over};
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
        /// The id of the first row of `table`.
        pub base: u32,
        /// Rows of `table`.
        pub window: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = BASE;

/// The form that moves vectors of four: for rows of whole vectors.
pub static VECTOR: Kernel = Kernel {
    name: "embedding/gather vector",
    bindings: &[
        Binding::read("table").vec4().or_half(),
        Binding::index("ids"),
        Binding::read_write("y").vec4().or_half(),
    ],
    constants: |_| vec![("LANES", 4)],
    grid: |raw| {
        let params = Params::of(raw);
        grid_over(params.rows as usize * params.width as usize / 4, 256)
    },
    supports: Some(|raw| Params::of(raw).width.is_multiple_of(4)),
    cases: || VECTOR.supported(cases()),
    form_of: Some(&KERNEL),
    ..BASE
};

/// The common parts of both forms.
const BASE: Kernel = Kernel {
    name: "embedding/gather",
    wgsl: include_str!("../../../shaders/embedding/gather.wgsl"),
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("table").or_half(),
        Binding::index("ids"),
        Binding::read_write("y").or_half(),
    ],
    grid: |raw| {
        let params = Params::of(raw);
        grid_over(params.rows as usize * params.width as usize, 256)
    },
    work: Some(|raw, sizes| {
        let params = Params::of(raw);
        Work::without_product(params.rows, params.width, sizes[0] + sizes[2])
    }),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let width = params.width as usize;
        if oversized.binding == 0 {
            let split = oversized.rows(params.window as usize, &[width, 0, 0], 1)?;
            return split.each(params.base, |base, window| Params {
                base,
                window,
                ..*params
            });
        }
        let split = oversized.rows(params.rows as usize, &[0, 1, width], 1)?;
        split.each(0, |_, rows| Params { rows, ..*params })
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (table, ids, y) = (
        buffers.read("table"),
        buffers.index("ids"),
        buffers.write("y"),
    );
    copy_rows(params, table, ids, y);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params: &Params = Params::of(raw);
    let width = params.width as usize;
    let (table, ids, y) = (
        buffers.read("table"),
        buffers.index("ids"),
        buffers.write("y"),
    );
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
        let output = if all {
            Fill::Output(ids.len() * width)
        } else {
            Fill::signed(ids.len() * width)
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
        windowed(
            "some rows of vectors",
            11,
            6,
            12,
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
