// m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g^2,
// w -= lr * (m / c1) / (sqrt(v / c2) + epsilon), for one element.

struct Params {
    capacity: u32,
    width: u32,
    sparse: u32,
    first: u32,
    base: u32,
    window: u32,
    clipped: u32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
}

struct Starts {
    weight: u32,
    first: u32,
    second: u32,
    gradient: u32,
    rows: u32,
    control: u32,
    norm: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read_write> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> second: array<f32>;
@group(0) @binding(5) var<storage, read> gradient: array<f32>;
@group(0) @binding(6) var<storage, read> rows: array<u32>;
@group(0) @binding(7) var<storage, read> control: array<f32>;
@group(0) @binding(8) var<storage, read> norm: array<f32>;

fn update(i: u32, g: f32) {
    let rate = control[starts.control]; // LEARNING_RATE
    let m = params.beta1 * first[starts.first + i] + (1.0 - params.beta1) * g;
    let v = params.beta2 * second[starts.second + i] + (1.0 - params.beta2) * g * g;
    first[starts.first + i] = m;
    second[starts.second + i] = v;
    let mean = m / control[starts.control + 3u]; // FIRST_CORRECTION
    let square = v / control[starts.control + 4u]; // SECOND_CORRECTION
    weight[starts.weight + i] -= rate * mean / (sqrt(square) + params.epsilon);
}
