//! Runs on several machines, as MPI jobs. Only with the cargo feature `mpi`.
//!
//! All-reduce is a reduce-scatter and an all-gather: each rank sums its share in rank order. This sends as few bytes as the best
//! algorithms of MPI libraries, and the results of all ranks are bitwise identical.
//!
//! All ranks of a job end together. Ranks that agree on the end finalise MPI ([`finish`]). A rank that fails
//! alone aborts the job, because the others would wait for it. If a rank dies, `mpirun` ends the others.

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use half::f16;
use half::slice::HalfFloatSliceExt;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};

use super::collective::{Collective, MAX_MESSAGE};
use crate::error::{Error, Kind, Result};

thread_local! {
    /// The MPI environment, on the training thread. Only [`finish`] drops it: dropping it when a thread
    /// panics would wait for the other ranks, which must be notified of the failure instead.
    static UNIVERSE: RefCell<Option<ManuallyDrop<Universe>>> = const { RefCell::new(None) };
}

/// Environment variables that launchers set for the ranks of a job: Open MPI, MPICH and derivatives, PMIx.
const LAUNCHED: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"];

/// The ranks of an MPI job.
pub struct Mpi {
    world: SimpleCommunicator,
    /// Send buffer and receive buffer.
    sent: Vec<f32>,
    received: Vec<f32>,
    /// The same in `f16`.
    half: [Vec<u16>; 2],
}

/// Joins the MPI job of which this process is a rank. `None` if it was not started by a launcher.
///
/// # Errors
///
/// [`Kind::Other`] if MPI cannot be started.
pub fn connect() -> Result<Option<Mpi>> {
    if LAUNCHED.iter().all(|name| std::env::var_os(name).is_none()) {
        return Ok(None);
    }
    // One thread calls MPI; there are other threads.
    let started = mpi::initialize_with_threading(mpi::Threading::Funneled);
    let Some((universe, threading)) = started else {
        return Err(Error::new(Kind::Other, "MPI was started already"));
    };
    if threading < mpi::Threading::Funneled {
        return Err(
            Error::new(Kind::Other, "this MPI library does not support threads")
                .help("use one with thread support, such as Open MPI"),
        );
    }
    let world = universe.world();
    UNIVERSE.set(Some(ManuallyDrop::new(universe)));
    Ok(Some(Mpi {
        world,
        sent: Vec::new(),
        received: Vec::new(),
        half: [Vec::new(), Vec::new()],
    }))
}

/// Ends this process's part in its job, if it has one. If the ranks have not agreed to end, aborts the whole job.
pub fn finish(agreed: bool, code: u8) {
    UNIVERSE.with_borrow_mut(|universe| {
        let Some(universe) = universe.take() else {
            return;
        };
        if !agreed {
            universe.world().abort(i32::from(code));
        }
        drop(ManuallyDrop::into_inner(universe));
    });
}

/// The seconds between Ctrl-C or SIGTERM and the kill by Open MPI's launcher. `None` with other launchers.
pub fn grace() -> Option<f64> {
    std::env::var_os("OMPI_COMM_WORLD_SIZE")?;
    let given = std::env::var("OMPI_MCA_odls_base_sigkill_timeout");
    Some(given.ok().and_then(|text| text.parse().ok()).unwrap_or(1.0))
}

/// The rank of this process among the processes of the job on this machine, counted from 0, and their number. 0 of
/// 1 if the launcher does not provide them.
pub fn rank_here() -> (usize, usize) {
    let number = |names: [&str; 2]| {
        let mut said = names.iter().filter_map(|name| std::env::var(name).ok());
        said.find_map(|text| text.parse().ok())
    };
    let rank = number(["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"]);
    let ranks = number(["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"]);
    (rank.unwrap_or(0), ranks.unwrap_or(1))
}

impl Mpi {
    fn count(&self) -> usize {
        self.world.size() as usize
    }

    /// Sends each rank its share of `sent`, and receives its own share from each.
    fn share_out(&mut self, half: bool) {
        self.received.resize(self.sent.len(), 0.0);
        if half {
            let [sent, received] = &mut self.half;
            narrowed(&self.sent, sent);
            received.resize(sent.len(), 0);
            self.world.all_to_all_into(&sent[..], &mut received[..]);
            widened(received, &mut self.received);
        } else {
            self.world
                .all_to_all_into(&self.sent[..], &mut self.received[..]);
        }
    }

    /// Gathers `sent` of all ranks in `received`. At most [`MAX_MESSAGE`] elements per rank.
    fn collect(&mut self, half: bool) {
        self.received.resize(self.sent.len() * self.count(), 0.0);
        if half {
            let [sent, received] = &mut self.half;
            narrowed(&self.sent, sent);
            received.resize(self.received.len(), 0);
            self.world.all_gather_into(&sent[..], &mut received[..]);
            widened(received, &mut self.received);
        } else {
            self.world
                .all_gather_into(&self.sent[..], &mut self.received[..]);
        }
    }
}

/// Converts to the bits of `f16`.
fn narrowed(values: &[f32], bits: &mut Vec<u16>) {
    bits.resize(values.len(), 0);
    bytemuck::cast_slice_mut::<u16, f16>(bits).convert_from_f32_slice(values);
}

/// Converts from the bits of `f16`.
fn widened(bits: &[u16], values: &mut [f32]) {
    bytemuck::cast_slice::<u16, f16>(bits).convert_to_f32_slice(values);
}

impl Collective for Mpi {
    fn ranks(&self) -> usize {
        self.count()
    }

    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn all_reduce(&mut self, values: &mut [f32], half: bool) -> Result<()> {
        let ranks = self.count();
        if ranks == 1 {
            return Ok(());
        }
        for part in values.chunks_mut(MAX_MESSAGE * ranks) {
            let share = part.len().div_ceil(ranks);
            self.sent.clear();
            self.sent.extend_from_slice(part);
            self.sent.resize(share * ranks, 0.0);
            self.share_out(half);
            self.sent.clear();
            self.sent.resize(share, 0.0);
            for of_rank in self.received.chunks_exact(share) {
                for (sum, x) in self.sent.iter_mut().zip(of_rank) {
                    *sum += x;
                }
            }
            self.collect(half);
            part.copy_from_slice(&self.received[..part.len()]);
        }
        Ok(())
    }

    fn all_gather(&mut self, values: &mut Vec<f32>, half: bool) -> Result<()> {
        let (ranks, len) = (self.count(), values.len());
        if len <= MAX_MESSAGE {
            std::mem::swap(&mut self.sent, values);
            self.collect(half);
            std::mem::swap(&mut self.received, values);
            return Ok(());
        }
        let mut all = vec![0.0; ranks * len];
        for start in (0..len).step_by(MAX_MESSAGE) {
            let part = start..len.min(start + MAX_MESSAGE);
            self.sent.clear();
            self.sent.extend_from_slice(&values[part.clone()]);
            self.collect(half);
            let received = self.received.chunks_exact(part.len());
            for (all, received) in all.chunks_exact_mut(len).zip(received) {
                all[part.clone()].copy_from_slice(received);
            }
        }
        *values = all;
        Ok(())
    }

    fn all_reduce_f64(&mut self, values: &mut [f64]) -> Result<()> {
        let mut all = vec![0.0; values.len() * self.count()];
        self.world.all_gather_into(&*values, &mut all[..]);
        let len = values.len();
        values.fill(0.0);
        for of_rank in all.chunks_exact(len) {
            for (sum, x) in values.iter_mut().zip(of_rank) {
                *sum += x;
            }
        }
        Ok(())
    }
}
