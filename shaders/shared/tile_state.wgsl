// The state of a full softmax after a tile of the vocabulary. One workgroup of 256 threads for each row.

// Less than every logit.
const LOWEST: f32 = -3.4e38;

var<workgroup> state_of_group: vec3<f32>;

// Updates running by the tile's logits of a row, and returns it to all threads: the maximum m, the sum of exp(l - m), the
// target's logit. All threads must call it.
fn updated_state(row: u32, local: u32) -> vec3<f32> {
    let base = starts.logits + row * params.width;
    var largest = LOWEST;
    var k = local;
    // Four at a time, in the same order, so that their loads are in flight together.
    for (; k + 768u < params.width; k += 1024u) {
        #for n in 0..4
        let x{n} = f32(logits[base + k + {256*n}u]);
        #end
        largest = max(max(largest, max(x0, x1)), max(x2, x3));
    }
    for (; k < params.width; k += 256u) {
        largest = max(largest, f32(logits[base + k]));
    }
    let tile_maximum = largest_of_group(local, largest);

    var sum = 0.0;
    for (k = local; k + 768u < params.width; k += 1024u) {
        #for n in 0..4
        let x{n} = f32(logits[base + k + {256*n}u]);
        #end
        #for n in 0..4
        sum += exp_of(x{n} - tile_maximum);
        #end
    }
    for (; k < params.width; k += 256u) {
        sum += exp_of(f32(logits[base + k]) - tile_maximum);
    }
    let tile_sum = sum_of_group(local, sum);

    let wanted = targets[starts.targets + row];
    let column = wanted - params.start;
    let is_inside = wanted >= params.start && column < params.width;
    // A thread that reads column k may replace it afterwards, so that no other thread may read it here.
    if (local == select(0u, column % 256u, is_inside)) {
        let at = starts.running + row * 3u;
        var state = vec3<f32>(tile_maximum, tile_sum, 0.0);
        if (params.first == 0u) {
            let before = vec3<f32>(running[at], running[at + 1u], running[at + 2u]);
            let maximum = max(before.x, tile_maximum);
            let total = before.y * exp_of(before.x - maximum) + tile_sum * exp_of(tile_maximum - maximum);
            state = vec3<f32>(maximum, total, before.z);
        }
        if (is_inside) {
            state.z = f32(logits[base + column]);
        }
        running[at] = state.x;
        running[at + 1u] = state.y;
        running[at + 2u] = state.z;
        state_of_group = state;
    }
    workgroupBarrier();
    return state_of_group;
}
