//! The public interface of the library, on the CPU, and rules for its source text.

#[path = "../common/mod.rs"]
mod common;

mod adaptive;
mod changes;
mod checkpoint;
mod config;
mod corpus;
mod documentation;
mod files;
mod fuzzers;
mod gradients;
mod help;
mod hostile;
mod layering;
mod metrics;
mod plans;
mod splits;
mod threads;
mod token_cache;
mod two_devices;
