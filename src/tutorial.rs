//! How to extend the crate. The tests run all examples.
//!
//! The [first page of the crate](crate#the-library) shows how to train and use a model.
//!
//! # Train step by step
//!
//! A [`Job`](crate::job::Job) runs a loop around these steps, with validation, checkpoints and limits:
//!
//! ```ignore
#![doc = include_str!("../tests/examples/steps.rs")]
//! ```
//!
//! # Add a kernel
//!
//! A kernel is a WGSL shader, its interface, a twin on the CPU and its test cases. In the crate, these are
//! `shaders/pointwise/squared_relu.wgsl`, `src/kernels/pointwise/squared_relu.rs` and one line in the `KERNELS` of
//! `src/kernels/pointwise/mod.rs`. The tests, `wlstm validate` and both executors then use the kernel. In this example, both
//! files are combined in one, and the kernel is used without being registered:
//!
//! ```ignore
#![doc = include_str!("../tests/examples/kernel.rs")]
//! ```
//!
//! In the crate, a kernel may also need `cpu` if its twin is slow, `split` if its slices can exceed the largest
//! binding of a device, and a backward kernel, which `tests/library/gradients` compares with finite differences.
//!
//! # Add a cell
//!
//! A cell is one file that implements [`CellKind`](crate::cell::CellKind): its name and key in the configuration, its
//! parameters, the form of its gates and its ONNX nodes. Two lines in `src/cell/mod.rs` register it: `mod flstm;` and the entry
//! `&Flstm` of [`CELLS`](crate::cell::CELLS). Configuration, help, costs, comparisons and exports then know the cell. This is
//! `src/cell/flstm.rs`:
//!
//! ```ignore
#![doc = include_str!("cell/flstm.rs")]
//! ```
//!
//! A cell with gates of a new form, or another recurrence than that of the [cells](crate::cell), needs a new operation.
//!
//! # Add an operation
//!
//! An operation of the graph is a function and a backward rule. The function emits the forward steps and records
//! what the backward rule needs. The backward rule emits the backward steps. Both executors can run these steps.
//! The example is J. Elman's recurrent layer (1990), `h[t] = tanh(x[t] W + h[t-1] U + b)`: first its two kernels,
//! then the operation.
//!
//! ```ignore
#![doc = include_str!("../tests/examples/operation.rs")]
//! ```
