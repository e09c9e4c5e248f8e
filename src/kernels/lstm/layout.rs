//! Conversion between interleaved gates and one array for each gate, on the CPU.

use crate::kernels::parallel::vectorized;

/// Units that are processed at once: the width of the widest vector registers.
pub(super) const LANES: usize = 16;

/// Blocks of a run. Each function is applied to all units of a run before the next one, so that the processor overlaps the
/// polynomials of several vectors instead of waiting for one.
pub(super) const RUN: usize = 4;

/// Replaces `x` by `f(x)`.
#[inline(always)]
pub(super) fn replace(x: &mut [[f32; LANES]], f: impl Fn(f32) -> f32) {
    for block in x {
        for x in block {
            *x = f(*x);
        }
    }
}

/// Runs, then the blocks that are left, each of `W` elements, then the elements that are left.
type Blocks<'a, const W: usize> = (&'a [[[f32; W]; RUN]], &'a [[f32; W]], &'a [f32]);

/// The same to write.
type BlocksMut<'a, const W: usize> = (&'a mut [[[f32; W]; RUN]], &'a mut [[f32; W]], &'a mut [f32]);

/// Divides a slice.
#[inline(always)]
pub(super) fn blocks<const W: usize>(x: &[f32]) -> Blocks<'_, W> {
    let (blocks, rest) = x.as_chunks();
    let (runs, blocks) = blocks.as_chunks();
    (runs, blocks, rest)
}

/// Divides a slice to write.
#[inline(always)]
pub(super) fn blocks_mut<const W: usize>(x: &mut [f32]) -> BlocksMut<'_, W> {
    let (blocks, rest) = x.as_chunks_mut();
    let (runs, blocks) = blocks.as_chunks_mut();
    (runs, blocks, rest)
}

/// A block of these elements, then zeros.
#[inline(always)]
pub(super) fn padded<const W: usize>(x: &[f32]) -> [[f32; W]; 1] {
    let mut block = [0.0; W];
    block[..x.len()].copy_from_slice(x);
    [block]
}

/// Converts blocks of [`LANES`] units.
pub(super) trait Shuffle: Copy {
    /// One array for each gate, from interleaved gates.
    fn deinterleave(self, z: &[f32; 4 * LANES]) -> [[f32; LANES]; 4];

    /// The reverse.
    fn interleave(self, gates: [[f32; LANES]; 4], z: &mut [f32; 4 * LANES]);
}

/// A computation on blocks, for any shuffle.
pub(super) trait BlockComputation {
    /// Runs the computation.
    fn run<S: Shuffle>(self, shuffle: S);
}

/// Element by element. Compilers generate fast code from it for registers of four elements, and slow code for registers of
/// sixteen.
#[derive(Clone, Copy)]
struct Plain;

impl Shuffle for Plain {
    #[inline(always)]
    fn deinterleave(self, z: &[f32; 4 * LANES]) -> [[f32; LANES]; 4] {
        let mut gates = [[0.0; LANES]; 4];
        for (u, unit) in z.as_chunks::<4>().0.iter().enumerate() {
            for q in 0..4 {
                gates[q][u] = unit[q];
            }
        }
        gates
    }

    #[inline(always)]
    fn interleave(self, gates: [[f32; LANES]; 4], z: &mut [f32; 4 * LANES]) {
        for (u, unit) in z.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            for q in 0..4 {
                unit[q] = gates[q][u];
            }
        }
    }
}

/// Runs `blocks` with the best vector instructions of this CPU.
#[inline(always)]
pub(super) fn shuffled(blocks: impl BlockComputation) {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V4::try_new() {
        return avx512::run(simd, blocks);
    }
    vectorized(
        #[inline(always)]
        || blocks.run(Plain),
    );
}

/// AVX-512: eight shuffles of whole registers each way.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{__m512, __m512i};

    use pulp::x86::V4;

    use super::{BlockComputation, LANES, Shuffle};

    #[inline(always)]
    pub(super) fn run(simd: V4, blocks: impl BlockComputation) {
        struct Work<B>(V4, B);
        impl<B: BlockComputation> pulp::NullaryFnOnce for Work<B> {
            type Output = ();
            #[inline(always)]
            fn call(self) {
                self.1.run(self.0);
            }
        }
        simd.vectorize(Work(simd, blocks));
    }

    /// The indices of a result's elements in two concatenated registers.
    type Places = [i32; LANES];

    /// The first two gates of eight units: four of the first register, four of the second.
    const GATES_IJ: Places = [0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29];
    /// The last two.
    const GATES_FO: Places = [2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31];
    /// The lower halves.
    const LOWER: Places = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
    /// The upper halves.
    const UPPER: Places = [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31];
    /// The first eight elements of both registers, alternating.
    const ZIP_LOWER: Places = [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23];
    /// The last eight.
    const ZIP_UPPER: Places = [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31];
    /// The first four pairs of both registers, alternating.
    const PAIRS_LOWER: Places = [0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23];
    /// The last four.
    const PAIRS_UPPER: Places = [8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31];

    #[inline(always)]
    fn pick(simd: V4, x: __m512, y: __m512, places: Places) -> __m512 {
        let places: __m512i = pulp::cast(places);
        simd.avx512f._mm512_permutex2var_ps(x, places, y)
    }

    #[inline(always)]
    fn register(x: &[f32; LANES]) -> __m512 {
        pulp::cast(*x)
    }

    impl Shuffle for V4 {
        #[inline(always)]
        fn deinterleave(self, z: &[f32; 4 * LANES]) -> [[f32; LANES]; 4] {
            let parts = z.as_chunks::<LANES>().0;
            let [p, q, r, s] = [0, 1, 2, 3].map(|k| register(&parts[k]));
            let (ij, ij_after) = (pick(self, p, q, GATES_IJ), pick(self, r, s, GATES_IJ));
            let (fo, fo_after) = (pick(self, p, q, GATES_FO), pick(self, r, s, GATES_FO));
            [
                pulp::cast(pick(self, ij, ij_after, LOWER)),
                pulp::cast(pick(self, ij, ij_after, UPPER)),
                pulp::cast(pick(self, fo, fo_after, LOWER)),
                pulp::cast(pick(self, fo, fo_after, UPPER)),
            ]
        }

        #[inline(always)]
        fn interleave(self, gates: [[f32; LANES]; 4], z: &mut [f32; 4 * LANES]) {
            let [i, j, f, o] = gates.each_ref().map(register);
            let (ij, ij_after) = (pick(self, i, j, ZIP_LOWER), pick(self, i, j, ZIP_UPPER));
            let (fo, fo_after) = (pick(self, f, o, ZIP_LOWER), pick(self, f, o, ZIP_UPPER));
            let parts = z.as_chunks_mut::<LANES>().0;
            parts[0] = pulp::cast(pick(self, ij, fo, PAIRS_LOWER));
            parts[1] = pulp::cast(pick(self, ij, fo, PAIRS_UPPER));
            parts[2] = pulp::cast(pick(self, ij_after, fo_after, PAIRS_LOWER));
            parts[3] = pulp::cast(pick(self, ij_after, fo_after, PAIRS_UPPER));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Deinterleave<'a>(&'a [f32; 4 * LANES], &'a mut [[f32; LANES]; 4]);

    impl BlockComputation for Deinterleave<'_> {
        fn run<S: Shuffle>(self, shuffle: S) {
            *self.1 = shuffle.deinterleave(self.0);
        }
    }

    struct Interleave<'a>([[f32; LANES]; 4], &'a mut [f32; 4 * LANES]);

    impl BlockComputation for Interleave<'_> {
        fn run<S: Shuffle>(self, shuffle: S) {
            shuffle.interleave(self.0, self.1);
        }
    }

    #[test]
    fn deinterleaved_gates_interleave_again() {
        let z: [f32; 4 * LANES] = std::array::from_fn(|k| k as f32);
        let mut gates = [[0.0; LANES]; 4];
        shuffled(Deinterleave(&z, &mut gates));
        assert_eq!(gates, Plain.deinterleave(&z));
        assert_eq!(gates[2][5], 22.0);
        let (mut back, mut plain) = ([0.0; 4 * LANES], [0.0; 4 * LANES]);
        shuffled(Interleave(gates, &mut back));
        Plain.interleave(gates, &mut plain);
        assert_eq!(back, z);
        assert_eq!(plain, z);
    }
}
