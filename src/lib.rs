//! wlstm trains LSTM language models, factorized (F-LSTM) and grouped (G-LSTM) ones above all, on any GPU that Vulkan,
//! Metal or DirectX 12 reaches, and on plain CPUs. The mathematics and the training recipe are those of O. Kuchaiev and
//! B. Ginsburg, *Factorization tricks for LSTM networks* (2017, arXiv 1703.10722).
//!
//! This page says how the crate is built. How the program is used stands in the README.
//!
//! # The idea
//!
//! A model is written once, as a graph of typed operations, and every operation has a hand-written backward rule beside
//! it. The graph becomes a [`Plan`](graph::plan::Plan): a flat, printable list of steps, each a kernel with its
//! parameters, slices of buffers and a grid, with the place of every buffer decided. A [`Kernel`](kernel::Kernel) is a
//! WGSL shader, its declared interface, a twin on the CPU and its test cases, under one name. Two executors run the same
//! plan: [`GpuExecutor`](device::GpuExecutor) through wgpu, and [`CpuExecutor`](device::CpuExecutor) with the twins and
//! a fast library for matrix products. Training, evaluation and generation work on plans, so none of them knows a device.
//!
//! # The way of the data
//!
//! ```text
//! config ──► model ──► graph ──► plan ──┐
//!                                       ├──► executor ──► train ──► job ──► cli
//! text ────► corpus ──► batches ────────┘
//! ```
//!
//! # Modules
//!
//! | module | what |
//! |---|---|
//! | [`tensor`], [`error`], [`random`], [`real`], [`digest`], [`numbers`], [`files`] | leaves: shapes and names; the error type; Philox; `f32` and `f64` alike; short names of bytes; numbers for people; files that appear whole or not at all |
//! | [`matrix`] | a leaf: strided views of `f32` matrices and their product on the CPU |
//! | [`kernel`] | a leaf: what a kernel is |
//! | [`kernels`] | the catalogue; mirrors the folder `shaders` file for file |
//! | [`graph`] | operations with their backward rules, memory by lifetime, plans |
//! | [`cell`] | the recurrent cells, one file each: all that is particular to a cell |
//! | [`device`] | adapters and their choice, the two executors; the only user of wgpu |
//! | [`corpus`] | vocabulary, memory-mapped text, batches, candidates of the sampled softmax |
//! | [`config`] | TOML and overrides in, one checked configuration out |
//! | [`model`] | configuration to graphs; the one table of parameters: name, shape, start, group, layout |
//! | [`train`] | the loop, update rules, schedules, evaluation, generation; the estimate of what a run takes |
//! | [`checkpoint`], [`metrics`] | safetensors files and run folders; `metrics.jsonl` |
//! | [`factorize`] | trained dense cells to factorized and grouped ones |
//! | [`interchange`] | models for PyTorch and ONNX, and from PyTorch |
//! | [`report`] | tables and plots for people |
//! | [`mod@bench`] | steps and kernels, timed |
//! | [`validate`] | kernels and training steps, held against references |
//! | [`job`] | the front door: a training from a configuration to a run folder; a trained model and its uses; a comparison |
//! | [`mod@help`] | the topics of `wlstm help` |
//! | `cli` | behind the feature `cli`, on by default: one file for each command, and everything that is printed |
//!
//! Imports run one way: leaves, then `kernel`, `kernels`, `graph`, then `device` and `model` side by side, then `train`,
//! `job` and `cli`. `corpus`, `config`, `checkpoint` and `metrics` stand beside them.
//!
//! # Invariants
//!
//! - Two runs of one configuration, seed and device give the same bits; a resumed run gives those of one that was never
//!   stopped. No kernel adds floats atomically, and no result depends on the number of threads.
//! - Random numbers come from counters ([`random`]): nothing about randomness is saved, and dropout masks are computed
//!   again, not stored.
//! - No memory of a GPU is allocated per step: buffers, pipelines and bind groups are made when a plan is loaded.
//! - Activations alias memory only where [`graph::memory`] says so, and every plan passes
//!   [`Plan::check`](graph::plan::Plan::check) before it runs.
//! - Gates are interleaved per unit inside and in four blocks i, j, f, o in files;
//!   [`ColumnLayout`](cell::ColumnLayout) is the one place that converts.
//! - What makes large models fit changes nothing that is computed: bindings of any size, tables on the host, goes. Devices and
//!   machines together compute what one device with all streams does (`train.recipe = "plain"`).
//! - A validation meets every target exactly once, with the full softmax; a sampled loss is never called a perplexity.
//! - A checkpoint and every other file of a run appears whole or not at all ([`files`]); only the metrics grow by lines.
//! - Whatever a user, a file or a device does wrong is an [`Error`](error::Error) with an exit code and a help; a panic
//!   is a bug of this crate.
//!
//! # What is not where
//!
//! - Nothing but `device` knows wgpu; `kernels`, `graph` and `model` are data and plain functions.
//! - `device` knows no model and no corpus; `corpus` knows no model and no device.
//! - Nothing but `corpus`, `config`, `files`, `checkpoint` and `metrics` opens files that a user names.
//! - Nothing but `cli` and `main` prints; the library logs through `tracing`.
//! - There is no automatic differentiation at run time: backward rules emit steps while a graph is built.
//!
//! # The library
//!
//! [`job`] is the front door: it does what the commands do. A program that trains on a text:
//!
//! ```ignore
#![doc = include_str!("../tests/examples/train.rs")]
//! ```
//!
//! A program that uses the model:
//!
//! ```ignore
#![doc = include_str!("../tests/examples/score.rs")]
//! ```
//!
//! [`tutorial`] has more examples: training steps without the loop, a kernel, a cell.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub mod bench;
pub mod cell;
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod corpus;
pub mod device;
pub mod digest;
pub mod error;
pub mod factorize;
pub mod files;
pub mod graph;
pub mod help;
pub mod interchange;
pub mod job;
pub mod kernel;
pub mod kernels;
pub mod matrix;
pub mod metrics;
pub mod model;
pub mod numbers;
pub mod random;
pub mod real;
pub mod report;
pub mod team;
pub mod tensor;
pub mod train;
pub mod tutorial;
pub mod validate;
