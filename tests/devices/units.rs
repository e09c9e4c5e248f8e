//! Products and cells on matrix units of 16 x 16, which no software adapter has: the same text with emulated units. Each thread of a subgroup
//! of 8 computes two rows of a tile of sums. Everything else, staging, indexing and storing, is what GPUs run.

use wlstm::device::GpuExecutor;
use wlstm::device::single::{Layout, compare, fill, reference, rounded, run_case};
use wlstm::kernel::{DeviceTraits, Kernel, MatrixUnits, Requirements, Twin};
use wlstm::kernels::catalogue;

use crate::common::{Gpu, SEED, Trial, on_gpus_that};

/// What replaces the operations of units. A tile of an operand is where it is staged. The terms of a sum are unrolled: llvmpipe
/// leaves loops after 65,536 iterations of a shader.
const EMULATION: &str = "
struct TileOf {
    along: bool,
    at: u32,
    stride: u32,
}

var<private> own_lane: u32;
#for side in left right
fn {side}_half(t: TileOf, row: u32, column: u32) -> f32 {
    let i = select(column * t.stride * (8u / EIGHT) + row, row * t.stride * (8u / EIGHT) + column, t.along);
#if EIGHT == 1
    return unpack2x16float(tile_{side}0[t.at + i / 8u][i % 8u / 2u])[i % 2u];
#else
    return f32(tile_{side}0[t.at + i]);
#end
}

#end
fn multiply_add(l: TileOf, r: TileOf, sum: array<f32, 32>) -> array<f32, 32> {
    var total = sum;
    for (var i = 0u; i < 32u; i += 1u) {
#for k in 0..16
        total[i] += left_half(l, 2u * own_lane + i / 16u, {k}u) * right_half(r, {k}u, i % 16u);
#end
    }
    return total;
}

fn stage(sum: array<f32, 32>, at: u32) {
    var v = sum;
#if FOUR == 1
    for (var i = 0u; i < 8u; i += 1u) {
        tile_sums[at + own_lane * 8u + i] = vec4<f32>(v[4u * i], v[4u * i + 1u], v[4u * i + 2u], v[4u * i + 3u]);
    }
#else
    for (var i = 0u; i < 32u; i += 1u) {
        tile_sums[at + own_lane * 32u + i] = v[i];
    }
#end
}
";

/// The same kernel with emulated units.
fn emulated(right: &'static Kernel) -> &'static Kernel {
    let mut wgsl = right.wgsl.to_owned() + EMULATION;
    for (from, to) in [
        ("enable wgpu_cooperative_matrix;\n", ""),
        ("const SUBGROUP: u32 = 32u;", "const SUBGROUP: u32 = 8u;"),
        ("coop_mat{UNIT}x{UNIT}<f16, A>", "TileOf"),
        ("coop_mat{UNIT}x{UNIT}<f16, B>", "TileOf"),
        ("coop_mat{UNIT}x{UNIT}<f32, C>", "array<f32, 32>"),
        ("coopLoadT<LeftTile>(&tile_left{p}[", "TileOf(true, "),
        ("coopLoad<LeftTile>(&tile_left{p}[", "TileOf(false, "),
        ("coopLoadT<RightTile>(&tile_right{p}[", "TileOf(true, "),
        ("coopLoad<RightTile>(&tile_right{p}[", "TileOf(false, "),
        ("], EIGHT * ", ", EIGHT * "),
        ("coopMultiplyAdd(", "multiply_add("),
        ("coopStoreT(", "stage("),
        (", &tile_sums[sums", ", sums"),
        ("], FOUR * UNIT / 4u)", ")"),
        ("    @builtin(subgroup_id) subgroup: u32,\n", ""),
        ("    @builtin(subgroup_invocation_id) lane: u32,\n", ""),
        ("    @builtin(subgroup_size) lanes: u32,\n", ""),
        (
            "    let own = min(subgroup",
            "    let subgroup = local / 8u;\n    let lane = local % 8u;\n    let lanes = 8u;\n    own_lane = lane;\n    let own = min(subgroup",
        ),
    ] {
        assert!(wgsl.contains(from), "`{from}` is no longer in the shader");
        wgsl = wgsl.replace(from, to);
    }
    Box::leak(Box::new(Kernel {
        name: right.name,
        wgsl: wgsl.leak(),
        snippets: right.snippets,
        requires: Requirements::NONE,
        bindings: right.bindings,
        fields: right.fields,
        constants: right.constants,
        grid: right.grid,
        twin: Twin {
            single: right.twin.single,
            double: right.twin.double,
        },
        cases: right.cases,
        ..Kernel::DEFAULT
    }))
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    // One and two buffers, and a block that is not square in subgroups; cells with one and with two staged tiles. The others
    // differ in constants, and take long to compile.
    let chosen = [
        "matmul/product_units_vector",
        "matmul/product_units_vector 64x64 double",
        "matmul/product_units_vector 128x128 of 64x32",
        "lstm/cell_forward_units",
        "lstm/cell_forward_units vector 64x64",
        "lstm/cell_backward_units",
        "lstm/cell_backward_units vector 64x64",
    ];
    let is_chosen = |kernel: &&Kernel| chosen.contains(&kernel.name);
    assert_eq!(catalogue().filter(is_chosen).count(), chosen.len());
    for kernel in catalogue().filter(is_chosen) {
        // Forms with more workgroup memory than an adapter has are left to adapters that have it.
        let takes = move |gpu: &Gpu| {
            let summary = &gpu.adapter.summary;
            let unit = MatrixUnits {
                side: 16,
                subgroup: 8,
                workgroup_bytes: summary.max_workgroup_bytes,
                vector_bytes: 16,
            };
            let traits = DeviceTraits {
                unit: Some(unit),
                ..DeviceTraits::default()
            };
            summary.f16 && !summary.is_hardware() && kernel.requires.are_met_by(traits)
        };
        let name = format!("emulated::{}", kernel.name);
        trials.extend(on_gpus_that(takes, &name, move |gpu| {
            let (kernel, halves) = (emulated(kernel), kernel.all_halves());
            for case in (kernel.cases)().iter().filter(|case| !case.timed) {
                let contents = rounded(fill(kernel, case, SEED), halves);
                let want = reference(kernel, case, &contents);
                let run = |executor: &mut GpuExecutor| {
                    run_case(executor, kernel, case, &contents, Layout::Apart, halves)
                };
                let got = gpu.with(run)?;
                match compare(kernel, case, &got, &want, halves) {
                    Some(worst) if !worst.is_tolerable() => {
                        return Err(format!("{}: {worst}", case.label).into());
                    }
                    _ => {}
                }
            }
            Ok(())
        }));
    }
    trials
}
