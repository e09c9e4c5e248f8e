//! Matrix products.

use crate::kernel::Kernel;
/// The maximum number of elements of a product that the CPU computes in another order than larger ones.
pub use crate::matrix::SMALL;

pub mod peak_units;
pub mod product;
pub mod product_split;
pub mod product_subgroup;
pub mod product_tiled;
pub mod product_units;
pub mod product_units_vector;
pub mod product_vector;
pub mod sum_pieces;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[
    &product::KERNEL,
    &product_split::KERNEL,
    &product_subgroup::KERNEL,
    &product_tiled::KERNEL,
    &product_tiled::TALL,
    &product_tiled::WIDE,
    &product_vector::KERNEL,
    &product_vector::WIDE,
    &product_units::KERNEL,
    &product_units::WIDE,
    &product_units_vector::KERNEL,
    &product_units_vector::TALL,
    &sum_pieces::KERNEL,
    &peak_units::KERNEL,
];
