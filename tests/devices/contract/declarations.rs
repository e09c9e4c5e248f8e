//! The declaration of a kernel agrees with its shader.

use std::collections::BTreeSet;

use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{
    AddressSpace, ArraySize, Expression, Handle, Literal, Module, ResourceBinding, Scalar,
    ShaderStage, StorageAccess, Type, TypeInner, VectorSize,
};
use wlstm::kernel::{
    Access, Binding, Fill, Halves, Kernel, MAX_BINDINGS, MAX_GRID, Requirements, Workgroup,
};
use wlstm::tensor::Dtype;

use super::compile::{capabilities, halves, validated};
use super::tools::{Outcome, constants, ensure, unit};

/// The cases fit the declaration.
pub fn cases(kernel: &Kernel) -> Outcome {
    let cases = (kernel.cases)();
    ensure!(!cases.is_empty(), "no cases");
    let labels: BTreeSet<&str> = cases.iter().map(|case| case.label).collect();
    ensure!(labels.len() == cases.len(), "two cases have one label");
    for case in &cases {
        let label = case.label;
        ensure!(
            case.params.len() == kernel.fields.len(),
            "{label}: number of params"
        );
        ensure!(
            case.buffers.len() == kernel.bindings.len(),
            "{label}: number of buffers"
        );
        let grid = (kernel.grid)(&case.params);
        ensure!(
            grid.iter().all(|side| (1..=MAX_GRID).contains(side)),
            "{label}: grid {grid:?}"
        );
        for (binding, fill) in kernel.bindings.iter().zip(&case.buffers) {
            let name = binding.name;
            let index = matches!(fill, Fill::Indices(_));
            ensure!(
                index == (binding.dtype == Dtype::Index),
                "{label}: type of `{name}`"
            );
            ensure!(!fill.is_empty(), "{label}: `{name}` is empty");
            ensure!(
                fill.len() % binding.lanes == 0,
                "{label}: `{name}` ends within a vector"
            );
            let output = matches!(fill, Fill::Output(_));
            ensure!(
                !output || binding.access != Access::Read,
                "{label}: `{name}` is read as NaN"
            );
            ensure!(
                output || binding.access != Access::Write,
                "{label}: `{name}` must be poisoned"
            );
        }
    }
    Ok(())
}

/// The shader and Rust declare the same.
pub fn interface(kernel: &Kernel) -> Outcome {
    ensure!(
        kernel.bindings.len() <= MAX_BINDINGS,
        "more than {MAX_BINDINGS} bindings"
    );
    let names: BTreeSet<&str> = kernel.bindings.iter().map(|binding| binding.name).collect();
    ensure!(
        names.len() == kernel.bindings.len(),
        "two bindings have one name"
    );
    for constants in constants(kernel) {
        for halves in halves(kernel) {
            for aliased in [false, true] {
                let (module, _) = validated(kernel, &constants, aliased, halves)?;
                entry_point(kernel, &module)?;
                requirements(kernel, &module, halves)?;
                declared(kernel, &module, aliased, halves)?;
            }
        }
    }
    Ok(())
}

pub fn entry_point(kernel: &Kernel, module: &Module) -> Outcome {
    ensure!(
        module.overrides.is_empty(),
        "overrides are not set by anybody: use const lines"
    );
    ensure!(module.entry_points.len() == 1, "not one entry point");
    let entry = &module.entry_points[0];
    ensure!(
        entry.name == "main",
        "the entry point is `{}`, not `main`",
        entry.name
    );
    ensure!(entry.stage == ShaderStage::Compute, "not a compute shader");
    let [x, y, z] = entry.workgroup_size;
    ensure!(
        x <= 256 && y == 1 && z == 1,
        "workgroup {x} x {y} x {z}: one side, at most 256"
    );
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx())?;
    let shared = module.global_variables.iter();
    let bytes: u32 = shared
        .filter(|(_, variable)| variable.space == AddressSpace::WorkGroup)
        .map(|(_, variable)| layouter[variable.ty].size)
        .sum();
    let Some(workgroup) = kernel.requires.matrix_units else {
        let allowed = Requirements::WORKGROUP_BYTES;
        let due = kernel.requires.workgroup_bytes;
        ensure!(
            if due == 0 {
                bytes <= allowed
            } else {
                bytes == due && due > allowed
            },
            "{bytes} bytes of workgroup memory in the shader and {due} in Rust"
        );
        return Ok(());
    };
    let [side, subgroup] = ["UNIT", "SUBGROUP"]
        .map(|name| constant(module, name).expect("a number that the shader names"));
    let found = Some(Workgroup { threads: x, bytes });
    let due = workgroup(unit(side, subgroup));
    ensure!(
        found == due,
        "the workgroup is {found:?} in the shader and {due:?} in Rust"
    );
    Ok(())
}

/// The shader uses what the kernel requires, and the validator has refused everything else.
pub fn requirements(kernel: &Kernel, module: &Module, halves: Halves) -> Outcome {
    let declared = capabilities(kernel, halves);
    for capability in [Capabilities::COOPERATIVE_MATRIX, Capabilities::SUBGROUP] {
        let without = declared.difference(capability);
        let mut validator = Validator::new(ValidationFlags::all(), without);
        ensure!(
            !declared.contains(capability) || validator.validate(module).is_err(),
            "{capability:?} is required and not used"
        );
    }
    let (found, due) = (
        constant(module, "SUBGROUP_LANES"),
        kernel.requires.subgroup_size,
    );
    ensure!(
        found == due,
        "subgroups of {found:?} threads in the shader and {due:?} in Rust"
    );
    Ok(())
}

/// The value of a constant of a shader.
pub fn constant(module: &Module, name: &str) -> Option<u32> {
    let mut constants = module.constants.iter();
    let (_, constant) = constants.find(|(_, constant)| constant.name.as_deref() == Some(name))?;
    match module.global_expressions[constant.init] {
        Expression::Literal(Literal::U32(value)) => Some(value),
        _ => None,
    }
}

fn declared(kernel: &Kernel, module: &Module, aliased: bool, halves: Halves) -> Outcome {
    let mut variables = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| Some((variable.binding?, variable)))
        .collect::<Vec<_>>();
    variables.sort_by_key(|(place, _)| (place.group, place.binding));
    let count = kernel.bindings.len() + 2;
    ensure!(
        variables.len() == count,
        "{} bindings, not {count}",
        variables.len()
    );
    for (k, (place, variable)) in variables.into_iter().enumerate() {
        let at = ResourceBinding {
            group: 0,
            binding: k as u32,
        };
        ensure!(place == at, "binding {place:?} where {at:?} is due");
        let name = variable.name.as_deref().unwrap_or_default();
        if k < 2 {
            let due = ["params", "starts"][k];
            ensure!(name == due, "binding {k} is `{name}`, not `{due}`");
            ensure!(
                variable.space == AddressSpace::Uniform,
                "`{name}` is not uniform"
            );
            let starts: Vec<_> = kernel.bindings.iter().map(|b| (b.name, "u32")).collect();
            let fields = if k == 0 {
                kernel.fields
            } else {
                starts.as_slice()
            };
            words(module, variable.ty, ["Params", "Starts"][k], fields)?;
            continue;
        }
        let binding = &kernel.bindings[k - 2];
        ensure!(
            name == binding.name,
            "binding {k} is `{name}`, not `{}`",
            binding.name
        );
        ensure!(
            !matches!(name, "A" | "B" | "C"),
            "`{name}` is a name that some backends take"
        );
        let mut access = StorageAccess::LOAD;
        if aliased || binding.access != Access::Read {
            access |= StorageAccess::STORE;
        }
        let space = AddressSpace::Storage { access };
        ensure!(
            variable.space == space,
            "`{name}` is {:?}, not {space:?}",
            variable.space
        );
        element(module, variable.ty, binding, halves.has(k - 2))?;
    }
    Ok(())
}

/// A struct of contiguous four-byte fields.
pub fn words(module: &Module, ty: Handle<Type>, name: &str, fields: &[(&str, &str)]) -> Outcome {
    let ty = &module.types[ty];
    ensure!(
        ty.name.as_deref() == Some(name),
        "{:?} is not `{name}`",
        ty.name
    );
    let TypeInner::Struct { members, .. } = &ty.inner else {
        return Err(format!("`{name}` is not a struct").into());
    };
    let found: Vec<(&str, TypeInner, u32)> = members
        .iter()
        .map(|member| {
            let inner = module.types[member.ty].inner.clone();
            (
                member.name.as_deref().unwrap_or_default(),
                inner,
                member.offset,
            )
        })
        .collect();
    let due: Vec<(&str, TypeInner, u32)> = fields
        .iter()
        .zip((0..).step_by(4))
        .map(|((name, kind), offset)| {
            let scalar = if *kind == "f32" {
                Scalar::F32
            } else {
                Scalar::U32
            };
            (*name, TypeInner::Scalar(scalar), offset)
        })
        .collect();
    ensure!(
        found == due,
        "`{name}` is {found:?} in the shader and {due:?} in Rust"
    );
    Ok(())
}

/// A run-time sized array with the element type of the binding.
fn element(module: &Module, ty: Handle<Type>, binding: &Binding, half: bool) -> Outcome {
    let TypeInner::Array {
        base,
        size: ArraySize::Dynamic,
        ..
    } = module.types[ty].inner
    else {
        return Err(format!("`{}` is not a run-time sized array", binding.name).into());
    };
    let scalar = match binding.dtype {
        Dtype::Real if half => Scalar::F16,
        Dtype::Real => Scalar::F32,
        Dtype::Half => Scalar::F16,
        Dtype::Index => Scalar::U32,
    };
    let vector = |scalar| TypeInner::Vector {
        size: VectorSize::Quad,
        scalar,
    };
    let due = match binding.lanes {
        1 => TypeInner::Scalar(scalar),
        4 => vector(scalar),
        8 if half => vector(Scalar::U32),
        lanes => return Err(format!("`{}` has {lanes} lanes", binding.name).into()),
    };
    let found = &module.types[base].inner;
    ensure!(
        *found == due,
        "`{}` holds {found:?}, not {due:?}",
        binding.name
    );
    Ok(())
}

/// The checks above can fail: declarations that differ from their shader are refused.
pub fn wrong_declarations() -> Outcome {
    let right = &wlstm::kernels::pointwise::add::KERNEL;
    let (module, _) = validated(right, &Vec::new(), false, Halves::NONE)?;
    declared(right, &module, false, Halves::NONE)?;
    const FIELDS: &[(&str, &str)] = &[("len", "u32")];
    let refuse = |what: &str, fields, bindings| {
        let kernel = Kernel {
            name: "wrong",
            wgsl: right.wgsl,
            snippets: right.snippets,
            fields,
            bindings,
            constants: right.constants,
            grid: right.grid,
            twin: wlstm::kernel::Twin {
                single: right.twin.single,
                double: right.twin.double,
            },
            cases: right.cases,
            ..Kernel::DEFAULT
        };
        ensure!(
            declared(&kernel, &module, false, Halves::NONE).is_err(),
            "{what} is accepted"
        );
        Ok(())
    };
    const X: Binding = Binding::read("x");
    const Y: Binding = Binding::read("y");
    const SUM: Binding = Binding::write("sum");
    refuse("another field type", &[("len", "f32")], right.bindings)?;
    refuse("another field name", &[("length", "u32")], right.bindings)?;
    refuse(
        "a field too many",
        &[("len", "u32"), ("more", "u32")],
        right.bindings,
    )?;
    refuse("another order", FIELDS, const { &[Y, X, SUM] })?;
    refuse("a missing binding", FIELDS, const { &[X, Y] })?;
    refuse(
        "another access",
        FIELDS,
        const { &[X, Binding::write("y"), SUM] },
    )?;
    refuse(
        "another element",
        FIELDS,
        const { &[X, Binding::index("y"), SUM] },
    )?;
    refuse(
        "vectors",
        FIELDS,
        const { &[X, Y, Binding::write("sum").vec4()] },
    )
}
