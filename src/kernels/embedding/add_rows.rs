//! `table[ids[row] - base] += scale * x[row]`: adds rows to rows of a table. `x [rows, width]`; `ids [rows]`, all distinct;
//! `table [window, width]`, whose first row has the id `base`. Rows with ids outside the table are skipped, for example
//! [`IGNORE`](crate::kernels::softmax::IGNORE).
//!
//! Backward is [`super::gather`]: `dx[row] = scale * dtable[ids[row] - base]`.

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
        /// The factor of `x`.
        pub scale: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "embedding/add_rows",
    wgsl: include_str!("../../../shaders/embedding/add_rows.wgsl"),
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("x").or_half(),
        Binding::index("ids"),
        Binding::read_write("table").or_half(),
    ],
    grid: |raw| {
        let params = Params::of(raw);
        grid_over(params.rows as usize * params.width as usize, 64)
    },
    work: Some(|raw, sizes| {
        let params = Params::of(raw);
        Work::without_product(params.rows, params.width, sizes[0] + 2 * sizes[2])
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
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, ids, table) = (
        buffers.read("x"),
        buffers.index("ids"),
        buffers.write("table"),
    );
    let (width, scale) = (params.width as usize, R::from_f32(params.scale));
    for (x, id) in x.chunks_exact(width).zip(ids) {
        let row = id.wrapping_sub(params.base);
        if row < params.window {
            let sums = &mut table[row as usize * width..][..width];
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum += scale * *x;
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let case = |label, base, window: usize, width: usize, scale, ids: Vec<u32>| {
        let params = Params {
            rows: ids.len() as u32,
            width: width as u32,
            base,
            window: window as u32,
            scale,
        };
        let buffers = vec![
            Fill::signed(ids.len() * width),
            Fill::Indices(ids),
            Fill::signed(window * width),
        ];
        Case::new(label, &params, 1, buffers)
    };
    vec![
        case("one element", 0, 1, 1, 1.0, vec![0]),
        case(
            "first and last, some none",
            0,
            11,
            7,
            -1.0,
            vec![10, u32::MAX, 0, 3],
        ),
        case(
            "some rows of a table",
            11,
            6,
            33,
            0.5,
            vec![10, 11, 16, 17, 0, 13],
        ),
        case("one column", 0, 300, 1, 1.0, (0..300).rev().collect()),
        case(
            "of the bench model",
            0,
            1280,
            256,
            1.0,
            (0..320).map(|k| k * 7 % 1280).collect(),
        )
        .timed(),
    ]
}
