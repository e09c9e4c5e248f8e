//! WGSL text that shaders share, and constants that are compiled into them.

/// WGSL text that several shaders share. It is prepended to a shader unchanged.
pub struct Snippet {
    /// The stem of the file in `shaders/shared`.
    pub name: &'static str,
    /// The text.
    pub wgsl: &'static str,
}

/// Philox4x32-10, as in [`crate::random`]: `philox4x32(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32>`.
pub static PHILOX: Snippet = Snippet {
    name: "philox",
    wgsl: include_str!("../../shaders/shared/philox.wgsl"),
};

/// Functions that are bitwise identical to those of [`crate::real`] on every device:
///
/// - `exp_of(x: f32) -> f32`: `e^x`, with `x` clamped to `[-104, 89]`, where `f32` has reached 0 and infinity
/// - `tanh_of(x: f32) -> f32`
/// - `sigmoid(x: f32) -> f32`: `1 / (1 + e^-x)`, with `x` clamped to `[-87, 87]`
///
/// A kernel that calls them lists `&ACTIVATION` in [`Kernel::snippets`](super::Kernel::snippets).
pub static ACTIVATION: Snippet = Snippet {
    name: "activation",
    wgsl: include_str!("../../shaders/shared/activation.wgsl"),
};

/// `ln_of(x: f32) -> f32`, the natural logarithm, bitwise identical to that of [`crate::real`] on every device. `x` must be a
/// positive normal number; infinity and NaN are returned unchanged.
pub static LOGARITHM: Snippet = Snippet {
    name: "logarithm",
    wgsl: include_str!("../../shaders/shared/logarithm.wgsl"),
};

/// `sum_of_group(local: u32, value: f32) -> f32` and `largest_of_group(local: u32, value: f32) -> f32`: the sum and the maximum
/// of `value` over a workgroup of 256 threads, in a fixed order. `local` is the `local_invocation_index`. All threads must call
/// them.
pub static WORKGROUP: Snippet = Snippet {
    name: "workgroup",
    wgsl: include_str!("../../shaders/shared/workgroup.wgsl"),
};

/// `fused(l: f32, r: vec4<f32>, sum: vec4<f32>) -> vec4<f32>`: `sum + l * r` with one rounding. The device decides
/// its constant `FUSES`: see [`Kernel::device_constants`](super::Kernel::device_constants).
pub static FUSED: Snippet = Snippet {
    name: "fused",
    wgsl: include_str!("../../shaders/shared/fused.wgsl"),
};

/// Named values that replace `const` lines of a shader.
pub type Constants = Vec<(&'static str, u32)>;

/// For kernels without such constants.
pub fn no_constants(_params: &[u32]) -> Constants {
    Vec::new()
}
