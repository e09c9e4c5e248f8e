//! How a list is divided into parts.

/// The maximum number of parts into which [`split`](super::split) and similar functions divide, and the maximum
/// number of members of a team.
pub const MAX_PARTS: usize = 64;

/// Where the parts of a list begin, and where the last one ends. A fixed array, so that a step allocates nothing.
pub struct Bounds {
    bounds: [usize; MAX_PARTS + 1],
    parts: usize,
}

impl Bounds {
    /// Divides `len` elements into at most `parts` nearly equal parts, at multiples of `unit`. The rest after
    /// the last unit belongs to the last part.
    pub fn even(len: usize, unit: usize, parts: usize) -> Bounds {
        let units = len / unit.max(1);
        let parts = parts.min(MAX_PARTS).min(units).max(1);
        let mut bounds = [len; MAX_PARTS + 1];
        for (k, bound) in bounds.iter_mut().enumerate().take(parts) {
            *bound = (units * k / parts * unit).min(len);
        }
        Bounds { bounds, parts }
    }

    /// Divides `len` elements into `parts` parts, of which part `k` begins at `start(k)`.
    pub fn new(len: usize, parts: usize, start: impl Fn(usize) -> usize) -> Bounds {
        let parts = parts.clamp(1, MAX_PARTS);
        let mut bounds = [len; MAX_PARTS + 1];
        for (k, slot) in bounds.iter_mut().enumerate().take(parts) {
            *slot = start(k);
        }
        Bounds { bounds, parts }
    }
}

impl std::ops::Deref for Bounds {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.bounds[..=self.parts]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_nearly_equal() {
        assert_eq!(Bounds::even(1000, 16, 5)[..], [0, 192, 384, 592, 784, 1000]);
        assert_eq!(Bounds::even(3, 1, 8)[..], [0, 1, 2, 3]);
        assert_eq!(Bounds::even(0, 1, 8)[..], [0, 0]);
    }
}
