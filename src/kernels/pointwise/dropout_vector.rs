//! The form of [`super::dropout`] that moves vectors of four: for rows of whole vectors.

use crate::kernel::{Binding, Case, Kernel, Params as _, grid_over};

use super::dropout::{self, Params};

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "pointwise/dropout_vector",
    wgsl: include_str!("../../../shaders/pointwise/dropout_vector.wgsl"),
    bindings: &[
        Binding::read("x").vec4().or_half(),
        Binding::index("random"),
        Binding::write("y").vec4().or_half(),
    ],
    grid: |raw| grid_over(Params::of(raw).len as usize / 4, 64),
    supports: Some(|raw| {
        let params: &Params = Params::of(raw);
        let sizes = [params.len, params.first, params.row, params.stride];
        sizes.iter().all(|size| size.is_multiple_of(4))
    }),
    cases,
    form_of: Some(&dropout::KERNEL),
    ..dropout::BASE
};

fn cases() -> Vec<Case> {
    let mut cases = (dropout::BASE.cases)();
    cases.retain(|case| KERNEL.supports(&case.params));
    cases
}
