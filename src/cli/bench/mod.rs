//! `wlstm bench`: how fast a device trains.

mod args;
mod run;
mod tables;

pub(super) use self::args::BenchArgs;
pub(super) use self::run::run;
