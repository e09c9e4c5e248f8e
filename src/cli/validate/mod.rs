//! `wlstm validate`: whether a device computes correctly.

mod args;
mod check;
mod document;
mod run;
mod tables;
mod text;

pub(super) use self::args::ValidateArgs;
pub(super) use self::run::run;
