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

/// `main` for a dense parameter with a moving average, a copy in `f16`, or both.
static DENSE_UPDATE: Snippet = Snippet {
    name: "dense_update",
    wgsl: include_str!("../../../../shaders/shared/dense_update.wgsl"),
};

static OF_ROWS: [&Snippet; 1] = [&ROW_UPDATE];
static DENSE: [&Snippet; 1] = [&DENSE_UPDATE];

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

/// The kernels of an optimizer that also update the moving average of a dense parameter, its copy in `f16`, and both, in this
/// order. From the name of its `KERNEL` and the names of its states.
macro_rules! dense_kernels {
    ($name:literal $(, $state:literal)*) => {
        [
            $crate::kernels::optimizer::row_update::dense_kernels!(
                @kernel concat!($name, " averaged"), [$($state),*], true, false,
                [$crate::kernel::Binding::read_write("average")]
            ),
            $crate::kernels::optimizer::row_update::dense_kernels!(
                @kernel concat!($name, " rounded"), [$($state),*], false, true,
                [$crate::kernel::Binding::write("rounded").or_half()]
            ),
            $crate::kernels::optimizer::row_update::dense_kernels!(
                @kernel concat!($name, " averaged rounded"), [$($state),*], true, true,
                [
                    $crate::kernel::Binding::read_write("average"),
                    $crate::kernel::Binding::write("rounded").or_half()
                ]
            ),
        ]
    };
    (@kernel $name:expr, [$($state:literal),*], $averages:literal, $rounds:literal, [$($more:expr),*]) => {
        $crate::kernel::Kernel {
            name: $name,
            bindings: &[
                $crate::kernel::Binding::read_write("weight"),
                $($crate::kernel::Binding::read_write($state),)*
                $crate::kernel::Binding::read("gradient"),
                $crate::kernel::Binding::read("control"),
                $crate::kernel::Binding::read("norm"),
                $($more),*
            ],
            cases: || {
                let cases = (KERNEL.cases)();
                $crate::kernels::optimizer::row_update::dense_cases(cases, $averages, $rounds)
            },
            ..$crate::kernels::optimizer::row_update::dense::<
                { <[&str]>::len(&[$($state),*]) },
                $averages,
                $rounds,
            >(&KERNEL)
        }
    };
}

pub(crate) use {bindings, dense_kernels, fields};

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

/// The kernel `base` of an optimizer for a dense parameter, which also updates the moving average, the copy in `f16`, or both;
/// except its name, bindings and cases.
pub(crate) const fn dense<const STATES: usize, const AVERAGES: bool, const ROUNDS: bool>(
    base: &Kernel,
) -> Kernel {
    Kernel {
        wgsl: base.wgsl,
        fields: base.fields,
        snippets: &DENSE,
        declares_interface: true,
        constants: |_| {
            vec![
                ("AVERAGES", u32::from(AVERAGES)),
                ("ROUNDS", u32::from(ROUNDS)),
            ]
        },
        grid: base.grid,
        work: Some(|raw, sizes| {
            let (params, []) = Params::and_constants(raw);
            // Reads the gradient, reads and writes the weight, the states and the average, writes the copy.
            let averages = usize::from(AVERAGES);
            let mut bytes = 4 * (1 + 2 * (1 + STATES + averages) as u64);
            if ROUNDS {
                bytes += sizes[1 + STATES + 3 + averages];
            }
            Work::without_product(params.capacity, params.width, bytes)
        }),
        split: Some(|raw, oversized| {
            let more = usize::from(AVERAGES) + usize::from(ROUNDS);
            Params::split(raw, 1 + STATES, more, oversized)
        }),
        twin: base.twin,
        cpu: base.cpu,
        ..Kernel::DEFAULT
    }
}

/// The update of a step: its tensors and its rule. The bindings are those of [`bindings`] or [`dense_kernels`].
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
        rounded: buffers.has("rounded").then(|| buffers.write("rounded")),
    };
    let rule = F::new(constants.map(R::from_f32), control);
    (update, rule)
}
