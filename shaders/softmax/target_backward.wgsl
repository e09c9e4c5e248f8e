// dh += dtarget * weights[target - base] and source = dtarget * h, for the rows whose target is in weights.

struct Params {
    rows: u32,
    width: u32,
    base: u32,
    window: u32,
}

struct Starts {
    h: u32,
    weights: u32,
    targets: u32,
    dtarget: u32,
    dh: u32,
    source: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> h: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> targets: array<u32>;
@group(0) @binding(5) var<storage, read> dtarget: array<f32>;
@group(0) @binding(6) var<storage, read_write> dh: array<f32>;
@group(0) @binding(7) var<storage, read_write> source: array<f32>;

alias Dh = f32;

const IGNORE: u32 = 0xffffffffu;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= params.rows * params.width) {
        return;
    }
    let row = i / params.width;
    let wanted = targets[starts.targets + row];
    if (wanted == IGNORE) {
        source[starts.source + i] = 0.0;
        return;
    }
    let id = wanted - params.base;
    if (id >= params.window) {
        return;
    }
    let gradient = dtarget[starts.dtarget + row];
    let weight = weights[starts.weights + id * params.width + i % params.width];
    dh[starts.dh + i] = Dh(f32(dh[starts.dh + i]) + gradient * weight);
    source[starts.source + i] = gradient * f32(h[starts.h + i]);
}
