//! Checkpoints and the run folders that hold them.
//!
//! A checkpoint is one safetensors file with everything that a model and its training need. [`write()`] streams one tensor
//! after the other, so that a model is never in memory twice; [`Checkpoint`] maps a file into memory and checks what it
//! says. [`RunFolder`] keeps the files of one run: one process at a time, nothing overwritten, the newest and the best
//! checkpoints kept. What the tensors mean is not known here.

mod read;
mod run;
mod write;

pub use read::{Checkpoint, Tensor};
pub use run::{
    Found, Point, Record, RunFolder, Status, Which, find, is_begun, is_left, lock, read_record,
    run_name, run_of_config,
};
pub use write::{Dtype, Entry, Sink, write};
