//! Inverted dropout: `y = scale * x` where a random word is at least `threshold`, else 0. `x`, `y [len]`, and
//! `random [4]` = (step low, step high, seed low, seed high).
//!
//! The word of element `i` is word `i % 4` of `philox4x32([i / 4, purpose, step low, step high], [seed low, seed high])`.
//! `dx = scale * dy` where the element was kept, else 0: the backward rule is this kernel again, on the gradient, with the
//! same purpose and step, so the mask is never stored.

use crate::kernel::{
    Binding, Buffers, Case, Fill, Kernel, PHILOX, Params as _, grid_over, no_constants,
};
use crate::kernels::parallel;
use crate::random::philox4x32;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of `x` and `y`.
        pub len: u32,
        /// What the random numbers are for: [`crate::random::Purpose`].
        pub purpose: u32,
        /// Words below it drop their element: the probability times 2^32, rounded.
        pub threshold: u32,
        /// Multiplies what is kept: `1 / (1 - probability)`.
        pub scale: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "pointwise/dropout",
    wgsl: include_str!("../../../shaders/pointwise/dropout.wgsl"),
    snippets: &[&PHILOX],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("x").or_half(),
        Binding::index("random"),
        Binding::write("y").or_half(),
    ],
    constants: no_constants,
    grid: |words| grid_over((Params::of(words).len as usize).div_ceil(4), 64),
    work: None,
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    others: &[],
};

/// The `threshold` that drops elements with this probability, in `[0, 1)`.
pub fn threshold(probability: f64) -> u32 {
    // Converting saturates: the largest probabilities below 1 round to 2^32.
    (probability * 4_294_967_296.0).round() as u32
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, random, y) = (buffers.read(0), buffers.index(1), buffers.write(2));
    drop_some(params, random, x, 0, y);
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params = Params::of(words);
    let (x, random, y) = (buffers.read(0), buffers.index(1), buffers.write(2));
    parallel::rows(
        y,
        BLOCK,
        BLOCK,
        #[inline(always)]
        |block, y| {
            drop_some(params, random, &x[block * BLOCK..], block * BLOCK / 4, y);
        },
    );
}

/// The elements whose words are made at once: as many counters as vector instructions like to work on.
const BLOCK: usize = 64;

/// The elements of `y`, of which the first four have the counter `counter`.
#[inline(always)]
fn drop_some<R: Real>(params: &Params, random: &[u32], x: &[R], counter: usize, y: &mut [R]) {
    let scale = R::from_f32(params.scale);
    for (k, (y, x)) in y.chunks_mut(BLOCK).zip(x.chunks(BLOCK)).enumerate() {
        let mut words = [[0; 4]; BLOCK / 4];
        for (j, words) in words.iter_mut().enumerate() {
            let position = (counter + k * BLOCK / 4 + j) as u32;
            let counter = [position, params.purpose, random[0], random[1]];
            *words = philox4x32(counter, [random[2], random[3]]);
        }
        for ((y, &x), &word) in y.iter_mut().zip(x).zip(words.as_flattened()) {
            *y = if word >= params.threshold {
                scale * x
            } else {
                R::ZERO
            };
        }
    }
}

fn cases() -> Vec<Case> {
    let case = |label, len: usize, purpose, probability, random: [u32; 4]| {
        let params = Params {
            len: len as u32,
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
