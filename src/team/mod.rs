//! Threads for work that takes microseconds.
//!
//! A training step on the CPU consists of about two hundred pieces of work in sequence, each divided among all
//! threads. Many of them take less time than waking a sleeping thread. The members of a [`Team`] therefore spin
//! for a while before they sleep, as in OpenMP. A member gets the same part of the work each time, because its
//! cache contains what it wrote before. On two cores of a virtual machine a step of a grouped model took a third
//! less time than with `rayon`, which is still used for work of milliseconds.
//!
//! The caller of [`each`] is the first member. Parts are assigned evenly in their order; a member that is
//! done takes parts from the end of another's. If a team is busy, because another thread uses it or a part
//! calls [`each`], the calling thread does all the work.
//!
//! No result may depend on which thread computes a part, so that results do not depend on the number of threads.

mod bounds;
mod members;
mod parts;
mod pool;
mod shared;

pub use bounds::{Bounds, MAX_PARTS};
pub use members::{Team, each, threads};
pub use parts::{chunk_pairs, chunks, split};
pub use pool::start;
