//! The library as a Rust program uses it, on the CPU, and what must hold of its source text.

#[path = "../common/mod.rs"]
mod common;

mod checkpoint;
mod config;
mod corpus;
mod gradients;
mod layering;
mod metrics;
mod plans;
mod splits;
mod threads;
mod token_cache;
mod two_devices;
