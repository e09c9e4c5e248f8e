//! Checkpoints, and the run folders that contain them.
//!
//! A checkpoint is one safetensors file with everything that a model and its training need. [`write()`] writes one tensor after
//! another, so that a model is never in memory twice. [`Checkpoint`] memory-maps a file and checks its header. [`RunFolder`]
//! manages the files of one run: one process at a time, nothing is overwritten, the newest checkpoints and the best one are
//! kept. This module does not interpret the tensors.

mod find;
mod layout;
mod lock;
mod numbered;
mod own;
mod read;
mod record;
mod run_folder;
mod state;
mod write;

pub use find::{FoundCheckpoint, Which, find};
pub use layout::{
    REPORT, REPORT_MARK, checkpoints_in, config_path, has_run, metrics_path, run_of_checkpoint,
    run_of_config, runs_folder, step_of_checkpoint,
};
pub use lock::{is_lock, is_unlocked, lock_folder};
pub use numbered::run_name;
pub use read::{Checkpoint, Tensor};
pub use record::{RunRecord, SavedCheckpoint, Status};
pub use run_folder::RunFolder;
pub use state::run_of_file;
pub use write::{Dtype, Entry, Sink, write, write_output};
