//! The program from the outside: arguments, exit codes, standard output, standard error, files.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod command_line;
mod compare;
mod cutoffs;
mod dashboard;
mod disk_full;
mod examples;
mod factorize;
mod held_out;
mod kills;
mod leftovers;
mod own_files;
mod signals;
mod strangers;
mod validations;
