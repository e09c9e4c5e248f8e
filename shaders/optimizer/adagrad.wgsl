// a += g^2, w -= lr * g / sqrt(a), for one element.

struct Params {
    capacity: u32,
    width: u32,
    sparse: u32,
    first: u32,
    base: u32,
    window: u32,
    clipped: u32,
}

struct Starts {
    weight: u32,
    accumulator: u32,
    gradient: u32,
    rows: u32,
    control: u32,
    norm: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read_write> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> accumulator: array<f32>;
@group(0) @binding(4) var<storage, read> gradient: array<f32>;
@group(0) @binding(5) var<storage, read> rows: array<u32>;
@group(0) @binding(6) var<storage, read> control: array<f32>;
@group(0) @binding(7) var<storage, read> norm: array<f32>;

fn update(i: u32, g: f32) {
    let rate = control[starts.control]; // LEARNING_RATE
    let a = accumulator[starts.accumulator + i] + g * g;
    accumulator[starts.accumulator + i] = a;
    weight[starts.weight + i] -= rate * g / sqrt(a);
}
