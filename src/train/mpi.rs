//! Several machines: the ranks of an MPI job are those of a run. Only with the cargo feature `mpi`.
//!
//! Sums are made in the order of the ranks, each rank those of its share, which moves as many bytes as the best sum of a library
//! and gives all ranks the same bits.
//!
//! A job ends together. Ranks that have agreed on the end say goodbye ([`finish`]); one that fails alone takes the others with it,
//! as they would wait for it for ever. A rank that dies is noticed by `mpirun`, which ends the others.

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
    /// What keeps MPI alive, on the thread that trains. Only [`finish`] ends it: the end of a thread that panics would wait for
    /// the other ranks, and these for it, where they are to hear of its death.
    static UNIVERSE: RefCell<Option<ManuallyDrop<Universe>>> = const { RefCell::new(None) };
}

/// The variables by which launchers say that this process is a rank of a job: Open MPI, MPICH and its kin, PMIx.
const LAUNCHED: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"];

/// The ranks of an MPI job.
pub struct Mpi {
    world: SimpleCommunicator,
    /// What is sent, and what has come.
    sent: Vec<f32>,
    come: Vec<f32>,
    narrow: [Vec<u16>; 2],
}

/// Joins the MPI job that this process is a rank of; nothing if it was started alone.
///
/// # Errors
///
/// [`Kind::Other`] if MPI cannot be started.
pub fn connect() -> Result<Option<Mpi>> {
    if LAUNCHED.iter().all(|name| std::env::var_os(name).is_none()) {
        return Ok(None);
    }
    // One thread talks, though there are others.
    let started = mpi::initialize_with_threading(mpi::Threading::Funneled);
    let Some((universe, threading)) = started else {
        return Err(Error::new(Kind::Other, "MPI was started already"));
    };
    if threading < mpi::Threading::Funneled {
        return Err(
            Error::new(Kind::Other, "this MPI library allows no threads beside it")
                .help("use one that was built with threads, as Open MPI is by default"),
        );
    }
    let world = universe.world();
    UNIVERSE.set(Some(ManuallyDrop::new(universe)));
    Ok(Some(Mpi {
        world,
        sent: Vec::new(),
        come: Vec::new(),
        narrow: [Vec::new(), Vec::new()],
    }))
}

/// Ends the part of this process in its job, if it has one: together with the others if all have agreed on that, else for all.
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

/// The seconds that Open MPI's launcher leaves its ranks after Ctrl-C or SIGTERM; nothing where another one has started them.
pub fn grace() -> Option<f64> {
    std::env::var_os("OMPI_COMM_WORLD_SIZE")?;
    let given = std::env::var("OMPI_MCA_odls_base_sigkill_timeout");
    Some(given.ok().and_then(|text| text.parse().ok()).unwrap_or(1.0))
}

/// Which of the ranks of the job on this machine this one is, from 0, and how many there are; the first of one where the launcher
/// does not say.
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

    /// Sends every rank its share of `sent`, and takes its own of all.
    fn share_out(&mut self, narrow: bool) {
        self.come.resize(self.sent.len(), 0.0);
        if narrow {
            let [sent, come] = &mut self.narrow;
            narrowed(&self.sent, sent);
            come.resize(sent.len(), 0);
            self.world.all_to_all_into(&sent[..], &mut come[..]);
            widened(come, &mut self.come);
        } else {
            self.world
                .all_to_all_into(&self.sent[..], &mut self.come[..]);
        }
    }

    /// Puts `sent` of all ranks one behind the other into `come`. At most [`MAX_MESSAGE`] elements.
    fn collect(&mut self, narrow: bool) {
        self.come.resize(self.sent.len() * self.count(), 0.0);
        if narrow {
            let [sent, come] = &mut self.narrow;
            narrowed(&self.sent, sent);
            come.resize(self.come.len(), 0);
            self.world.all_gather_into(&sent[..], &mut come[..]);
            widened(come, &mut self.come);
        } else {
            self.world
                .all_gather_into(&self.sent[..], &mut self.come[..]);
        }
    }
}

/// The bits of `f16`.
fn narrowed(values: &[f32], bits: &mut Vec<u16>) {
    bits.resize(values.len(), 0);
    bytemuck::cast_slice_mut::<u16, f16>(bits).convert_from_f32_slice(values);
}

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

    fn all_reduce(&mut self, values: &mut [f32], narrow: bool) -> Result<()> {
        let ranks = self.count();
        if ranks == 1 {
            return Ok(());
        }
        for part in values.chunks_mut(MAX_MESSAGE * ranks) {
            let share = part.len().div_ceil(ranks);
            self.sent.clear();
            self.sent.extend_from_slice(part);
            self.sent.resize(share * ranks, 0.0);
            self.share_out(narrow);
            self.sent.clear();
            self.sent.resize(share, 0.0);
            for of_rank in self.come.chunks_exact(share) {
                for (sum, x) in self.sent.iter_mut().zip(of_rank) {
                    *sum += x;
                }
            }
            self.collect(narrow);
            part.copy_from_slice(&self.come[..part.len()]);
        }
        Ok(())
    }

    fn all_gather(&mut self, values: &mut Vec<f32>, narrow: bool) -> Result<()> {
        let (ranks, len) = (self.count(), values.len());
        if len <= MAX_MESSAGE {
            std::mem::swap(&mut self.sent, values);
            self.collect(narrow);
            std::mem::swap(&mut self.come, values);
            return Ok(());
        }
        let mut all = vec![0.0; ranks * len];
        for start in (0..len).step_by(MAX_MESSAGE) {
            let part = start..len.min(start + MAX_MESSAGE);
            self.sent.clear();
            self.sent.extend_from_slice(&values[part.clone()]);
            self.collect(narrow);
            let come = self.come.chunks_exact(part.len());
            for (all, come) in all.chunks_exact_mut(len).zip(come) {
                all[part.clone()].copy_from_slice(come);
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
