//! The common parts of the kernels of all optimizers.

use super::params::Params;
use super::rows::{Rule, Update};
use crate::kernel::{Buffers, Kernel, Snippet, Twin, Work, grid_over};
use crate::kernels::optimizer::control;
use crate::real::Real;

/// `main` for rows, which calls `update(i, w, g)` of the shader for each element `i` with the weight `w` and the gradient `g`.
static ROW_UPDATE: Snippet = Snippet {
    name: "row_update",
    wgsl: include_str!("../../../../shaders/shared/row_update.wgsl"),
};

/// `main` for a dense parameter with a moving average.
static AVERAGED_UPDATE: Snippet = Snippet {
    name: "averaged_update",
    wgsl: include_str!("../../../../shaders/shared/averaged_update.wgsl"),
};

static OF_ROWS: [&Snippet; 1] = [&ROW_UPDATE];
static AVERAGED: [&Snippet; 1] = [&AVERAGED_UPDATE];

/// The elements that a workgroup updates.
const ELEMENTS: usize = 1024;

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

/// The bindings of the kernel that also updates the moving average.
macro_rules! averaged_bindings {
    ($($state:literal),*) => {
        &[
            $crate::kernel::Binding::read_write("weight"),
            $($crate::kernel::Binding::read_write($state),)*
            $crate::kernel::Binding::read("gradient"),
            $crate::kernel::Binding::read("control"),
            $crate::kernel::Binding::read("norm"),
            $crate::kernel::Binding::read_write("average"),
        ]
    };
}

pub(crate) use {averaged_bindings, bindings, fields};

/// The kernel of a rule, except its name, shader, fields, bindings and cases.
pub(crate) const fn kernel<
    Single: Rule<f32, STATES, CONSTANTS>,
    Double: Rule<f64, STATES, CONSTANTS>,
    const STATES: usize,
    const CONSTANTS: usize,
>() -> Kernel {
    Kernel {
        snippets: &OF_ROWS,
        declares_interface: true,
        grid: |raw| {
            let (params, []) = Params::and_constants(raw);
            grid_over(params.capacity as usize * params.width as usize, ELEMENTS)
        },
        work: Some(|raw, _| {
            let (params, []) = Params::and_constants(raw);
            // Reads the gradient, reads and writes the weight and the states.
            let bytes = 4 * (1 + 2 * (1 + STATES as u64));
            Work::without_product(params.capacity, params.width, bytes)
        }),
        split: Some(|raw, oversized| Params::split(raw, 1 + STATES, 0, oversized)),
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

/// The kernel of a rule for a dense parameter that also updates its moving average, with the shader and the fields of `base`;
/// except its name, bindings and cases.
pub(crate) const fn averaged<
    Single: Rule<f32, STATES, CONSTANTS>,
    Double: Rule<f64, STATES, CONSTANTS>,
    const STATES: usize,
    const CONSTANTS: usize,
>(
    base: &Kernel,
) -> Kernel {
    Kernel {
        wgsl: base.wgsl,
        fields: base.fields,
        snippets: &AVERAGED,
        work: Some(|raw, _| {
            let (params, []) = Params::and_constants(raw);
            // Reads the gradient, reads and writes the weight, the states and the average.
            let bytes = 4 * (1 + 2 * (2 + STATES as u64));
            Work::without_product(params.capacity, params.width, bytes)
        }),
        split: Some(|raw, oversized| Params::split(raw, 1 + STATES, 1, oversized)),
        ..kernel::<Single, Double, STATES, CONSTANTS>()
    }
}

/// The update of a step: its tensors and its rule. The bindings are those of [`bindings`] or [`averaged_bindings`].
fn step<'a, R: Real, F: Rule<R, STATES, CONSTANTS>, const STATES: usize, const CONSTANTS: usize>(
    raw: &[u32],
    buffers: &mut Buffers<'a, R>,
) -> (Update<'a, R, STATES>, F) {
    let (params, constants) = Params::and_constants(raw);
    let control = buffers.read("control");
    let decay = || control[control::EMA_DECAY];
    let update = Update {
        params: *params,
        weight: buffers.write("weight"),
        states: std::array::from_fn(|n| buffers.write(buffers.name(1 + n))),
        gradient: buffers.read("gradient"),
        rows: (params.sparse != 0).then(|| buffers.index("rows")),
        norm: buffers.read("norm"),
        average: buffers
            .has("average")
            .then(|| (decay(), buffers.write("average"))),
    };
    let rule = F::new(constants.map(R::from_f32), control);
    (update, rule)
}
