//! Strided views of `f32` matrices and their product on the CPU.
//!
//! A training step on the CPU spends most of its time here. CPUs with AVX-512 or AVX2 compute tiles in vector registers, 20 to 100
//! times as fast as plain loops. Other CPUs, and all CPUs for small products, use the `gemm` crate. The results are bitwise
//! identical.
//!
//! The views check bounds once, keep their pointers inside this module, and allow several threads to write blocks of columns of
//! one row-major matrix, so this module contains `unsafe` code.

mod blocks;
mod gemm;
#[cfg(target_arch = "x86_64")]
mod pack;
#[cfg(target_arch = "x86_64")]
mod packed;
mod product;
#[cfg(target_arch = "x86_64")]
mod tile;
mod transpose;
mod view;

pub use blocks::{GroupBlock, Groups, RowBlocks, each_block, parts};
pub use gemm::SMALL;
pub use product::multiply;
pub use transpose::transpose;
pub use view::{View, ViewMut};
