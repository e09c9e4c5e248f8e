//! Kernels. A kernel is a WGSL shader, its declared interface, a CPU twin and its test cases, under one name.
//!
//! This module does not depend on wgpu, graphs or models.
//!
//! # The interface of a shader
//!
//! Every shader has one entry point `main` and one bind group:
//!
//! | binding | content |
//! |---|---|
//! | 0 | `var<uniform> params: Params`, the fields of the Rust `Params` |
//! | 1 | `var<uniform> starts: Starts`, one `u32` for each storage binding: the element where its slice begins |
//! | 2.. | the storage bindings, in the order of [`Kernel::bindings`] |
//!
//! A plan passes each binding a *slice* of a tensor. A slice may begin at any element, but devices bind buffers at multiples
//! of 256 bytes. The executor rounds the start of a slice down to such a multiple, and `starts` contains the number of
//! elements to skip. A twin receives the exact slices. The params of a kernel therefore need no offsets.
//!
//! `params` holds values that are constant for a plan. Values that change at every step (seed, step, learning rate) are in small
//! buffers.
//!
//! # Text generation
//!
//! The text of a shader may contain directives, which repeat or omit lines depending on its constants. [`Kernel::source`] expands
//! them. A directive is a line that begins with `#`:
//!
//! | line | meaning |
//! |---|---|
//! | `#for i in A..B` | repeats the lines up to its `#end` for each number from `A` to `B - 1` |
//! | `#for side in left right` | repeats them for each word |
//! | `#if EXPRESSION`, `#else`, `#end` | keeps the lines before `#else` if the expression is not 0, otherwise those after it |
//!
//! In a loop over `i`, `{i}` is replaced by its value, and an expression such as `{4*i+1}` by its result. In a loop over `side`,
//! `{side}` is replaced by the word, and `{SIDE}` by the word in upper case. No space follows the brace. Expressions consist of
//! numbers, loop variables, the shader's constants (`const NAME: u32 = ...;` or `bool`), the operators of WGSL, and `select`,
//! `min` and `max`. A misspelt directive panics.
//!
//! # Invariants
//!
//! - A slice that a step writes overlaps no other slice of that step.
//! - Two runs of a kernel on the same input give bitwise identical results: there is no atomic float addition, and
//!   the order of every sum is fixed.
//! - A twin defines no constants: it reads the same `Params` as the shader.

mod binding;
mod buffers;
mod case;
mod change;
mod declaration;
mod grid;
mod halves;
mod interface;
mod params;
mod requirements;
mod snippet;
mod source;
mod split;
mod text;
mod work;

pub use binding::{Access, Binding, MAX_BINDINGS};
pub use buffers::{Buffer, Buffers, CpuFn, Twin};
pub use case::{Case, Fill};
pub use change::{Change, Changes};
pub use declaration::{Kernel, Reduce};
pub use grid::{MAX_GRID, grid_over};
pub use halves::{ElementSizes, Halves};
pub use params::Params;
pub use requirements::{DeviceTraits, MatrixUnits, Requirements, UnitOperands, Workgroup};
pub use snippet::{
    ACTIVATION, Constants, FUSED, LOGARITHM, PHILOX, Snippet, WORKGROUP, no_constants,
};
pub use split::{Oversized, PartialStep, RowSplit, Split};
pub use work::Work;
