//! The form of [`super::accumulate_rows`] that moves vectors of four: for rows of whole vectors.

use crate::kernel::{Binding, Case, Kernel, Params as _, grid_over};

use super::accumulate_rows::{self, Params};

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "embedding/accumulate_rows_vector",
    wgsl: include_str!("../../../shaders/embedding/accumulate_rows_vector.wgsl"),
    bindings: &[
        Binding::read("source").vec4().or_half(),
        Binding::index("rows"),
        Binding::read_write("gradient").vec4(),
    ],
    grid: |raw| {
        let params: &Params = Params::of(raw);
        grid_over(params.capacity as usize * params.width as usize / 4, 256)
    },
    supports: Some(|raw| Params::of(raw).width.is_multiple_of(4)),
    cases,
    form_of: Some(&accumulate_rows::KERNEL),
    ..accumulate_rows::BASE
};

fn cases() -> Vec<Case> {
    let mut cases = (accumulate_rows::BASE.cases)();
    cases.retain(|case| KERNEL.supports(&case.params));
    cases
}
