// exp, tanh and the logistic function, term for term as in src/real.rs, because drivers decide the precision of WGSL's own.

// e^r of x = n ln 2 + r.
fn exp_of_rest(x: f32, n: f32) -> f32 {
    let r = x - n * 0.693359375 - n * -2.12194440e-4;
    var p = 1.9875691500e-4;
    p = p * r + 1.3981999507e-3;
    p = p * r + 8.3334519073e-3;
    p = p * r + 4.1665795894e-2;
    p = p * r + 1.6666665459e-1;
    p = p * r + 5.0000001201e-1;
    p = p * r + 1.0;
    return p * r + 1.0;
}

fn exp_of(value: f32) -> f32 {
    let x = clamp(value, -104.0, 89.0);
    let n = round(x * 1.44269504);
    let k = i32(n);
    let half = k >> 1u;
    return exp_of_rest(x, n) * bitcast<f32>(u32(half + 127) << 23u) * bitcast<f32>(u32(k - half + 127) << 23u);
}

// e^x with x clamped to where both e^x and its inverse are normal numbers.
fn exp_normal(value: f32) -> f32 {
    let x = clamp(value, -87.0, 87.0);
    let n = round(x * 1.44269504);
    return exp_of_rest(x, n) * bitcast<f32>(u32(i32(n) + 127) << 23u);
}

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp_normal(-x));
}

fn tanh_of(x: f32) -> f32 {
    let a = abs(x);
    let s = x * x;
    var p = -5.70498872745e-3;
    p = p * s + 2.06390887954e-2;
    p = p * s - 5.37397155531e-2;
    p = p * s + 1.33314422036e-1;
    p = p * s - 3.33332819422e-1;
    let small = x + x * s * p;
    let large = sign(x) * (1.0 - 2.0 / (exp_normal(a + a) + 1.0));
    return select(large, small, a < 0.625);
}
