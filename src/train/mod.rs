//! Training: the loop, the update rules, the schedule, evaluation. Knows corpus, model and executors; prints nothing.
//!
//! | module | what |
//! |---|---|
//! | [`run`] | the loop, with limits, validation, checkpoints and resume |
//! | [`progress`] | where a run stands, as a checkpoint keeps it |
//! | [`session`] | a model on a device: plans, parameters in and out of files |
//! | [`prepare`] | what a step needs from the host, made ahead on another thread |
//! | [`tables`], [`slots`] | tables on the host: rows that travel, and where they are on the device |
//! | [`collective`] | collective operations between the processes of a run |
//! | [`update`] | norm, clipping, optimizer, moving average: the end of a training plan |
//! | [`schedule`] | the learning rate of a step |
//! | [`evaluate`] | perplexity of a text |
//! | [`estimate`] | what a run takes, before it takes it |
//! | [`score`] | log-probabilities of lines |
//! | [`generate`] | text from a model |
//! | [`sample`] | what a model makes up when its training has ended |
//! | [`watch`] | what a run tells those who watch it, and how they stop it |

mod checkpointer;
mod clock;
pub mod collective;
pub mod estimate;
pub mod evaluate;
pub mod generate;
#[cfg(feature = "mpi")]
pub mod mpi;
mod parts;
pub mod prepare;
pub mod progress;
pub mod run;
pub mod sample;
pub mod schedule;
pub mod score;
pub mod session;
pub mod slots;
mod streamed;
pub mod tables;
pub mod update;
pub mod watch;
