// Updates running = (maximum m, sum of exp(l - m), the target's logit) by the logits of one tile of the vocabulary, the ids
// start .. start + width. One workgroup for each row.

struct Params {
    rows: u32,
    width: u32,
    start: u32,
    first: u32,
}

struct Starts {
    logits: u32,
    targets: u32,
    running: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> running: array<f32>;

// Less than every logit.
const LOWEST: f32 = -3.4e38;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.y * groups.x + group.x;
    if (row >= params.rows) {
        return;
    }
    let base = starts.logits + row * params.width;
    let state = starts.running + row * 3u;

    var largest = LOWEST;
    for (var k = local; k < params.width; k += 256u) {
        largest = max(largest, f32(logits[base + k]));
    }
    let tile_maximum = largest_of_group(local, largest);

    var sum = 0.0;
    for (var k = local; k < params.width; k += 256u) {
        sum += exp_of(f32(logits[base + k]) - tile_maximum);
    }
    let tile_sum = sum_of_group(local, sum);

    if (local == 0u) {
        var maximum = tile_maximum;
        var total = tile_sum;
        var target_logit = 0.0;
        if (params.first == 0u) {
            maximum = max(running[state], tile_maximum);
            total = running[state + 1u] * exp_of(running[state] - maximum)
                + tile_sum * exp_of(tile_maximum - maximum);
            target_logit = running[state + 2u];
        }
        let wanted = targets[starts.targets + row];
        if (wanted >= params.start && wanted - params.start < params.width) {
            target_logit = f32(logits[base + wanted - params.start]);
        }
        running[state] = maximum;
        running[state + 1u] = total;
        running[state + 2u] = target_logit;
    }
}
