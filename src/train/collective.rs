//! Collective operations between the processes (ranks) of a distributed run. A run of one process uses [`SingleProcess`].
//!
//! Every rank calls the same operations in the same order. All ranks get bit-identical results: sums are computed in rank order.

use crate::error::{Error, Kind, Result};

/// The maximum number of elements that a rank sends in one message. Larger tensors are sent in pieces, which
/// bounds the memory for messages; some MPI libraries also count elements in 31 bits.
pub const MAX_MESSAGE: usize = 1 << 22;

/// Collective operations over all ranks of a run.
pub trait Collective {
    /// The number of ranks.
    fn ranks(&self) -> usize;

    /// This process's rank, counted from 0.
    fn rank(&self) -> usize;

    /// Replaces `values` by their element-wise sum over all ranks. With `half`, elements are sent as `f16`.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if a rank is lost.
    fn all_reduce(&mut self, values: &mut [f32], half: bool) -> Result<()>;

    /// Replaces `values` by the concatenation of every rank's values in rank order. All ranks pass the same
    /// number of elements. With `half`, elements are sent as `f16`.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if a rank is lost.
    fn all_gather(&mut self, values: &mut Vec<f32>, half: bool) -> Result<()>;

    /// Replaces `values` by their element-wise sum over all ranks. Intended for a few numbers.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if a rank is lost.
    fn all_reduce_f64(&mut self, values: &mut [f64]) -> Result<()>;

    /// Whether this is rank 0, which writes the run folder.
    fn is_root(&self) -> bool {
        self.rank() == 0
    }
}

/// Returns `found` only if every rank succeeded. Also replaces `numbers` by their sum over all ranks.
///
/// Exactly one rank reports the failure: the root if it failed, otherwise a rank that did.
///
/// # Errors
///
/// The rank's own error or, on ranks that succeeded, an error of the same kind; [`Kind::Device`] if a rank is lost.
pub fn all_agree<T>(
    collective: &mut dyn Collective,
    found: Result<T>,
    numbers: &mut [f64],
) -> Result<T> {
    const KINDS: usize = Kind::ALL.len();
    if collective.ranks() == 1 {
        return found;
    }
    let is_root = collective.is_root();
    // For each kind of error: the number of ranks that failed with it, and whether the root did.
    let mut all = vec![0.0; 2 * KINDS];
    if let Err(error) = &found {
        let kind = Kind::ALL.iter().position(|kind| *kind == error.kind());
        let kind = kind.expect("`Kind::ALL` is complete");
        all[kind] = 1.0;
        all[KINDS + kind] = f64::from(is_root);
    }
    all.extend_from_slice(numbers);
    collective.all_reduce_f64(&mut all)?;
    let (failures, sums) = all.split_at(2 * KINDS);
    let (any, of_root) = failures.split_at(KINDS);
    numbers.copy_from_slice(sums);
    let Some(first) = any.iter().position(|count| *count > 0.0) else {
        return found;
    };
    let kind = Kind::ALL[first];
    let root_failed = of_root.iter().any(|count| *count > 0.0);
    // An interruption concerns all ranks alike, and the root knows the run folder.
    let is_stop = matches!(kind, Kind::Interrupted | Kind::Terminated);
    match found {
        _ if is_stop => Err(Error::new(kind, "interrupted").shared(is_root)),
        Err(error) => Err(error.shared(is_root || !root_failed)),
        Ok(_) => Err(Error::new(kind, "another process of the job has failed").shared(false)),
    }
}

/// The concatenation of every rank's `own` in rank order. All ranks pass the same number of elements.
///
/// # Errors
///
/// [`Kind::Device`] if a rank is lost.
pub fn all_gather_f64(collective: &mut dyn Collective, own: &[f64]) -> Result<Vec<f64>> {
    let mut all = vec![0.0; own.len() * collective.ranks()];
    let first = own.len() * collective.rank();
    all[first..first + own.len()].copy_from_slice(own);
    collective.all_reduce_f64(&mut all)?;
    Ok(all)
}

/// The collective of a run with one process.
pub struct SingleProcess;

impl Collective for SingleProcess {
    fn ranks(&self) -> usize {
        1
    }

    fn rank(&self) -> usize {
        0
    }

    fn all_reduce(&mut self, _values: &mut [f32], _half: bool) -> Result<()> {
        Ok(())
    }

    fn all_gather(&mut self, _values: &mut Vec<f32>, _half: bool) -> Result<()> {
        Ok(())
    }

    fn all_reduce_f64(&mut self, _values: &mut [f64]) -> Result<()> {
        Ok(())
    }
}
