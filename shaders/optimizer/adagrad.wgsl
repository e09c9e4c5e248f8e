// a += g^2, w -= lr * g / sqrt(a).

// Updates the states of the elements i. Returns their new weights.
fn update(i: vec4<u32>, w: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let rate = control[starts.control]; // LEARNING_RATE
    let at = starts.accumulator + i;
    let a = vec4<f32>(accumulator[at.x], accumulator[at.y], accumulator[at.z], accumulator[at.w]) + g * g;
    accumulator[at.x] = a.x;
    accumulator[at.y] = a.y;
    accumulator[at.z] = a.z;
    accumulator[at.w] = a.w;
    return w - rate * g / sqrt(a);
}
