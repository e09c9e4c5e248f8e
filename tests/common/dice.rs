//! Random numbers for tests.

/// Random numbers for tests: SplitMix64 (Steele et al. 2014), independent of the program's generator.
pub struct Dice(pub u64);

impl Dice {
    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..bound`; 0 if that is empty.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound.max(1) as u64) as usize
    }

    /// One of some values.
    pub fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Uniform in `[-limit, limit)`.
    pub fn within(&mut self, limit: f64) -> f64 {
        let unit = (self.word() >> 11) as f64 / (1u64 << 53) as f64;
        limit * (2.0 * unit - 1.0)
    }

    /// Lines of 1 to `longest` words out of `words`.
    pub fn text(&mut self, lines: usize, longest: usize, words: &[&str]) -> String {
        let mut text = String::new();
        for _ in 0..lines {
            let count = 1 + self.below(longest);
            let line: Vec<&str> = (0..count).map(|_| words[self.below(words.len())]).collect();
            text += &line.join(" ");
            text.push('\n');
        }
        text
    }
}
