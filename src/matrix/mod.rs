//! Strided views of `f32` matrices and their product on the CPU, through the `gemm` crate.
//!
//! A training step on the CPU spends most of its time here, and `gemm` is 20 to 100 times as fast as plain loops.
//! Its functions take raw pointers, so this module contains `unsafe` code. The views check bounds once, keep the
//! pointers inside this module, and allow several threads to write blocks of columns of one row-major matrix.

mod blocks;
mod gemm;
mod view;

pub use blocks::{GroupBlock, Groups, RowBlocks, each_block, parts};
pub use gemm::{SMALL, multiply};
pub use view::{View, ViewMut};
