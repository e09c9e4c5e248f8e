//! Kernels for matrix units of 16 x 16 with emulated units. The rest of the text, staging, splitting, indexing and storing, is what
//! GPUs run.

use std::sync::OnceLock;

use wlstm::kernel::{Constants, Kernel, Requirements, Twin};
use wlstm::kernels::{catalogue, forms};

/// The workgroup memory of the emulated forms is at most this.
pub const WORKGROUP_BYTES: u32 = 32 << 10;

/// What replaces the operations of units. A subgroup has 16 threads, each with one row of every tile of sums. A tile of an
/// operand is where it is staged.
///
/// As in units of GPUs, the terms of a tile are added to each other first, and their sum is added to the earlier ones, rounded
/// towards zero. llvmpipe leaves loops after 65,536 iterations of a shader, which no case reaches.
const UNITS: &str = "
struct TileOf {
    part: u32,
    by_rows: bool,
    at: u32,
    stride: u32,
}

var<private> own_lane: u32;

#for side in left right
fn {side}_half(t: TileOf, row: u32, column: u32) -> f32 {
    let i = select(column * t.stride * (8u / EIGHT) + row, row * t.stride * (8u / EIGHT) + column, t.by_rows);
#for p in 0..PARTS
    if (t.part == {p}u) {
#if EIGHT == 1
        return unpack2x16float(tile_{side}{p}[t.at + i / 8u][i % 8u / 2u] >> (i % 2u * 16u)).x;
#end
#if EIGHT == 2
        return f32(tile_{side}{p}[t.at + i / 4u][i % 4u]);
#end
#if EIGHT == 8
        return f32(tile_{side}{p}[t.at + i]);
#end
    }
#end
    return 0.0;
}

#end
// The same numbers, with their origin hidden from the compiler, which rearranges sums as if addition were associative.
fn hidden(x: vec4<f32>) -> vec4<f32> {
    return max(x, vec4<f32>(-3.4e38));
}

// a + b, rounded towards zero: the nearest sum, or the number before it if its error (Knuth 1969) has the other sign.
fn towards_zero(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let sum = a + b;
    let known = hidden(sum);
    let part = hidden(known - a);
    let rest = hidden((a - hidden(known - part)) + (b - part));
    let zero = vec4<f32>();
    let past = ((rest < zero) & (sum > zero)) | ((rest > zero) & (sum < zero));
    let bits = bitcast<vec4<u32>>(sum);
    return bitcast<vec4<f32>>(select(bits, bits - 1u, past));
}

fn multiply_add(l: TileOf, r: TileOf, sum: mat4x4<f32>) -> mat4x4<f32> {
    var terms = mat4x4<f32>();
    for (var k = 0u; k < 16u; k += 1u) {
        let factor = left_half(l, own_lane, k);
#for f in 0..4
        terms[{f}] += factor * vec4<f32>(
#for c in 4*f..4*f+4
            right_half(r, k, {c}u),
#end
        );
#end
    }
    return mat4x4<f32>(
#for f in 0..4
        towards_zero(sum[{f}], terms[{f}]),
#end
    );
}

fn stage(sum: mat4x4<f32>, at: u32) {
#for f in 0..4
#if FOUR == 1
    tile_sums[at + own_lane * 4u + {f}u] = sum[{f}];
#else
#for c in 0..4
    tile_sums[at + own_lane * 16u + {4*f+c}u] = sum[{f}][{c}];
#end
#end
#end
}
";

/// A form that is emulated.
struct Emulated {
    name: &'static str,
    /// The rows and columns of its block are divided by these, so that it needs less workgroup memory.
    divided: [u32; 2],
    /// See `MatrixUnits`.
    vector_bytes: u32,
    /// The threads of the largest subgroup. With more than 16, there are more subgroups than the shader expects.
    largest: u32,
}

const fn whole(name: &'static str) -> Emulated {
    divided(name, [1, 1])
}

const fn divided(name: &'static str, divided: [u32; 2]) -> Emulated {
    Emulated {
        name,
        divided,
        vector_bytes: 16,
        largest: 16,
    }
}

impl Emulated {
    const fn on(self, vector_bytes: u32, largest: u32) -> Emulated {
        Emulated {
            vector_bytes,
            largest,
            ..self
        }
    }
}

/// Forms that differ in how they read operands, in the tiles of a subgroup, and in the terms and buffers of staging. Most others
/// differ from one of these only in the block of a workgroup. A form takes seconds to compile.
static EMULATED: [Emulated; 24] = [
    whole("matmul/product_units"),
    whole("matmul/product_units_vector"),
    whole("matmul/product_units_vector").on(8, 32),
    whole("matmul/product_units_vector 64x64 double"),
    divided("matmul/product_units_vector 128x64 of 64x32 double", [2, 1]),
    whole("matmul/product_units_vector 128x128 of 64x32"),
    whole("matmul/product_units_vector 128x128 of 64x64 double"),
    whole("matmul/product_f32x3"),
    whole("matmul/product_f32x3_vector"),
    whole("matmul/product_f32x3_vector").on(8, 32),
    divided("matmul/product_f32x3_vector 128x64 double", [2, 1]),
    divided("matmul/product_f32x3_vector 128x128 of 64x32", [1, 2]),
    whole("lstm/cell_forward_units"),
    whole("lstm/cell_forward_units vector 64x64"),
    divided(
        "lstm/cell_forward_units vector 128x64 of 64x32 double",
        [2, 1],
    ),
    divided(
        "lstm/cell_forward_units vector 128x256 of 64x64 double",
        [2, 2],
    ),
    whole("lstm/cell_forward_f32x3"),
    divided("lstm/cell_forward_f32x3 vector 128x64", [2, 1]),
    whole("lstm/cell_backward_units"),
    whole("lstm/cell_backward_units vector 64x64"),
    divided(
        "lstm/cell_backward_units vector 128x64 of 64x32 double",
        [2, 1],
    ),
    divided(
        "lstm/cell_backward_units vector 128x256 of 64x64 double",
        [2, 2],
    ),
    whole("lstm/cell_backward_f32x3"),
    divided("lstm/cell_backward_f32x3 vector 128x64", [2, 1]),
];

/// The constants and the grid of each of them.
type Functions = (fn(&[u32]) -> Constants, fn(&[u32]) -> [u32; 3]);

macro_rules! functions {
    ($($n:literal)*) => {
        [$((constants::<$n>, grid::<$n>)),*]
    };
}

static FUNCTIONS: [Functions; EMULATED.len()] =
    functions![0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23];

/// The form whose units are emulated.
fn original(n: usize) -> &'static Kernel {
    let name = EMULATED[n].name;
    let found = catalogue().find(|kernel| kernel.name == name);
    found.unwrap_or_else(|| panic!("{name} is no longer a kernel"))
}

fn constants<const N: usize>(raw: &[u32]) -> Constants {
    let [rows, columns] = EMULATED[N].divided;
    let mut constants = (original(N).constants)(raw);
    for (name, value) in &mut constants {
        match *name {
            "ROWS" => *value /= rows,
            "COLUMNS" => *value /= columns,
            _ => {}
        }
    }
    constants
}

/// Workgroups past the end store nothing.
fn grid<const N: usize>(raw: &[u32]) -> [u32; 3] {
    let [rows, columns] = EMULATED[N].divided;
    let [x, y, z] = (original(N).grid)(raw);
    [x * columns, y * rows, z]
}

/// The emulated forms of a kernel, that kernel first.
pub fn emulated(base: &'static Kernel) -> Vec<&'static Kernel> {
    // Executors tell kernels apart by their address.
    static KERNELS: OnceLock<Vec<&'static Kernel>> = OnceLock::new();
    let all = KERNELS.get_or_init(|| (0..EMULATED.len()).map(with_units).collect());
    let is_form = |n: usize| forms(base, base.all_halves()).any(|form| form == original(n));
    let of_base: Vec<_> = (0..EMULATED.len())
        .filter(|n| is_form(*n))
        .map(|n| all[n])
        .collect();
    assert!(of_base.len() > 1 && of_base[0].name.starts_with(base.name));
    of_base
}

fn with_units(n: usize) -> &'static Kernel {
    let original = original(n);
    let Emulated {
        vector_bytes,
        largest,
        ..
    } = EMULATED[n];
    let mut wgsl = original.wgsl.to_owned() + UNITS;
    let subgroup = format!("const SUBGROUP: u32 = {largest}u;");
    let vectors = format!("const VECTOR_BYTES: u32 = {vector_bytes}u;");
    for (from, to) in [
        ("enable wgpu_cooperative_matrix;\n", ""),
        ("const SUBGROUP: u32 = 32u;", subgroup.as_str()),
        ("const VECTOR_BYTES: u32 = 16u;", vectors.as_str()),
        ("coop_mat{UNIT}x{UNIT}<f16, A>", "TileOf"),
        ("coop_mat{UNIT}x{UNIT}<f16, B>", "TileOf"),
        ("coop_mat{UNIT}x{UNIT}<f32, C>", "mat4x4<f32>"),
        ("coopLoadT<LeftTile>(&tile_left{p}[", "TileOf({p}u, true, "),
        ("coopLoad<LeftTile>(&tile_left{p}[", "TileOf({p}u, false, "),
        (
            "coopLoadT<RightTile>(&tile_right{p}[",
            "TileOf({p}u, true, ",
        ),
        (
            "coopLoad<RightTile>(&tile_right{p}[",
            "TileOf({p}u, false, ",
        ),
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
            "    let subgroup = local / 16u;\n    let lane = local % 16u;\n    let lanes = 16u;\n    own_lane = lane;\n    let own = min(subgroup",
        ),
    ] {
        assert!(wgsl.contains(from), "`{from}` is no longer in the shader");
        wgsl = wgsl.replace(from, to);
    }
    let unit = format!("{vector_bytes}-byte vectors, 16 of {largest} threads");
    let name = format!("{} ({unit})", original.name);
    let (constants, grid) = FUNCTIONS[n];
    Box::leak(Box::new(Kernel {
        name: name.leak(),
        wgsl: wgsl.leak(),
        snippets: original.snippets,
        requires: Requirements::NONE,
        bindings: original.bindings,
        fields: original.fields,
        constants,
        grid,
        twin: Twin {
            single: original.twin.single,
            double: original.twin.double,
        },
        cases: original.cases,
        ..Kernel::DEFAULT
    }))
}
