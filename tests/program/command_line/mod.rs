//! Each command: exit codes, standard output, standard error, files.

mod bench;
mod cache;
mod devices;
mod errors;
mod eval;
mod generate;
mod marks;
mod output;
mod parameters;
mod plan;
mod proposals;
mod report;
mod rescore;
mod schedule;
mod score;
mod tools;
mod usage;
mod vocab;
mod words;
