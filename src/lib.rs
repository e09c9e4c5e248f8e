//! wlstm trains LSTM language models on any GPU that supports Vulkan, Metal or DirectX 12, and on CPUs. Its cells
//! are the projected LSTM and the factorized (F-LSTM) and grouped (G-LSTM) forms of O. Kuchaiev and B. Ginsburg,
//! *Factorization tricks for LSTM networks* (2017, arXiv 1703.10722), whose training recipe it follows.
//!
//! This page describes how the crate is built. The README and [`mod@help`] describe the program; [`model`]
//! states what is computed.
//!
//! # The library
//!
//! The module [`job`] trains models and uses them, as the commands do. The next program trains a model. To run it,
//! put a file `text.txt` in the folder of the repository, and run `cargo run --release --example train`:
//!
//! ```ignore
#![doc = include_str!("../tests/examples/train.rs")]
//! ```
//!
//! This program uses the model (`cargo run --release --example score`):
//!
//! ```ignore
#![doc = include_str!("../tests/examples/score.rs")]
//! ```
//!
//! Another crate depends on the library, without the program, with these lines in its `Cargo.toml`:
//!
//! ```toml
//! [dependencies.wlstm]
//! path = "PATH/TO/REPOSITORY"
//! default-features = false
//! ```
//!
//! The folder `configs` exists only in the repository, so such a crate needs a configuration file of its own. It can also pass
//! the text of a configuration to [`Config::parse`](config::Config::parse), and the result to [`Job::new`](job::Job::new).
//! [`help::configuration`] lists the keys.
//!
//! [`tutorial`] has more examples: training steps without the training loop, a new kernel, a new optimizer, a new cell and a
//! new operation.
//!
//! # Design
//!
//! A model is written once, as a graph of typed operations, and every operation has a hand-written backward rule
//! beside it. The graph is compiled to a [`Plan`](graph::plan::Plan): a flat list of steps, which can be printed
//! as text. A step names a kernel, its parameters, slices of buffers and a grid of workgroups; the location of
//! every buffer is fixed. A [`Kernel`](kernel::Kernel) is a WGSL shader with its declared interface, a CPU
//! reference (its twin) and test cases, under one name. Two executors run the same plan:
//! [`GpuExecutor`](device::GpuExecutor) through wgpu, and [`CpuExecutor`](device::CpuExecutor) with twins and a
//! fast matrix multiplication library. Training, evaluation and generation work on plans, so none of them depends
//! on a device.
//!
//! # Data flow
//!
//! ```text
//! config ──► model ──► graph ──► plan ──┐
//!                                       ├──► executor ──► train ──► job ──► cli
//! text ────► corpus ──► batches ────────┘
//! ```
//!
//! # Modules
//!
//! | module | contents |
//! |---|---|
//! | [`tensor`], [`error`], [`random`], [`real`], [`digest`], [`numbers`], [`printable`], [`files`], [`team`] | leaves: shapes and tensor names, the error type, Philox, arithmetic over `f32` and `f64`, hashes, number formatting, text that is safe to show, atomic file writes, the CPU thread pool |
//! | [`matrix`] | strided views of `f32` matrices and their products on the CPU |
//! | [`kernel`] | the declaration of a kernel |
//! | [`kernels`] | all kernels; mirrors the folder `shaders` file by file |
//! | [`graph`] | operations with their backward rules, memory planning, plans |
//! | [`cell`] | the recurrent cells, one file each |
//! | [`config`] | a checked configuration from TOML and overrides; one entry per key |
//! | [`model`] | graphs from a configuration; the table of parameters: name, shape, initialiser, group, layout |
//! | [`corpus`] | vocabularies, memory-mapped text, batches, candidates of the sampled softmax |
//! | [`device`] | adapters, device selection, the two executors; the only user of wgpu |
//! | [`checkpoint`], [`metrics`] | safetensors files and run folders; `metrics.jsonl` and TensorBoard |
//! | [`train`] | sessions, the training loop, updates, schedules, evaluation, generation, memory estimates |
//! | [`factorize`] | conversion of trained dense cells to factorized and grouped cells |
//! | [`interchange`] | export to PyTorch and ONNX, import from PyTorch |
//! | [`report`] | tables, plots and HTML pages |
//! | [`mod@bench`], [`validate`] | timing of kernels and steps; comparison with references |
//! | [`job`] | training from a configuration to a run folder, trained models and their uses, comparisons |
//! | [`mod@help`], [`tutorial`] | the topics of `wlstm help`; how to extend the crate |
//! | `cli` | one file per command; behind the cargo feature `cli`, on by default |
//!
//! A module imports only modules in the rows above it or in its own row, and imports form no cycles between files.
//! `tests/library/layering` checks both.
//!
//! # Glossary
//!
//! | term | meaning |
//! |---|---|
//! | twin | the CPU reference of a kernel, in plain loops; the specification of its shader |
//! | form | one of several shaders of a kernel, all with bitwise identical results; tuning chooses the fastest |
//! | plan | the steps and buffers of a computation, independent of a device |
//! | arena | a buffer that activations share when they are not alive at the same time |
//! | unroll | the `T` time steps of truncated back-propagation that one training step covers |
//! | stream | one of the `B` sequences of a batch; its recurrent state is carried from step to step |
//! | mark | the boundary token of the order: `<S>` or `<eos>`; a literal mark is one that is written out in a text |
//! | micro-batch | a part of the batch whose gradients are accumulated before the update |
//! | piece | a part of a tensor that has its own buffer; also a part of the terms of a matrix product, added up afterwards |
//! | section | a part of the positions whose targets are in one cluster of an adaptive softmax; a step skips empty sections |
//! | slot | a row of the device's cache of a table that is kept in host memory |
//! | floor | the shortest time that a device could need, from its measured peaks: see [`mod@bench`] |
//! | block | the part of a matrix product that one workgroup computes |
//! | tile | the part of a block that a thread or a matrix unit computes at once; also the part of the vocabulary that the full softmax processes at once |
//!
//! Shapes use the same letters everywhere: `B` streams, `T` time steps, `V` words, `E` embedding size, `P`
//! projection size, `H` cells, `I` input size of a layer, `r` rank of an F-LSTM, `G` groups of a G-LSTM, `S`
//! sampled candidates, `N` devices. "Word" means a token of text.
//!
//! # How to add
//!
//! | what | files | lines elsewhere |
//! |---|---|---|
//! | a cell | `src/cell/NAME.rs`: key, parameters, gates, limits, ONNX nodes | `mod` and the entry of `CELLS` in `src/cell/mod.rs` |
//! | a form of gates | `src/graph/operations/layer/NAME.rs`: products and gradients | `mod` there, a variant of `Gates` in `description.rs` and its arm in `forward.rs` |
//! | an optimizer | `src/kernels/optimizer/NAME.rs` and `shaders/optimizer/NAME.wgsl`: state, initial values, rule, constants | `mod` and the entry of `OPTIMIZERS` in `src/kernels/optimizer/mod.rs`; a check of its formula in `tests/library/gradients/optimizers.rs` |
//! | a kernel | `src/kernels/FOLDER/NAME.rs` and `shaders/FOLDER/NAME.wgsl` | `mod` and the entry of `KERNELS` in the folder's `mod.rs`; a gradient check in `tests/library/gradients`, or `no_gradient` with a reason |
//! | a configuration key | none | one entry in `src/config/keys`, which declares type, default, documentation, rule and behaviour on `--resume` |
//! | a command | `src/cli/NAME.rs`: arguments, help, `run` | `mod` in `src/cli/mod.rs`, a line of `commands!` in `src/cli/command.rs`, and its name in the README |
//! | a help topic | `src/help/NAME.md` | a line of `topics!` in `src/help/mod.rs`, and its name in the README |
//!
//! A cell needs a new form of gates only if its gates are neither dense, factorized nor grouped products.
//!
//! Keys, cells and optimizers change the generated tables of `src/help`. `INSTA_UPDATE=always cargo test --test library help`
//! writes them. Review the difference before you commit it.
//!
//! Most tests cover new entries automatically: parity, contract and gradient tests iterate over the list of kernels, and tests
//! of configuration, help and resuming iterate over the keys. [`tutorial`] names the tests that a new cell or
//! optimizer must be added to.
//!
//! # Invariants
//!
//! - Two runs with the same configuration, seed and device give bitwise identical results, and so does a run that
//!   is stopped and resumed. No kernel adds floats atomically, and no result depends on the number of threads.
//! - Random numbers are functions of a counter ([`random`]). No random state is saved, and dropout masks are
//!   recomputed instead of stored.
//! - Running a plan allocates no device memory. Buffers, pipelines and bind groups are created when it is loaded.
//! - Activations share memory only as [`graph::memory`] decides, and every plan passes
//!   [`Plan::check`](graph::plan::Plan::check) before it runs.
//! - Gates are interleaved per cell in memory, and stored in four blocks i, j, f, o in files.
//!   [`ColumnLayout`](cell::ColumnLayout) is the only code that converts.
//! - Methods that fit large models into memory (small bindings, tables in host memory, micro-batches) do not
//!   change what is computed; small bindings can change how it is rounded. N devices with a batch of B compute
//!   what one device with a batch of N*B computes (`train.recipe = "plain"`).
//! - A validation covers every target of its text exactly once, or a subset sampled evenly from the whole text. It uses the
//!   exact probabilities of the model. A sampled loss is never reported as a perplexity.
//! - A checkpoint, and every other file of a run except `metrics.jsonl`, is complete or absent ([`files`]).
//! - An error caused by a user, a file or a device is an [`Error`](error::Error) with an exit code and advice. A panic is a bug.
//!
//! # Boundaries
//!
//! - Only `device` uses wgpu. It does not depend on `model` or `corpus`.
//! - `kernels`, `graph`, `cell` and `model` consist of data and pure functions. They use no device and no file.
//! - `corpus`, `config`, `checkpoint`, `metrics`, `report` and `job` open the user's files; `cli` reads the lines
//!   to score. `device` accesses its cache of tuning results, and reads files of the operating system: the
//!   available memory, and the installed Vulkan drivers.
//! - Only `cli` prints. The library logs through `tracing` and reports through the observer of a [`Job`](job::Job).
//! - There is no automatic differentiation at run time. Backward rules emit steps while a graph is built.
//!
//! # Robustness tests
//!
//! | where | what |
//! |---|---|
//! | `tests/fuzz` | fuzzers for the files that the library reads; see its README |
//! | `tests/program/kills` | processes killed at random moments |
//! | `tests/program/disk_full.rs` | full disks |
//! | `tests/program/bad_input/table.txt` | bad inputs with their exit codes, one per line |
//! | `tests/devices/lost.rs` | GPUs that fail in the middle of a run |
//! | `tests/soak HOURS` | all of these in rotation, for hours |

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
pub mod printable;
pub mod random;
pub mod real;
pub mod report;
pub mod team;
pub mod tensor;
pub mod train;
pub mod tutorial;
pub mod validate;
