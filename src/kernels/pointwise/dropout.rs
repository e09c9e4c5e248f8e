//! Inverted dropout: `y = scale * x` where a random `u32` is at least `threshold`, else 0. `x`, `y [len]`, and
//! `random [4]` = (step low, step high, seed low, seed high).
//!
//! Random `u32` number `n` is element `n % 4` of `philox4x32([n / 4, purpose, step low, step high], [seed low, seed high])`.
//! Element `i` has number `first + i / row * stride + i % row`, its number in a larger batch of which `x` holds some columns.
//! `dx = scale * dy` where the element was kept, else 0: the backward rule is this kernel again, on the gradient, with the
//! same purpose and step. The mask is therefore never stored.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, PHILOX, Params as _, grid_over};
use crate::kernels::parallel;
use crate::random::philox4x32;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of `x` and `y`.
        pub len: u32,
        /// The number of the first element.
        pub first: u32,
        /// Elements with consecutive numbers.
        pub row: u32,
        /// The difference between the numbers of an element and of that one row later.
        pub stride: u32,
        /// The purpose of the random numbers: [`crate::random::Purpose`].
        pub purpose: u32,
        /// A random `u32` below it drops its element: the probability times 2^32, rounded.
        pub threshold: u32,
        /// The factor of elements that are kept: `1 / (1 - probability)`.
        pub scale: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = BASE;

/// The form that moves vectors of four: for rows of whole vectors.
pub static VECTOR: Kernel = Kernel {
    name: "pointwise/dropout vector",
    bindings: &[
        Binding::read("x").vec4().or_half(),
        Binding::index("random"),
        Binding::write("y").vec4().or_half(),
    ],
    constants: |_| vec![("LANES", 4)],
    grid: |raw| grid_over(Params::of(raw).len as usize / 4, 64),
    supports: Some(|raw| {
        let params: &Params = Params::of(raw);
        let sizes = [params.len, params.first, params.row, params.stride];
        sizes.iter().all(|size| size.is_multiple_of(4))
    }),
    cases: || VECTOR.supported(cases()),
    form_of: Some(&KERNEL),
    ..BASE
};

/// The common parts of both forms.
const BASE: Kernel = Kernel {
    name: "pointwise/dropout",
    wgsl: include_str!("../../../shaders/pointwise/dropout.wgsl"),
    snippets: &[&PHILOX],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("x").or_half(),
        Binding::index("random"),
        Binding::write("y").or_half(),
    ],
    grid: |raw| grid_over((Params::of(raw).len as usize).div_ceil(4), 64),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let multiple = if params.row == params.stride {
            1
        } else {
            params.row as usize
        };
        let split = oversized.rows(params.len as usize, &[1, 0, 1], multiple)?;
        let first = number(params, split.first);
        let [len, second] = [split.first, split.second].map(|len| len as u32);
        split.with([
            Params { len, ..*params },
            Params {
                len: second,
                first,
                ..*params
            },
        ])
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

/// The `threshold` that drops elements with this probability, in `[0, 1)`.
pub fn threshold(probability: f64) -> u32 {
    // Converting saturates: the largest probabilities below 1 round to 2^32.
    (probability * 4_294_967_296.0).round() as u32
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, random, y) = (
        buffers.read("x"),
        buffers.index("random"),
        buffers.write("y"),
    );
    drop_elements(params, random, x, 0, y);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params = Params::of(raw);
    let (x, random, y) = (
        buffers.read("x"),
        buffers.index("random"),
        buffers.write("y"),
    );
    parallel::rows(
        y,
        BLOCK,
        BLOCK,
        #[inline(always)]
        |block, y| {
            drop_elements(params, random, x, block * BLOCK, y);
        },
    );
}

/// The number of element `i`.
fn number(params: &Params, i: usize) -> u32 {
    let i = i as u32;
    let offset = i / params.row * params.stride + i % params.row;
    params.first.wrapping_add(offset)
}

/// The elements whose random numbers are computed at once, so that vector instructions can be used.
const BLOCK: usize = 64;

/// Computes elements of `y`, the first of which is element `at`.
#[inline(always)]
pub(super) fn drop_elements<R: Real>(
    params: &Params,
    random: &[u32],
    x: &[R],
    at: usize,
    y: &mut [R],
) {
    let scale = R::from_f32(params.scale);
    let mut random_numbers = [[0; 4]; BLOCK / 4];
    let mut done = 0;
    while done < y.len() {
        let i = at + done;
        let (number, left) = (
            number(params, i),
            params.row as usize - i % params.row as usize,
        );
        let skip = number as usize % 4;
        // Up to the end of the row and of the block of random numbers.
        let run = (y.len() - done).min(left).min(BLOCK - skip);
        for (j, numbers) in random_numbers.iter_mut().enumerate() {
            let position = (number / 4).wrapping_add(j as u32);
            let counter = [position, params.purpose, random[0], random[1]];
            *numbers = philox4x32(counter, [random[2], random[3]]);
        }
        let numbers = &random_numbers.as_flattened()[skip..];
        let y = &mut y[done..done + run];
        for ((y, &x), &number) in y.iter_mut().zip(&x[i..]).zip(numbers) {
            *y = if number >= params.threshold {
                scale * x
            } else {
                R::ZERO
            };
        }
        done += run;
    }
}

fn cases() -> Vec<Case> {
    let placed = |label, len: usize, place: [u32; 3], purpose, probability, random: [u32; 4]| {
        let [first, row, stride] = place;
        let params = Params {
            len: len as u32,
            first,
            row,
            stride,
            purpose,
            threshold: threshold(probability),
            scale: (1.0 / (1.0 - probability)) as f32,
        };
        let buffers = vec![
            Fill::signed(len),
            Fill::Indices(random.to_vec()),
            Fill::Output(len),
        ];
        Case::new(label, &params, 1, buffers)
    };
    let case = |label, len: usize, purpose, probability, random| {
        let place = [0, len as u32, len as u32];
        placed(label, len, place, purpose, probability, random)
    };
    vec![
        case("one element", 1, 16, 0.5, [0, 0, 1, 0]),
        case("nothing dropped", 67, 17, 0.0, [5, 0, 1, 0]),
        case(
            "most dropped",
            1037,
            18,
            0.9,
            [u32::MAX, 7, 0xdead_beef, 0x1234_5678],
        ),
        case("more than one task", 40_013, 16, 0.1, [1000, 0, 42, 0]),
        placed(
            "the second half of each row",
            5 * 131,
            [131, 131, 262],
            16,
            0.3,
            [7, 0, 42, 0],
        ),
        placed(
            "the last third of each row, in vectors",
            5 * 132,
            [264, 132, 396],
            17,
            0.3,
            [7, 0, 42, 0],
        ),
        case("of the bench model", 1280 * 256, 16, 0.1, [1000, 0, 42, 0]).timed(),
    ]
}

#[cfg(test)]
mod tests {
    use super::threshold;

    #[test]
    fn thresholds_round_and_saturate() {
        assert_eq!(threshold(0.0), 0);
        assert_eq!(threshold(0.5), 1 << 31);
        assert_eq!(threshold(0.1), 429_496_730);
        assert_eq!(threshold(1.0_f64.next_down()), u32::MAX);
    }
}
