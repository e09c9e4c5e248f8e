// average = decay * average + (1 - decay) * weight.

struct Params {
    len: u32,
}

struct Starts {
    weight: u32,
    control: u32,
    average: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> control: array<f32>;
@group(0) @binding(4) var<storage, read_write> average: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= params.len) {
        return;
    }
    let decay = control[starts.control + 2u]; // EMA_DECAY
    let before = average[starts.average + i];
    average[starts.average + i] = decay * before + (1.0 - decay) * weight[starts.weight + i];
}
