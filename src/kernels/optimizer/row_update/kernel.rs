//! The common parts of the kernels of all optimizers.

use super::params::Params;
use super::rows::{Rule, Update};
use crate::kernel::{Buffers, Kernel, Snippet, Twin, Work, grid_over};
use crate::real::Real;

/// `main`, which calls `update(i, g)` of the shader for each element `i` with the gradient `g`.
static ROW_UPDATE: Snippet = Snippet {
    name: "row_update",
    wgsl: include_str!("../../../../shaders/shared/row_update.wgsl"),
};

static SNIPPETS: [&Snippet; 1] = [&ROW_UPDATE];

/// The fields of an optimizer's kernel: those of [`Params`], then the constants of the rule.
macro_rules! fields {
    ($($constant:literal),*) => {
        &[
            ("capacity", "u32"),
            ("width", "u32"),
            ("sparse", "u32"),
            ("first", "u32"),
            ("base", "u32"),
            ("window", "u32"),
            ("clipped", "u32"),
            $(($constant, "f32")),*
        ]
    };
}

/// The bindings of an optimizer's kernel, from the names of its states.
macro_rules! bindings {
    ($($state:literal),*) => {
        &[
            $crate::kernel::Binding::read_write("weight"),
            $($crate::kernel::Binding::read_write($state),)*
            $crate::kernel::Binding::read("gradient"),
            $crate::kernel::Binding::index("rows"),
            $crate::kernel::Binding::read("control"),
            $crate::kernel::Binding::read("norm"),
        ]
    };
}

pub(crate) use {bindings, fields};

/// The kernel of a rule, except its name, shader, fields, bindings and cases.
pub(crate) const fn kernel<
    Single: Rule<f32, STATES, CONSTANTS>,
    Double: Rule<f64, STATES, CONSTANTS>,
    const STATES: usize,
    const CONSTANTS: usize,
>() -> Kernel {
    Kernel {
        snippets: &SNIPPETS,
        grid: |raw| {
            let (params, []) = Params::and_constants(raw);
            grid_over(params.capacity as usize * params.width as usize, 256)
        },
        work: Some(|raw, _| {
            let (params, []) = Params::and_constants(raw);
            // Reads the gradient, reads and writes the weight and the states.
            let bytes = 4 * (1 + 2 * (1 + STATES as u64));
            Work::without_product(params.capacity, params.width, bytes)
        }),
        split: Some(|raw, oversized| Params::split(raw, 1 + STATES, oversized)),
        twin: Twin {
            single: |raw, buffers| {
                let (update, rule) = step::<f32, Single, STATES, CONSTANTS>(raw, buffers);
                update.run(rule);
            },
            double: |raw, buffers| {
                let (update, rule) = step::<f64, Double, STATES, CONSTANTS>(raw, buffers);
                update.run(rule);
            },
        },
        cpu: Some(|raw, buffers| {
            let (update, rule) = step::<f32, Single, STATES, CONSTANTS>(raw, buffers);
            update.run_parallel(rule);
        }),
        ..Kernel::DEFAULT
    }
}

/// The update of a step: its tensors and its rule. The bindings are those of [`bindings`].
fn step<'a, R: Real, F: Rule<R, STATES, CONSTANTS>, const STATES: usize, const CONSTANTS: usize>(
    raw: &[u32],
    buffers: &mut Buffers<'a, R>,
) -> (Update<'a, R, STATES>, F) {
    let (params, constants) = Params::and_constants(raw);
    let update = Update {
        params: *params,
        weight: buffers.write("weight"),
        states: std::array::from_fn(|n| buffers.write(buffers.name(1 + n))),
        gradient: buffers.read("gradient"),
        rows: buffers.index("rows"),
        norm: buffers.read("norm"),
    };
    let rule = F::new(constants.map(R::from_f32), buffers.read("control"));
    (update, rule)
}
