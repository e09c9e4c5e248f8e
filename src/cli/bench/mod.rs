//! `wlstm bench`: how fast a device trains.

mod args;
mod baseline;
mod run;
mod steps;
mod tables;

pub(super) use self::args::BenchArgs;
pub(super) use self::run::run;
