// Shared by all forms of the gradient of the cell: see src/kernels/lstm/cell_backward.rs.

struct Params {
    batch: u32,
    hidden: u32,
    depth: u32,
    projected: u32,
    transposed: u32,
    carry: u32,
}

struct Starts {
    left: u32,
    weight: u32,
    z: u32,
    c_before: u32,
    c: u32,
    dc: u32,
}

// Elements of a vector of the cells in memory: 1 or 4.
const CELL_LANES: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(4) var<storage, read_write> z: array<vec4<f32>>;
#if CELL_LANES == 1
@group(0) @binding(5) var<storage, read> c_before: array<f32>;
@group(0) @binding(6) var<storage, read> c: array<f32>;
@group(0) @binding(7) var<storage, read_write> dc: array<f32>;
#else
@group(0) @binding(5) var<storage, read> c_before: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> c: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> dc: array<vec4<f32>>;
#end

// The gradients of a unit: of its pre-activations and of its previous state.
struct Unit {
    dz: vec4<f32>,
    dc: f32,
}

// `after` is the gradient from the next time step, or -0, which changes no sum.
fn unit(dm: f32, gates: vec4<f32>, before: f32, state: f32, after: f32) -> Unit {
    let i = gates.x;
    let j = gates.y;
    let f = gates.z;
    let o = gates.w;
    let t = tanh_of(state);
    let dstate = dm * o * (1.0 - t * t) + after;
    let dz = vec4<f32>(
        dstate * j * i * (1.0 - i),
        dstate * i * (1.0 - j * j),
        dstate * before * f * (1.0 - f),
        dm * t * o * (1.0 - o),
    );
    return Unit(dz, dstate * f);
}

// The rest is for forms with the text of a product: see product.wgsl and product_units.wgsl. Its rows are streams, its columns
// are units.
#if CELL

// Rows whose inputs a thread loads at once.
const AT_ONCE: u32 = 2u;

// The weights are stored [depth, H] or [H, depth].
const TRANSPOSE_LEFT: bool = false;
const TRANSPOSE_RIGHT: bool = false;

fn rows() -> u32 {
    return params.batch;
}

fn columns() -> u32 {
    return params.hidden;
}

fn left_stride() -> u32 {
    return params.depth;
}

fn left_group() -> u32 {
    return 0u;
}

fn right_stride() -> u32 {
    return select(params.hidden, params.depth, TRANSPOSE_RIGHT);
}

fn right_group() -> u32 {
    return 0u;
}

fn task(z: u32) -> Task {
    return Task(0u, 0u, params.depth);
}

fn columns_from(column: u32) -> vec4<u32> {
    return min(column + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.hidden - 1u));
}

// What the sums are added to.
fn before(job: Task, row: u32, column: u32) -> vec4<f32> {
    return vec4<f32>();
}

// The other inputs of four adjacent units.
struct Inputs {
#for k in 0..4
    gates{k}: vec4<f32>,
#end
    before: vec4<f32>,
    state: vec4<f32>,
    after: vec4<f32>,
}

// Four elements of `name`, or the last one of a row instead of those past its end.
#for name in c_before c dc
fn {name}_four(row: u32, units: vec4<u32>) -> vec4<f32> {
    let at = row * params.hidden + units;
#if CELL_LANES == 1
    let start = starts.{name};
    return vec4<f32>({name}[start + at.x], {name}[start + at.y], {name}[start + at.z], {name}[start + at.w]);
#else
    return {name}[starts.{name} + at.x / 4u];
#end
}

#end
fn inputs_of(job: Task, row: u32, column: u32) -> Inputs {
    let units = columns_from(column);
    let stream = min(row, params.batch - 1u);
    let at = starts.z + stream * params.hidden + units;
    var after = vec4<f32>(-0.0);
    if (params.carry != 0u) {
        after = dc_four(stream, units);
    }
    return Inputs(
        vec4<f32>(z[at.x]),
        vec4<f32>(z[at.y]),
        vec4<f32>(z[at.z]),
        vec4<f32>(z[at.w]),
        c_before_four(stream, units),
        c_four(stream, units),
        after,
    );
}

fn finish_cell(job: Task, row: u32, column: u32, total: vec4<f32>, inputs: Inputs) {
    if (row >= params.batch || column >= params.hidden) {
        return;
    }
    // Computes 0 + total, which turns -0 into 0. Compilers would simplify that sum to total.
    let dm = select(total, vec4<f32>(), total == vec4<f32>());
    let at = row * params.hidden + column;
#for k in 0..4
    let unit{k} = unit(dm[{k}], inputs.gates{k}, inputs.before[{k}], inputs.state[{k}], inputs.after[{k}]);
#end
#if CELL_LANES == 1
#for k in 0..4
    if (column + {k}u < params.hidden) {
        z[starts.z + at + {k}u] = Z(unit{k}.dz);
        dc[starts.dc + at + {k}u] = unit{k}.dc;
    }
#end
#else
#for k in 0..4
    z[starts.z + at + {k}u] = Z(unit{k}.dz);
#end
    dc[starts.dc + at / 4u] = vec4<f32>(unit0.dc, unit1.dc, unit2.dc, unit3.dc);
#end
}
#end
