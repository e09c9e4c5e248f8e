// The natural logarithm of a positive normal number (Cephes, Moshier 1989; error below 2 ulp), term for term as in src/real.rs,
// because drivers decide the precision of WGSL's own. Infinity and NaN are returned unchanged.

fn ln_of(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    if ((bits & 0x7f800000u) == 0x7f800000u) {
        return x;
    }
    // x = m * 2^n with m in [sqrt(1/2), sqrt(2)).
    var n = f32(i32(bits >> 23u) - 126);
    var m = bitcast<f32>((bits & 0x007fffffu) | 0x3f000000u);
    if (m < 0.707106781) {
        m += m;
        n -= 1.0;
    }
    let r = m - 1.0;
    let s = r * r;
    var p = 7.0376836292e-2;
    p = p * r - 1.1514610310e-1;
    p = p * r + 1.1676998740e-1;
    p = p * r - 1.2420140846e-1;
    p = p * r + 1.4249322787e-1;
    p = p * r - 1.6668057665e-1;
    p = p * r + 2.0000714765e-1;
    p = p * r - 2.4999993993e-1;
    p = p * r + 3.3333331174e-1;
    return r + (p * r * s - 2.12194440e-4 * n - 0.5 * s) + 0.693359375 * n;
}
