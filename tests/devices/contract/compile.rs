//! Shaders compile to the languages of every backend.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use libtest_mimic::Failed;
use naga::back::{hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ResourceBinding, ShaderStage, StorageAccess};
use wlstm::kernel::{Constants, Halves, Kernel, UnitOperands};
use wlstm::tensor::Dtype;

use super::declarations::constant;
use super::tools::{Outcome, constants, ensure};

/// What the validator allows for a kernel beyond what every device guarantees.
pub fn capabilities(kernel: &Kernel, halves: Halves) -> Capabilities {
    let units = kernel.needs_units();
    let split = units && kernel.requires.unit_operands == UnitOperands::Split;
    // `unpack2x16float`, which WGSL guarantees.
    let mut capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    capabilities.set(Capabilities::SHADER_FLOAT16, split || !halves.is_empty());
    capabilities.set(Capabilities::COOPERATIVE_MATRIX, units);
    let subgroups = units || kernel.requires.subgroup_size.is_some();
    capabilities.set(Capabilities::SUBGROUP, subgroups);
    capabilities
}

/// Parses and validates one variant, with the capabilities that its kernel declares and no others.
pub fn validated(
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
pub fn halves(kernel: &Kernel) -> BTreeSet<Halves> {
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
        return match kernel.requires.unit_operands {
            UnitOperands::Split => [Halves::NONE].into(),
            // With and without a product in f16.
            UnitOperands::Halves => {
                let left_and_right = |k: usize| if k < 2 { Dtype::Half } else { Dtype::Real };
                let sums = Halves::of((0..kernel.bindings.len()).map(left_and_right));
                [sums, kernel.all_halves()].into()
            }
        };
    }
    let alone = (0..kernel.bindings.len()).map(each);
    alone.chain([Halves::NONE, kernel.all_halves()]).collect()
}

/// Checks every variant of a kernel.
pub fn each(kernel: &Kernel, check: fn(&Module, &ModuleInfo, Halves) -> Outcome) -> Outcome {
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

/// As wgpu translates for Metal: each buffer in a slot, and one more with the lengths of the arrays.
pub fn to_msl(module: &Module, info: &ModuleInfo, _: Halves) -> Outcome {
    // Variants with tiles in vectors run on Vulkan only: naga's MSL for them is wrong.
    if constant(module, "VECTOR_BYTES").is_some_and(|bytes| bytes > 2) {
        return Ok(());
    }
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
pub fn to_hlsl(module: &Module, info: &ModuleInfo, halves: Halves) -> Outcome {
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
pub fn to_spirv(module: &Module, info: &ModuleInfo, _: Halves) -> Outcome {
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

pub fn stage() -> Option<(ShaderStage, String)> {
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
