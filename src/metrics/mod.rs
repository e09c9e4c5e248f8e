//! `metrics.jsonl`: the events of a run, one JSON object per line, written as they occur.
//!
//! Numbers are written with the fewest digits that read back as the same number. JSON has no notation for infinity and NaN; they
//! are written as `null` and read as NaN. The same numbers are written for TensorBoard; see [`tensorboard`].

pub mod tensorboard;

mod gaps;
mod line;
mod read;
mod write;

pub use line::{End, Line, Sample, Skipped, Start, Step, Valid, is_unlearned};
pub use read::read;
pub use write::Writer;
