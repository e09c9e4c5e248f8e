//! Threads for work that takes microseconds.
//!
//! A training step on the CPU is some two hundred pieces of work in sequence, each divided among all threads,
//! many of them shorter than it takes to wake a sleeping thread. So the members of a [`Team`] wait actively
//! for a while before they sleep, as OpenMP does, and a member gets the same part of the work each time,
//! because its cache holds what it wrote the last time. On two cores of a virtual machine a step of a grouped
//! model took a third less than with `rayon`, which remains for work of milliseconds.
//!
//! The caller of [`each`] is the first member. Parts are assigned evenly in their order; a member that is
//! done takes parts from the end of another's. If a team is busy, because another thread uses it or a part
//! calls [`each`], the calling thread does all the work.
//!
//! No result may depend on who computes which part, so none depends on the number of threads.

mod bounds;
mod members;
mod parts;
mod shared;

pub use bounds::{Bounds, MAX_PARTS};
pub use members::{Team, each, threads};
pub use parts::{chunk_pairs, chunks, split};
