// m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g^2,
// w -= lr * (m / c1) / (sqrt(v / c2) + epsilon).

// Updates the states of the elements i. Returns their new weights.
fn update(i: vec4<u32>, w: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let rate = control[starts.control]; // LEARNING_RATE
    let at = starts.first + i;
    let m_before = vec4<f32>(first[at.x], first[at.y], first[at.z], first[at.w]);
    let to = starts.second + i;
    let v_before = vec4<f32>(second[to.x], second[to.y], second[to.z], second[to.w]);
    let m = params.beta1 * m_before + (1.0 - params.beta1) * g;
    let v = params.beta2 * v_before + (1.0 - params.beta2) * g * g;
    first[at.x] = m.x;
    first[at.y] = m.y;
    first[at.z] = m.z;
    first[at.w] = m.w;
    second[to.x] = v.x;
    second[to.y] = v.y;
    second[to.z] = v.z;
    second[to.w] = v.w;
    let mean = m / control[starts.control + 3u]; // FIRST_CORRECTION
    let square = v / control[starts.control + 4u]; // SECOND_CORRECTION
    return w - rate * mean / (sqrt(square) + params.epsilon);
}
