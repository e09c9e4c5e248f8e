// w -= lr * g.

// Returns the new weights of the elements i.
fn update(i: vec4<u32>, w: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let rate = control[starts.control]; // LEARNING_RATE
    return w - rate * g;
}
