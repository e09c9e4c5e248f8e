// v = momentum * v + g, w -= lr * v.

// Updates the states of the elements i. Returns their new weights.
fn update(i: vec4<u32>, w: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let rate = control[starts.control]; // LEARNING_RATE
    let at = starts.velocity + i;
    let before = vec4<f32>(velocity[at.x], velocity[at.y], velocity[at.z], velocity[at.w]);
    let v = params.momentum * before + g;
    velocity[at.x] = v.x;
    velocity[at.y] = v.y;
    velocity[at.z] = v.z;
    velocity[at.w] = v.w;
    return w - rate * v;
}
