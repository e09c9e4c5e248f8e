// Philox4x32-10 (Salmon et al. 2011): random bits from a counter and a key, the same as src/random.rs.

// The high and the low half of a 32 x 32 bit product.
fn wide_product(x: u32, y: u32) -> vec2<u32> {
    let x0 = x & 0xffffu;
    let x1 = x >> 16u;
    let y0 = y & 0xffffu;
    let y1 = y >> 16u;
    let middle = x1 * y0 + ((x0 * y0) >> 16u);
    let carry = x0 * y1 + (middle & 0xffffu);
    return vec2<u32>(x1 * y1 + (middle >> 16u) + (carry >> 16u), x * y);
}

fn philox4x32(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var round_index = 0u; round_index < 10u; round_index += 1u) {
        let first = wide_product(0xD2511F53u, c.x);
        let second = wide_product(0xCD9E8D57u, c.z);
        c = vec4<u32>(second.x ^ c.y ^ k.x, second.y, first.x ^ c.w ^ k.y, first.y);
        k += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}
