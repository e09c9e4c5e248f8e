// product = the sum of its pieces, or +=, in order. The previous value of product comes first.

struct Params {
    len: u32,
    pieces: u32,
    accumulate: u32,
}

struct Starts {
    parts: u32,
    product: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> product: array<f32>;

alias Product = f32;

// The elements that a thread sums.
const ELEMENTS: u32 = 1u;

// The pieces whose loads are in flight together.
const AT_ONCE: u32 = 8u;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = (group.y * groups.x + group.x) * 256u * ELEMENTS + local;
    if (first >= params.len) {
        return;
    }
    #for e in 0..ELEMENTS
    // An element past the end repeats the first one.
    let i{e} = select(first, first + {256*e}u, first + {256*e}u < params.len);
    #end
    #for e in 0..ELEMENTS
    var sum{e} = parts[starts.parts + i{e}];
    #end
    if (params.accumulate != 0u) {
        #for e in 0..ELEMENTS
        let before{e} = f32(product[starts.product + i{e}]);
        #end
        #for e in 0..ELEMENTS
        sum{e} = before{e} + sum{e};
        #end
    }
    var piece = 1u;
    for (; piece + {AT_ONCE-1}u < params.pieces; piece += AT_ONCE) {
        #for k in 0..AT_ONCE
        let at{k} = starts.parts + (piece + {k}u) * params.len;
        #for e in 0..ELEMENTS
        let x{k}_{e} = parts[at{k} + i{e}];
        #end
        #end
        #for k in 0..AT_ONCE
        #for e in 0..ELEMENTS
        sum{e} += x{k}_{e};
        #end
        #end
    }
    for (; piece < params.pieces; piece += 1u) {
        let at = starts.parts + piece * params.len;
        #for e in 0..ELEMENTS
        let x{e} = parts[at + i{e}];
        #end
        #for e in 0..ELEMENTS
        sum{e} += x{e};
        #end
    }
    #for e in 0..ELEMENTS
    product[starts.product + i{e}] = Product(sum{e});
    #end
}
