// sum + l * r with one rounding, as the `fma` instruction of CPUs and most GPUs computes it. WGSL lets the driver decide whether
// its own fma rounds once or twice.

// Whether this device's `fma` rounds once; the executor sets it.
const FUSES: bool = true;

// The upper 12 of 24 bits. The product of two such halves is exact (Dekker 1971).
fn upper_half(x: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) & vec4<u32>(0xfffff000u));
}

// The same number, with its origin hidden from the compiler: drivers rearrange sums as if addition were associative.
fn opaque(x: vec4<f32>) -> vec4<f32> {
    return max(x, vec4<f32>(-3.4e38));
}

fn fused(l: f32, r: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    if (FUSES) {
        return fma(vec4<f32>(l), r, sum);
    }
    // The product and its error, the sum and its error (Knuth 1969). The sum of both errors is rounded to odd, so that the last
    // rounding never sees a false tie (Boldo and Melquiond 2008).
    let product = l * r;
    let lh = bitcast<f32>(bitcast<u32>(l) & 0xfffff000u);
    let ll = l - lh;
    let rh = upper_half(r);
    let rl = r - rh;
    let known = opaque(product);
    let upper = opaque(lh * rh - known);
    let product_error = opaque(upper + lh * rl + ll * rh) + ll * rl;
    let total = sum + product;
    let reached = opaque(total);
    let part = opaque(reached - sum);
    let total_error = opaque((sum - opaque(reached - part)) + (known - part));
    let small = opaque(product_error);
    let rest = opaque(total_error + small);
    let back = opaque(rest - total_error);
    let lost = (total_error - opaque(rest - back)) + (small - back);
    let bits = bitcast<vec4<u32>>(rest);
    let even = (bits & vec4<u32>(1u)) == vec4<u32>();
    let outward = (lost > vec4<f32>()) == (rest > vec4<f32>());
    let odd = select(bits - 1u, bits + 1u, outward);
    let inexact = (lost != vec4<f32>()) & even;
    return total + bitcast<vec4<f32>>(select(bits, odd, inexact));
}
