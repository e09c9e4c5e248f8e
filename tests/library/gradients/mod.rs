//! Backward kernels against finite differences of the forward ones, and optimizers against their formulas, by the `f64`
//! twins alone. Fails for a kernel whose results no check compares, unless it declares why it needs none.
//!
//! A check is a function that its file names in [`tools::checks`], which makes a test of it.

mod embedding;
mod optimizers;
mod pointwise;
mod products;
mod reduce;
mod softmax;
mod tools;

use std::collections::BTreeSet;

use self::tools::Check;
use wlstm::kernels::catalogue;

/// The checks of all files.
const CHECKS: &[&[Check]] = &[
    embedding::CHECKS,
    optimizers::CHECKS,
    pointwise::CHECKS,
    products::CHECKS,
    reduce::CHECKS,
    softmax::CHECKS,
];

/// Some check compares the results of every twin, unless its kernel declares why it needs none.
#[test]
fn every_kernel_is_covered() {
    let checks = CHECKS.concat();
    let checked: BTreeSet<&str> = checks
        .iter()
        .flat_map(|kernels| kernels())
        .copied()
        .collect();
    for kernel in catalogue() {
        if kernel.form_of.is_some() || kernel.on_units_for.is_some() {
            // It has the twin of another kernel.
            continue;
        }
        match kernel.no_gradient {
            None => assert!(
                checked.contains(kernel.name),
                "{} has no gradient check: write one, or declare `no_gradient`",
                kernel.name
            ),
            Some(reason) => assert!(
                !reason.is_empty() && !checked.contains(kernel.name),
                "{} has a gradient check, or no reason to have none",
                kernel.name
            ),
        }
    }
}
