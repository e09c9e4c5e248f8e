//! Matrix products.

use crate::kernel::Kernel;
/// The maximum number of elements of a product that the CPU computes in another order than larger ones.
pub use crate::matrix::SMALL;

pub(crate) mod form;
pub mod peak_units;
pub mod product;
pub mod product_f32x3;
pub mod product_split;
pub mod product_units;
pub mod sum_pieces;
mod table;

/// The kernels of this folder, without [`FORMS`].
pub static KERNELS: &[&Kernel] = &[
    &product::KERNEL,
    &product_split::KERNEL,
    &product_units::KERNEL,
    &product_f32x3::KERNEL,
    &sum_pieces::KERNEL,
    &peak_units::KERNEL,
];

/// The other forms of [`product`], [`product_units`] and [`product_f32x3`], in the order of their table.
pub static FORMS: &[&Kernel] = &{
    let mut all = [&TABLE[0]; TABLE.len()];
    let mut n = 1;
    while n < all.len() {
        all[n] = &TABLE[n];
        n += 1;
    }
    all
};

static TABLE: [Kernel; table::TABLE.len() - 2] = [
    product_form::<0>(),
    product_form::<1>(),
    product_form::<2>(),
    product_form::<3>(),
    product_form::<4>(),
    product_form::<5>(),
    product_form::<6>(),
    product_form::<7>(),
    product_form::<8>(),
    product_form::<9>(),
    units_form::<11>(),
    units_form::<12>(),
    units_form::<13>(),
    units_form::<14>(),
    units_form::<15>(),
    units_form::<16>(),
    units_form::<17>(),
    units_form::<18>(),
    units_form::<19>(),
    units_form::<20>(),
    split_form::<22>(),
    split_form::<23>(),
    split_form::<24>(),
    split_form::<25>(),
];

const fn product_form<const N: usize>() -> Kernel {
    Kernel {
        form_of: Some(&product::KERNEL),
        ..table::kernel::<N>()
    }
}

const fn units_form<const N: usize>() -> Kernel {
    Kernel {
        form_of: Some(&product_units::KERNEL),
        ..table::kernel::<N>()
    }
}

const fn split_form<const N: usize>() -> Kernel {
    Kernel {
        form_of: Some(&product_f32x3::KERNEL),
        ..table::kernel::<N>()
    }
}
