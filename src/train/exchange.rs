//! What the machines of a run tell each other. One machine alone has nobody to tell: [`Alone`].
//!
//! All ranks call the same functions in the same order, and all get the same bits: sums are made in the order of the ranks.

use crate::error::{Error, Kind, Result};

/// The most elements of a rank that are on their way at once: more would need room twice, and some libraries of MPI count no
/// further than 31 bits.
pub const MOST: usize = 1 << 22;

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
    /// [`Kind::Device`] if a rank is lost.
    fn sum(&mut self, values: &mut [f32], narrow: bool) -> Result<()>;

    /// Puts the values of all ranks one behind the other, as many from each, in their order.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if a rank is lost.
    fn gather(&mut self, values: &mut Vec<f32>, narrow: bool) -> Result<()>;

    /// Adds up a few numbers of all ranks.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if a rank is lost.
    fn sum_few(&mut self, values: &mut [f64]) -> Result<()>;

    /// Whether this rank writes what a run leaves.
    fn leads(&self) -> bool {
        self.rank() == 0
    }
}

/// What each rank has come to, known to all: only if none has failed they go on. Adds up `numbers` of all ranks by the way. One
/// rank tells of what they fail with, the first if it has failed too.
///
/// # Errors
///
/// The rank's own failure or, on ranks that have none, one of the same class; [`Kind::Device`] if a rank is lost.
pub fn together<T>(
    exchange: &mut dyn Exchange,
    found: Result<T>,
    numbers: &mut [f64],
) -> Result<T> {
    const KINDS: usize = Kind::ALL.len();
    if exchange.ranks() == 1 {
        return found;
    }
    let leads = exchange.leads();
    // For each class the ranks that fail with it, and whether the first one does.
    let mut all = vec![0.0; 2 * KINDS];
    if let Err(error) = &found {
        let of = Kind::ALL.iter().position(|kind| *kind == error.kind());
        let of = of.expect("all are there");
        all[of] = 1.0;
        all[KINDS + of] = f64::from(leads);
    }
    all.extend_from_slice(numbers);
    exchange.sum_few(&mut all)?;
    let (failures, sums) = all.split_at(2 * KINDS);
    let (any, of_first) = failures.split_at(KINDS);
    numbers.copy_from_slice(sums);
    let Some(worst) = any.iter().position(|count| *count > 0.0) else {
        return found;
    };
    let kind = Kind::ALL[worst];
    let first_fails = of_first.iter().any(|count| *count > 0.0);
    // What was asked for concerns all alike, and the first one knows where the run is.
    let is_asked = matches!(kind, Kind::Interrupted | Kind::Terminated);
    match found {
        _ if is_asked => Err(Error::new(kind, "interrupted").shared(leads)),
        Err(error) => Err(error.shared(leads || !first_fails)),
        Ok(_) => Err(Error::new(kind, "another process of the job has failed").shared(false)),
    }
}

/// The numbers of every rank, in their order, as many of each.
///
/// # Errors
///
/// [`Kind::Device`] if a rank is lost.
pub fn of_all(exchange: &mut dyn Exchange, own: &[f64]) -> Result<Vec<f64>> {
    let mut all = vec![0.0; own.len() * exchange.ranks()];
    let first = own.len() * exchange.rank();
    all[first..first + own.len()].copy_from_slice(own);
    exchange.sum_few(&mut all)?;
    Ok(all)
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
