//! Every shader, as naga parses it, against its declaration in Rust, and through every backend: SPIR-V (with `spirv-val`), MSL and
//! HLSL as wgpu generates them. So Metal and DirectX 12 are checked without such a device.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{Trial, left_out};
use libtest_mimic::Failed;
use naga::back::{hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{
    AddressSpace, ArraySize, Expression, Handle, Literal, Module, ResourceBinding, Scalar,
    ShaderStage, StorageAccess, Type, TypeInner, VectorSize,
};
use wlstm::kernel::{
    Access, Binding, Case, Constants, DeviceTraits, Fill, Halves, Kernel, MAX_BINDINGS, MAX_GRID,
    MatrixUnits, Workgroup,
};
use wlstm::kernels::catalogue;
use wlstm::tensor::Dtype;

type Outcome = Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("shaders_and_declarations_are_paired", paired),
        Trial::test("a_wrong_declaration_is_refused", wrong_declarations),
    ];
    let validator = Command::new("spirv-val").arg("--version").output().is_ok();
    for kernel in catalogue() {
        let name = |what| format!("{}::{what}", kernel.name);
        trials.push(Trial::test(name("cases"), || cases(kernel)));
        trials.push(Trial::test(name("interface"), || interface(kernel)));
        trials.push(Trial::test(name("msl"), || each(kernel, to_msl)));
        // naga knows no matrix units in HLSL, and wgpu lists none on DirectX 12.
        if !kernel.needs_units() {
            trials.push(Trial::test(name("hlsl"), || each(kernel, to_hlsl)));
        }
        trials.push(if validator {
            Trial::test(name("spirv"), || each(kernel, to_spirv))
        } else {
            left_out(name("spirv"), "spirv-val is not installed")
        });
    }
    trials
}

/// Fails with the message unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)*) => {
        if !$holds {
            return Err(Failed::from(format!($($message)*)));
        }
    };
}

/// The different constants that the cases of a kernel ask for, on every kind of device that meets its requirements.
fn constants(kernel: &Kernel) -> BTreeSet<Constants> {
    let device = |(fuses, side, subgroup)| DeviceTraits {
        fuses,
        unit: Some(unit(side, subgroup)),
        subgroup: kernel.requires.subgroup_size,
    };
    let devices = [
        (false, 16, 32),
        (true, 16, 64),
        (false, 16, 16),
        (false, 16, 8),
        (true, 8, 32),
        (false, 8, 8),
    ]
    .map(device);
    let meets = |device: &&DeviceTraits| kernel.requires.are_met_by(**device);
    let devices: Vec<&DeviceTraits> = devices.iter().filter(meets).collect();
    let of_case = |case: &Case| {
        let constants = (kernel.constants)(&case.params);
        devices
            .iter()
            .map(|device| [constants.clone(), kernel.device_constants(**device)].concat())
            .collect::<Vec<_>>()
    };
    (kernel.cases)().iter().flat_map(of_case).collect()
}

fn unit(side: u32, subgroup: u32) -> MatrixUnits {
    MatrixUnits {
        side,
        subgroup,
        workgroup_bytes: 32 << 10,
    }
}

/// What the validator allows for a kernel beyond what every device guarantees.
fn capabilities(kernel: &Kernel, halves: Halves) -> Capabilities {
    let units = kernel.needs_units();
    let mut capabilities = Capabilities::empty();
    capabilities.set(Capabilities::SHADER_FLOAT16, !halves.is_empty());
    capabilities.set(Capabilities::COOPERATIVE_MATRIX, units);
    let subgroups = units || kernel.requires.subgroup_size.is_some();
    capabilities.set(Capabilities::SUBGROUP, subgroups);
    capabilities
}

/// Parses and validates one variant, with the capabilities that its kernel declares and no others.
fn validated(
    kernel: &Kernel,
    constants: &Constants,
    aliased: bool,
    halves: Halves,
) -> Result<(Module, ModuleInfo), Failed> {
    let source = kernel.source(constants, aliased, halves);
    let module = naga::front::wgsl::parse_str(&source)
        .map_err(|error| error.emit_to_string_with_path(&source, kernel.name))?;
    let info = Validator::new(ValidationFlags::all(), capabilities(kernel, halves))
        .validate(&module)
        .map_err(|error| error.emit_to_string_with_path(&source, kernel.name))?;
    Ok((module, info))
}

/// The sets of `f16` bindings of a kernel that are checked: none, all that may be, and each alone.
fn halves(kernel: &Kernel) -> BTreeSet<Halves> {
    let each = |k: usize| {
        let types = kernel.bindings.iter().enumerate();
        Halves::of(types.map(|(n, binding)| {
            if binding.half && n == k {
                Dtype::Half
            } else {
                binding.dtype
            }
        }))
    };
    if kernel.needs_units() {
        // With and without a product in f16.
        let left_and_right = |k: usize| if k < 2 { Dtype::Half } else { Dtype::Real };
        let sums = Halves::of((0..kernel.bindings.len()).map(left_and_right));
        return [sums, kernel.all_halves()].into();
    }
    let alone = (0..kernel.bindings.len()).map(each);
    alone.chain([Halves::NONE, kernel.all_halves()]).collect()
}

/// Checks every variant of a kernel.
fn each(kernel: &Kernel, check: fn(&Module, &ModuleInfo, Halves) -> Outcome) -> Outcome {
    for constants in constants(kernel) {
        for halves in halves(kernel) {
            for aliased in [false, true] {
                let (module, info) = validated(kernel, &constants, aliased, halves)?;
                check(&module, &info, halves).map_err(|failed| {
                    let message = failed.message().unwrap_or_default();
                    format!("constants {constants:?}, aliased {aliased}, {halves:?}: {message}")
                })?;
            }
        }
    }
    Ok(())
}

/// The cases fit the declaration.
fn cases(kernel: &Kernel) -> Outcome {
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

/// The shader declares what Rust declares.
fn interface(kernel: &Kernel) -> Outcome {
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

fn entry_point(kernel: &Kernel, module: &Module) -> Outcome {
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
        ensure!(
            bytes <= 16 << 10,
            "{bytes} bytes of workgroup memory, more than 16 KiB"
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
    if let Some(left) = constant(module, "LEFT_EIGHTS") {
        let right = constant(module, "RIGHT_EIGHTS").expect("a number that the shader names");
        ensure!(
            left.max(right) <= 2 * x,
            "{x} threads stage two eights each of {left} and {right}"
        );
    }
    Ok(())
}

/// The shader uses what the kernel requires, and the validator has refused everything else.
fn requirements(kernel: &Kernel, module: &Module, halves: Halves) -> Outcome {
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
fn constant(module: &Module, name: &str) -> Option<u32> {
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

/// A struct of four-byte fields, one after the other.
fn words(module: &Module, ty: Handle<Type>, name: &str, fields: &[(&str, &str)]) -> Outcome {
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

/// A run-time sized array of what the binding holds.
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
        Dtype::Real | Dtype::Half => Scalar::F32,
        Dtype::Index => Scalar::U32,
    };
    let due = match binding.lanes {
        1 => TypeInner::Scalar(scalar),
        4 => TypeInner::Vector {
            size: VectorSize::Quad,
            scalar,
        },
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

fn stage() -> Option<(ShaderStage, String)> {
    Some((ShaderStage::Compute, "main".to_owned()))
}

/// Where each storage or uniform variable is bound, and whether it is uniform, and writable.
fn resources(module: &Module) -> impl Iterator<Item = (ResourceBinding, bool, bool)> {
    module.global_variables.iter().filter_map(|(_, variable)| {
        let uniform = variable.space == AddressSpace::Uniform;
        let writable = matches!(
            variable.space,
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE)
        );
        Some((variable.binding?, uniform, writable))
    })
}

/// As wgpu translates for Metal: each buffer in a slot, and one more with the lengths of the arrays.
fn to_msl(module: &Module, info: &ModuleInfo, _: Halves) -> Outcome {
    let bound = resources(module).map(|(place, _, mutable)| {
        let target = msl::BindTarget {
            buffer: Some(place.binding as u8),
            mutable,
            ..Default::default()
        };
        (place, target)
    });
    let slots = msl::EntryPointResources {
        resources: bound.collect(),
        immediates_buffer: None,
        sizes_buffer: Some(30),
    };
    let options = msl::Options {
        lang_version: (2, 4),
        per_entry_point_map: [("main".to_owned(), slots)].into(),
        fake_missing_bindings: false,
        bounds_check_policies: BoundsCheckPolicies {
            index: BoundsCheckPolicy::Restrict,
            buffer: BoundsCheckPolicy::Restrict,
            image_load: BoundsCheckPolicy::Restrict,
            binding_array: BoundsCheckPolicy::Unchecked,
        },
        ..Default::default()
    };
    let pipeline = msl::PipelineOptions {
        entry_point: stage(),
        ..Default::default()
    };
    let (text, translation) = msl::write_string(module, info, &options, &pipeline)?;
    for name in translation.entry_point_names {
        ensure!(text.contains(&name?), "the MSL has no entry point");
    }
    Ok(())
}

/// As wgpu translates for DirectX 12: uniforms in `b`, read-only buffers in `t`, the others in `u` registers, and the number of
/// workgroups in a constant buffer.
fn to_hlsl(module: &Module, info: &ModuleInfo, halves: Halves) -> Outcome {
    let target = |space, register| hlsl::BindTarget {
        space,
        register,
        restrict_indexing: true,
        ..Default::default()
    };
    // Shader model 6.2 introduced f16.
    let models: &[hlsl::ShaderModel] = if halves.is_empty() {
        &[hlsl::ShaderModel::V5_1, hlsl::ShaderModel::V6_0]
    } else {
        &[hlsl::ShaderModel::V6_2]
    };
    for &shader_model in models {
        let bound = resources(module).map(|(place, ..)| (place, target(0, place.binding)));
        let options = hlsl::Options {
            shader_model,
            binding_map: bound.collect(),
            fake_missing_bindings: false,
            special_constants_binding: Some(target(1, 0)),
            ..Default::default()
        };
        let pipeline = hlsl::PipelineOptions {
            entry_point: stage(),
        };
        let mut text = String::new();
        let reflection =
            hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None)?;
        for name in reflection.entry_point_names {
            ensure!(text.contains(&name?), "the HLSL has no entry point");
        }
    }
    Ok(())
}

/// As wgpu translates for Vulkan 1.1 and 1.2, with and without robust buffer access. `spirv-val` checks the result.
fn to_spirv(module: &Module, info: &ModuleInfo, _: Halves) -> Outcome {
    let checked = (
        BoundsCheckPolicy::Restrict,
        spv::ZeroInitializeWorkgroupMemoryMode::Polyfill,
    );
    let robust = (
        BoundsCheckPolicy::Unchecked,
        spv::ZeroInitializeWorkgroupMemoryMode::Native,
    );
    for (version, environment, (buffer, zero)) in [
        ((1, 3), "vulkan1.1", checked),
        ((1, 5), "vulkan1.2", robust),
    ] {
        let options = spv::Options {
            lang_version: version,
            bounds_check_policies: BoundsCheckPolicies {
                index: BoundsCheckPolicy::Restrict,
                buffer,
                image_load: BoundsCheckPolicy::Restrict,
                binding_array: BoundsCheckPolicy::Unchecked,
            },
            zero_initialize_workgroup_memory: zero,
            fake_missing_bindings: true,
            ..Default::default()
        };
        let pipeline = spv::PipelineOptions {
            shader_stage: ShaderStage::Compute,
            entry_point: "main".to_owned(),
        };
        let words = spv::write_vec(module, info, &options, Some(&pipeline))?;
        let file = tempfile::NamedTempFile::new()?;
        fs::write(
            file.path(),
            words
                .iter()
                .flat_map(|w| w.to_le_bytes())
                .collect::<Vec<u8>>(),
        )?;
        let output = Command::new("spirv-val")
            .args(["--target-env", environment])
            .arg(file.path())
            .output()?;
        // Validators before 2023.4 do not know the capability of matrix units.
        let unknown = b"Invalid capability operand: 6022";
        if output
            .stderr
            .windows(unknown.len())
            .any(|part| part == unknown)
        {
            continue;
        }
        ensure!(
            output.status.success(),
            "spirv-val for {environment}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Files below `folder` with this extension, as `folder/stem` names.
fn stems(
    folder: &Path,
    extension: &str,
    wanted: fn(&Path) -> bool,
) -> Result<BTreeSet<String>, Failed> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) && wanted(&path) {
                let stem = path.strip_prefix(folder)?.with_extension("");
                found.insert(stem.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    Ok(found)
}

/// Each kernel has one stem, two files and one line in a catalogue.
fn paired() -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shaders = stems(&root.join("shaders"), "wgsl", |path| {
        !path.components().any(|part| part.as_os_str() == "shared")
    })?;
    let declarations = stems(&root.join("src/kernels"), "rs", |path| {
        fs::read_to_string(path).is_ok_and(|text| text.contains("static KERNEL: Kernel = "))
    })?;
    let registered: Vec<&str> = catalogue().map(|kernel| kernel.name).collect();
    let names: BTreeSet<&str> = registered.iter().copied().collect();
    ensure!(names.len() == registered.len(), "two kernels have one name");
    // Forms with the same shader differ in what follows the stem.
    let stem = |name: &str| name.split(' ').next().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = registered.iter().map(|name| stem(name)).collect();
    for (what, stems) in [("shaders", &shaders), ("declarations", &declarations)] {
        let lone: Vec<_> = stems.symmetric_difference(&names).collect();
        ensure!(
            lone.is_empty(),
            "{what} and registered kernels differ in {lone:?}"
        );
    }
    for kernel in catalogue() {
        let file = fs::read_to_string(
            root.join("shaders")
                .join(stem(kernel.name))
                .with_extension("wgsl"),
        )?;
        ensure!(
            file == kernel.wgsl,
            "{} declares the text of another shader",
            kernel.name
        );
    }
    Ok(())
}

/// The checks above can fail: declarations that differ from their shader are refused.
fn wrong_declarations() -> Outcome {
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
