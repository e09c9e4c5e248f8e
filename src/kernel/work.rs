//! The minimum cost of a step, on any device.

/// The minimum cost of a step, on any device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiplications and additions of its matrix products. Other arithmetic is not counted.
    pub flops: u64,
    /// Bytes that move between memory and registers, each element once.
    pub bytes: u64,
}

impl Work {
    /// A step without a product: it reads or writes `rows * width` elements of `bytes` each.
    pub fn without_product(rows: u32, width: u32, bytes: u64) -> Work {
        Work {
            flops: 0,
            bytes: u64::from(rows) * u64::from(width) * bytes,
        }
    }
}
