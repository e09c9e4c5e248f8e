//! Philox4x32-10 (Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, 2011): counter-based random
//! numbers, the same bits in Rust and in `shaders/shared/philox.wgsl`.
//!
//! The key is the seed, the counter is (position, purpose, step). A checkpoint therefore stores no random state.

/// What random numbers are for. It is a part of the counter, so that no two uses share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial parameters; the step is the index of the parameter.
    Initialise = 1,
    /// The candidates of the sampled softmax.
    Candidates = 2,
    /// The order of files and of lines.
    Shuffle = 3,
    /// The words of generated text.
    Generate = 4,
    /// The choice of the lines of a training text that are held out for validation.
    HoldOut = 5,
    /// Dropout on the embedding. Dropout on layer `k` of `L` has the purpose `Dropout + 1 + k`, and on the projection of cluster `k`
    /// of an adaptive softmax `Dropout + 1 + L + k`.
    Dropout = 16,
}

/// Four random `u32`s for a counter and a key.
#[inline]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let first = u64::from(c0) * 0xD251_1F53;
        let second = u64::from(c2) * 0xCD9E_8D57;
        (c0, c1, c2, c3) = (
            (second >> 32) as u32 ^ c1 ^ k0,
            second as u32,
            (first >> 32) as u32 ^ c3 ^ k1,
            first as u32,
        );
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [c0, c1, c2, c3]
}

/// A sequence of random numbers on the host for one seed, purpose and step.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    purpose: u32,
    step: u64,
    position: u32,
    block: [u32; 4],
    used: usize,
}

impl Stream {
    /// The sequence for `purpose` at `step`.
    pub fn new(seed: u64, purpose: Purpose, step: u64) -> Stream {
        let key = [seed as u32, (seed >> 32) as u32];
        Stream {
            key,
            purpose: purpose as u32,
            step,
            position: 0,
            block: [0; 4],
            used: 4,
        }
    }

    /// The next `u32`.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            let counter = [
                self.position,
                self.purpose,
                self.step as u32,
                (self.step >> 32) as u32,
            ];
            self.block = philox4x32(counter, self.key);
            self.position = self.position.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// Uniform in `[0, 1)` with 53 random bits.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        let bits = (u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())) >> 11;
        bits as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..bound`.
    ///
    /// # Panics
    ///
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below 0");
        // Rejects the last, incomplete range, so that the result is exactly uniform.
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let number = u64::from(self.next_u32()) << 32 | u64::from(self.next_u32());
            if number < limit {
                return number % bound;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_random123() {
        assert_eq!(
            philox4x32([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn streams_are_repeatable_and_distinct() {
        let draw = |purpose, step| {
            let mut stream = Stream::new(7, purpose, step);
            (0..9).map(|_| stream.next_u32()).collect::<Vec<_>>()
        };
        assert_eq!(draw(Purpose::Shuffle, 3), draw(Purpose::Shuffle, 3));
        assert_ne!(draw(Purpose::Shuffle, 3), draw(Purpose::Shuffle, 4));
        assert_ne!(draw(Purpose::Shuffle, 3), draw(Purpose::Candidates, 3));
    }
}
