//! The form of [`super::gather`] that moves vectors of four: for rows of whole vectors.

use crate::kernel::{Binding, Case, Kernel, Params as _, grid_over};

use super::gather::{self, Params};

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "embedding/gather_vector",
    wgsl: include_str!("../../../shaders/embedding/gather_vector.wgsl"),
    bindings: &[
        Binding::read("table").vec4(),
        Binding::index("ids"),
        Binding::read_write("y").vec4().or_half(),
    ],
    grid: |raw| {
        let params: &Params = Params::of(raw);
        grid_over(params.rows as usize * params.width as usize / 4, 256)
    },
    supports: Some(|raw| Params::of(raw).width.is_multiple_of(4)),
    cases,
    form_of: Some(&gather::KERNEL),
    ..gather::BASE
};

fn cases() -> Vec<Case> {
    let mut cases = (gather::BASE.cases)();
    cases.retain(|case| KERNEL.supports(&case.params));
    cases
}
