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

/// Sets the value in the line `const NAME: u32 = ...;` or `const NAME: bool = ...;` of each constant.
///
/// # Panics
///
/// If the shader has no such line: the kernel misspells its constant.
pub fn specialize(wgsl: &str, constants: &[(&'static str, u32)]) -> String {
    let mut lines: Vec<String> = wgsl.lines().map(str::to_owned).collect();
    for (name, value) in constants {
        let as_number = format!("const {name}: u32 =");
        let as_bool = format!("const {name}: bool =");
        let line = lines
            .iter_mut()
            .find(|line| line.starts_with(&as_number) || line.starts_with(&as_bool))
            .unwrap_or_else(|| panic!("the shader has no line `{as_number} ...;`"));
        *line = if line.starts_with(&as_bool) {
            format!("{as_bool} {};", *value != 0)
        } else {
            format!("{as_number} {value}u;")
        };
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_replace_their_lines() {
        let text = "const TILE: u32 = 4u; // rows\nconst TRANSPOSED: bool = false;\n";
        assert_eq!(
            specialize(text, &[("TRANSPOSED", 1), ("TILE", 8)]),
            "const TILE: u32 = 8u;\nconst TRANSPOSED: bool = true;\n"
        );
    }
}
