//! The list of all kernels, and which of them can replace another.

use super::{embedding, lstm, matmul, optimizer, pointwise, reduce, softmax};
use crate::kernel::{Halves, Kernel, UnitOperands};

/// Every kernel, folder by folder.
pub fn catalogue() -> impl Iterator<Item = &'static Kernel> {
    [
        matmul::KERNELS,
        matmul::FORMS,
        lstm::KERNELS,
        lstm::FORMS,
        embedding::KERNELS,
        softmax::KERNELS,
        reduce::KERNELS,
        pointwise::KERNELS,
        optimizer::KERNELS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The kernel itself, then its other forms that accept these halves.
pub fn forms(kernel: &'static Kernel, halves: Halves) -> impl Iterator<Item = &'static Kernel> {
    let others = catalogue().filter(move |other| is_form_of(other, kernel) && other.takes(halves));
    std::iter::once(kernel).chain(others)
}

/// Whether a kernel is a form of another one.
pub fn is_form(kernel: &Kernel) -> bool {
    kernel.form_of.is_some()
}

/// The kernel that replaces this one on matrix units for such operands, if there is one.
pub fn on_units(kernel: &Kernel, operands: UnitOperands) -> Option<&'static Kernel> {
    catalogue().find(|other| {
        other.on_units_for == Some(kernel) && other.requires.unit_operands == operands
    })
}

fn is_form_of(kernel: &Kernel, base: &Kernel) -> bool {
    kernel.form_of == Some(base)
}
