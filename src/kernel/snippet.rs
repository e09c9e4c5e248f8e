//! WGSL text that shaders share, and constants that are compiled into them.

/// WGSL text that several shaders share. It is prepended to a shader unchanged.
pub struct Snippet {
    /// The stem of the file in `shaders/shared`.
    pub name: &'static str,
    /// The text.
    pub wgsl: &'static str,
}

/// Philox4x32-10, `philox4x32(counter, key)`, as in [`crate::random`].
pub static PHILOX: Snippet = Snippet {
    name: "philox",
    wgsl: include_str!("../../shaders/shared/philox.wgsl"),
};

/// `exp_of`, `tanh_of` and `sigmoid`, bitwise identical to [`crate::real`].
pub static ACTIVATION: Snippet = Snippet {
    name: "activation",
    wgsl: include_str!("../../shaders/shared/activation.wgsl"),
};

/// `ln_of`, the natural logarithm, bitwise identical to [`crate::real`].
pub static LOGARITHM: Snippet = Snippet {
    name: "logarithm",
    wgsl: include_str!("../../shaders/shared/logarithm.wgsl"),
};

/// `sum_of_group` and `largest_of_group` over workgroups of 256 threads.
pub static WORKGROUP: Snippet = Snippet {
    name: "workgroup",
    wgsl: include_str!("../../shaders/shared/workgroup.wgsl"),
};

/// `fused`, a multiplication and an addition with one rounding. The device decides its constant `FUSES`:
/// see [`Kernel::device_constants`](super::Kernel::device_constants).
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
