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
//! `shaders/pointwise/squared_relu.wgsl`, `src/kernels/pointwise/squared_relu.rs` and two lines in
//! `src/kernels/pointwise/mod.rs`: `pub mod squared_relu;` and the entry `&squared_relu::KERNEL` of `KERNELS`. The tests,
//! `wlstm validate` and both executors then use the kernel. In this example, both files are combined in one, and the kernel is
//! used without being registered:
//!
//! ```ignore
#![doc = include_str!("../tests/examples/kernel.rs")]
//! ```
//!
//! [`params!`](crate::params) expands to code that names the crate `bytemuck`. A crate that uses the macro needs this
//! dependency:
//!
//! ```toml
//! bytemuck = { version = "1", features = ["derive"] }
//! ```
//!
//! The precision of `exp`, `tanh` and `log` in WGSL depends on the driver. A shader that lists `&ACTIVATION` or `&LOGARITHM` in
//! [`Kernel::snippets`](crate::kernel::Kernel::snippets) calls functions with the same bits on every device instead:
//! `exp_of`, `tanh_of` and `sigmoid` ([`ACTIVATION`](crate::kernel::ACTIVATION)), and `ln_of`
//! ([`LOGARITHM`](crate::kernel::LOGARITHM)).
//!
//! In the crate, a kernel may also need `cpu` if its twin is slow, and `split` if its slices can exceed the largest binding of
//! a device. Every kernel, forward or backward, needs a check in `tests/library/gradients`, or
//! [`no_gradient`](crate::kernel::Kernel::no_gradient) with a reason if it is part of no loss.
//!
//! # Add an optimizer
//!
//! An optimizer is two files with its rule for one element. [`OPTIMIZERS`](crate::kernels::optimizer::OPTIMIZERS) lists them
//! all. All optimizers share the loop over rows, dense or sparse, the scale of the gradient and the test cases, in
//! `src/kernels/optimizer/row_update` and `shaders/shared/row_update.wgsl`. This is `src/kernels/optimizer/momentum.rs`:
//!
//! ```ignore
#![doc = include_str!("kernels/optimizer/momentum.rs")]
//! ```
//!
//! - [`Optimizer`](crate::kernels::optimizer::Optimizer) declares the states, each with its initial value, and the constants.
//!   `corrections` are two numbers that depend on the step, as in Adam.
//! - `fields!` takes the names of the constants, `bindings!` the names of the states, both in the order of the declaration.
//!   `dense_kernels!` takes the states too; its kernels also write the moving average of a dense parameter, its copy in `f16`,
//!   or both.
//! - `cases` takes the constants, a range of test values for each state, and the first elements of the input
//!   [`control`](crate::kernels::optimizer::control), of which element 0 is the learning rate.
//! - `kernel::<F<f32>, F<f64>, STATES, CONSTANTS>()` generates the rest of the kernel from a rule `F` and the numbers of states
//!   and constants.
//! - The trait `Rule<R, STATES, CONSTANTS>` has two methods. `new(constants, control)` reads the constants and `control` once
//!   per step. `update(weight, states, g)` returns the new weight and the new states of one element for the scaled gradient
//!   `g`.
//!
//! The shader has the same rule. Its `Params`, `Starts` and bindings are written from the declaration: a binding for each state,
//! and a field of `params` for each constant. `update(i, w, g)` updates four elements `i` of the states, whose weights are `w`, by
//! the scaled gradients `g`, and returns the new weights; the shared `main` calls it. This is `shaders/optimizer/momentum.wgsl`:
//!
//! ```wgsl
#![doc = include_str!("../shaders/optimizer/momentum.wgsl")]
//! ```
//!
//! Two lines in `src/kernels/optimizer/mod.rs` register it: `pub mod momentum;` and the entry `&momentum::OPTIMIZER` of
//! `OPTIMIZERS`. `train.optimizer = "momentum"` then selects it, and checkpoints store its states. Tests run every optimizer
//! on all devices. Add a test of the formula beside `momentum_formula` in `tests/library/gradients/optimizers.rs`, and a
//! predicted run in `tests/devices/prediction`. `INSTA_UPDATE=always cargo test --test library help` adds the states to the
//! help.
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
//! `INSTA_UPDATE=always cargo test --test library help` adds the cell to the tables of the help. The models of two tests are
//! listed by hand; add one with the new cell to each: the golden values ([`validate::golden`](crate::validate::golden), files
//! in `tests/golden`) and the predicted runs (`tests/devices/prediction`). The class `Layer` of `wlstm help interchange`
//! computes the gates of every cell in PyTorch. Add those of the new cell there, and a model with it to
//! `tests/interchange/check.py`.
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
