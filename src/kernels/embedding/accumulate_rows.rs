//! `gradient[k] = scale * sum of source[p] over the positions p of distinct row k`: the row-sparse gradient of a table of
//! which a batch read some rows, in the order of its [row index](super::rows). `source [window, width]` begins at position
//! `base`, `gradient [capacity, width]` at distinct row `first`. Rows past the count of distinct rows are 0.
//!
//! The backward kernel of [`super::gather`]. Positions are added in ascending order, so the result is reproducible bit for bit.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over};
use crate::kernels::embedding::rows::{Rows, row_index};
use crate::kernels::parallel;
use crate::kernels::softmax::IGNORE;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Sources of the row index `rows`.
        pub sources: u32,
        /// Columns of `source` and `gradient`.
        pub width: u32,
        /// Multiplies every sum.
        pub scale: f32,
        /// The number of the first row of `gradient` in the row index.
        pub first: u32,
        /// Rows of `gradient`.
        pub capacity: u32,
        /// The position of the first row of `source`.
        pub base: u32,
        /// Rows of `source`. Other steps process other positions.
        pub window: u32,
        /// Not 0: the sums are added to the contents of `gradient`.
        pub accumulate: u32,
    }
}

impl Params {
    /// The params of a step with all sources and as many rows.
    pub fn whole(sources: usize, width: usize, scale: f32) -> Params {
        Params {
            sources: sources as u32,
            width: width as u32,
            scale,
            first: 0,
            capacity: sources as u32,
            base: 0,
            window: sources as u32,
            accumulate: 0,
        }
    }
}

/// See the module.
pub static KERNEL: Kernel = BASE;

/// The form that moves vectors of four: for rows of whole vectors.
pub static VECTOR: Kernel = Kernel {
    name: "embedding/accumulate_rows vector",
    bindings: &[
        Binding::read("source").vec4().or_half(),
        Binding::index("rows"),
        Binding::read_write("gradient").vec4(),
    ],
    constants: |_| vec![("LANES", 4)],
    grid: |raw| {
        let params = Params::of(raw);
        grid_over(params.capacity as usize * params.width as usize / 4, 256)
    },
    supports: Some(|raw| Params::of(raw).width.is_multiple_of(4)),
    cases: || VECTOR.supported(cases()),
    form_of: Some(&KERNEL),
    ..BASE
};

/// The common parts of both forms.
const BASE: Kernel = Kernel {
    name: "embedding/accumulate_rows",
    wgsl: include_str!("../../../shaders/embedding/accumulate_rows.wgsl"),
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("source").or_half(),
        Binding::index("rows"),
        Binding::read_write("gradient"),
    ],
    grid: |raw| {
        let params = Params::of(raw);
        grid_over(params.capacity as usize * params.width as usize, 256)
    },
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let width = params.width as usize;
        if oversized.binding == 0 {
            let split = oversized.rows(params.window as usize, &[width, 0, 0], 1)?;
            let (window, second) = (split.first as u32, split.second as u32);
            return split.with([
                Params { window, ..*params },
                Params {
                    base: params.base + window,
                    window: second,
                    accumulate: 1,
                    ..*params
                },
            ]);
        }
        let split = oversized.rows(params.capacity as usize, &[0, 0, width], 1)?;
        split.each(params.first, |first, capacity| Params {
            first,
            capacity,
            ..*params
        })
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (source, rows, gradient) = (
        buffers.read("source"),
        buffers.index("rows"),
        buffers.write("gradient"),
    );
    add_rows(params, source, rows, 0, gradient);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params = Params::of(raw);
    let (source, rows, gradient) = (
        buffers.read("source"),
        buffers.index("rows"),
        buffers.write("gradient"),
    );
    let width = params.width as usize;
    parallel::rows(
        gradient,
        width,
        2 * width,
        #[inline(always)]
        |first, gradient| {
            add_rows(params, source, rows, first, gradient);
        },
    );
}

/// Computes rows of the gradient, the first of which is row `first`.
#[inline(always)]
fn add_rows<R: Real>(
    params: &Params,
    source: &[R],
    rows: &[u32],
    first: usize,
    gradient: &mut [R],
) {
    let width = params.width as usize;
    let scale = R::from_f32(params.scale);
    let rows = Rows::new(rows, params.sources as usize);
    let first = params.first as usize + first;
    let row_of = |position: u32| {
        let row = position.wrapping_sub(params.base);
        (row < params.window).then_some(row as usize)
    };
    for (k, sum) in gradient.chunks_exact_mut(width).enumerate() {
        let positions = if first + k < rows.ids().len() {
            rows.positions(first + k)
        } else {
            &[]
        };
        let sources = positions.iter().filter_map(|&position| row_of(position));
        if params.accumulate != 0 {
            // The sum is complete before it is scaled and added. Column by column, since no buffer could hold the sums of a row.
            for (column, out) in sum.iter_mut().enumerate() {
                let terms = sources.clone().map(|row| source[row * width + column]);
                *out += scale * terms.fold(R::ZERO, |sum, x| sum + x);
            }
            continue;
        }
        sum.fill(R::ZERO);
        for row in sources {
            for (sum, &x) in sum.iter_mut().zip(&source[row * width..][..width]) {
                *sum += x;
            }
        }
        for sum in sum {
            *sum *= scale;
        }
    }
}

fn cases() -> Vec<Case> {
    let case = |label, width: usize, scale, ids: Vec<u32>| {
        let params = Params::whole(ids.len(), width, scale);
        let n = ids.len();
        let buffers = vec![
            Fill::signed(n * width),
            Fill::Indices(row_index(&ids)),
            Fill::Output(n * width),
        ];
        Case::new(label, &params, n, buffers)
    };
    let part = |label, width: usize, accumulate, ids: Vec<u32>| {
        let params = Params {
            first: 1,
            capacity: ids.len() as u32 - 2,
            base: 2,
            window: ids.len() as u32 - 3,
            accumulate,
            ..Params::whole(ids.len(), width, 0.5)
        };
        let gradient = params.capacity as usize * width;
        let buffers = vec![
            Fill::signed(params.window as usize * width),
            Fill::Indices(row_index(&ids)),
            match accumulate {
                0 => Fill::Output(gradient),
                _ => Fill::signed(gradient),
            },
        ];
        Case::new(label, &params, ids.len(), buffers)
    };
    vec![
        case("one element", 1, 1.0, vec![5]),
        case("all distinct", 7, 1.0, vec![9, 2, 4, 11, 0]),
        case("all the same", 33, 0.25, vec![3; 67]),
        case(
            "duplicates and padding",
            65,
            0.5,
            vec![7, IGNORE, 2, 7, 2, 2, IGNORE, 90],
        ),
        part("some positions", 65, 0, vec![7, 3, 2, 7, 2, 2, 3, 90]),
        part(
            "other positions, accumulated",
            33,
            1,
            vec![7, 3, 2, 7, 2, 2, 3, 90],
        ),
        case(
            "vectors, duplicates and padding",
            68,
            0.5,
            vec![7, IGNORE, 2, 7, 2, 2, IGNORE, 90],
        ),
        part(
            "other positions of vectors, accumulated",
            36,
            1,
            vec![7, 3, 2, 7, 2, 2, 3, 90],
        ),
        case(
            "more than one task",
            257,
            1.0,
            (0..131).map(|k| k * k % 40).collect(),
        ),
        case(
            "of the bench model",
            256,
            1.0,
            (0..3328).map(|k| k * k % 2000).collect(),
        )
        .timed(),
    ]
}
