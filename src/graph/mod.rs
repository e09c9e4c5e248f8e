//! Compiles typed operations to a plan. This module does not depend on devices.
//!
//! | item | contents |
//! |---|---|
//! | [`Graph`] | values, parameters, their gradients and a tape of [`Operation`]s |
//! | [`operations`] | the operations, each with its forward and backward rule in one file |
//! | [`builder`] | tensors and steps, as operations emit them |
//! | [`split`] | cuts steps whose slices a device cannot bind |
//! | [`memory`] | assigns memory to activations by their lifetimes |
//! | [`plan`] | the result: a flat list of steps, and the check of the properties that executors rely on |
//! | [`rounding_plan()`] | the plan that writes the `f16` copies of parameters before the first step |
//!
//! An operation emits its forward steps when it is appended, and its backward steps when [`Graph::backward`] walks the tape
//! in reverse. [`Graph::finish`] splits, assigns memory, checks and returns a [`Plan`](plan::Plan).
//!
//! # Invariants
//!
//! - A value is a matrix `[rows, width]` of a time-major tensor. The first operation that contributes to its gradient assigns
//!   it, later ones add to it.
//! - The gradient of a parameter is dense, or sparse by rows with the row index as an input of the plan.
//! - After [`Graph::backward`] no operation is appended.

pub mod builder;
mod check;
mod gradient;
pub mod memory;
pub mod operations;
pub mod plan;
mod rounding;
pub mod split;
mod tape;
mod tape_gradients;

pub use gradient::Gradient;
pub use rounding::rounding_plan;
pub use tape::{Graph, Operation, Parameter, Value};
