//! Rows that are computed together once there are enough of them.

use super::sizes::RowCounts;
use crate::error::Result;

/// Inputs of the softmax, `[rows, width]`, that wait for others, and what was computed from earlier ones.
pub(super) struct Packed {
    width: usize,
    counts: RowCounts,
    /// The numbers of the rows that wait.
    numbers: Vec<usize>,
    h: Vec<f64>,
    /// The value of each row.
    pub values: Vec<f64>,
}

impl Packed {
    /// For `rows` rows in all.
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

    /// Calls `compute(numbers, rows, h [rows, width])` for as many rows as fill it; the last rows may be padding.
    pub fn run_full(
        &mut self,
        mut compute: impl FnMut(&[usize], usize, Vec<f64>) -> Result<Vec<f64>>,
    ) -> Result<()> {
        while self.numbers.len() >= self.counts.largest() {
            self.run(self.counts.largest(), &mut compute)?;
        }
        Ok(())
    }

    /// The same for all rows that wait.
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
