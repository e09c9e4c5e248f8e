//! Collects rows of the softmax, which are computed together once there are enough of them.

use super::sizes::RowCounts;
use crate::error::Result;

/// Pending inputs of the softmax, `[rows, width]`, and the results of earlier ones.
pub(super) struct Packed {
    width: usize,
    counts: RowCounts,
    /// The numbers of the pending rows.
    numbers: Vec<usize>,
    h: Vec<f64>,
    /// The result of each row; NaN if it is not computed yet.
    pub values: Vec<f64>,
}

impl Packed {
    /// For `rows` rows in total.
    pub fn new(rows: usize, width: usize, counts: RowCounts) -> Packed {
        Packed {
            width,
            counts,
            numbers: Vec::new(),
            h: Vec::new(),
            values: vec![f64::NAN; rows],
        }
    }

    /// Adds the row `number`.
    pub fn push(&mut self, number: usize, h: &[f64]) {
        self.numbers.push(number);
        self.h.extend_from_slice(h);
    }

    /// Calls `compute(numbers, rows, h [rows, width])` while there are enough pending rows for the largest softmax.
    pub fn run_full(
        &mut self,
        mut compute: impl FnMut(&[usize], usize, Vec<f64>) -> Result<Vec<f64>>,
    ) -> Result<()> {
        while self.numbers.len() >= self.counts.largest() {
            self.run(self.counts.largest(), &mut compute)?;
        }
        Ok(())
    }

    /// Calls `compute` for all pending rows. The last rows of `h` may be padding.
    pub fn run_rest(
        &mut self,
        mut compute: impl FnMut(&[usize], usize, Vec<f64>) -> Result<Vec<f64>>,
    ) -> Result<()> {
        while !self.numbers.is_empty() {
            self.run(self.counts.next(self.numbers.len()), &mut compute)?;
        }
        Ok(())
    }

    fn run(
        &mut self,
        rows: usize,
        compute: &mut impl FnMut(&[usize], usize, Vec<f64>) -> Result<Vec<f64>>,
    ) -> Result<()> {
        let count = rows.min(self.numbers.len());
        let numbers: Vec<usize> = self.numbers.drain(..count).collect();
        let mut h: Vec<f64> = self.h.drain(..count * self.width).collect();
        h.resize(rows * self.width, 0.0);
        let values = compute(&numbers, rows, h)?;
        for (number, value) in numbers.into_iter().zip(values) {
            self.values[number] = value;
        }
        Ok(())
    }
}
