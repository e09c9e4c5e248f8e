//! What the machines of a run tell each other. One machine alone has nobody to tell: [`Alone`].
//!
//! All ranks call the same functions in the same order, and all get the same bits: sums are made in the order of the ranks.

use crate::error::Result;

/// The way to the other ranks of a run.
pub trait Exchange {
    /// How many there are, this one too.
    fn ranks(&self) -> usize;

    /// Which one this is, from 0. Rank 0 writes what a run leaves.
    fn rank(&self) -> usize;

    /// Adds up the values of all ranks, element by element. Narrow: in `f16` on the way.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if a rank is lost.
    fn sum(&mut self, values: &mut [f32], narrow: bool) -> Result<()>;

    /// Puts the values of all ranks one behind the other, as many from each, in their order.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if a rank is lost.
    fn gather(&mut self, values: &mut Vec<f32>, narrow: bool) -> Result<()>;

    /// Adds up a few numbers of all ranks.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if a rank is lost.
    fn sum_few(&mut self, values: &mut [f64]) -> Result<()>;

    /// Whether this rank writes what a run leaves.
    fn leads(&self) -> bool {
        self.rank() == 0
    }
}

/// One machine.
pub struct Alone;

impl Exchange for Alone {
    fn ranks(&self) -> usize {
        1
    }

    fn rank(&self) -> usize {
        0
    }

    fn sum(&mut self, _values: &mut [f32], _narrow: bool) -> Result<()> {
        Ok(())
    }

    fn gather(&mut self, _values: &mut Vec<f32>, _narrow: bool) -> Result<()> {
        Ok(())
    }

    fn sum_few(&mut self, _values: &mut [f64]) -> Result<()> {
        Ok(())
    }
}
