//! The interface of a shader as WGSL text, written from the declaration of its kernel.

use super::binding::{Access, Binding};
use crate::tensor::Dtype;

/// The declarations of `params`, `starts` and the bindings. For a binding that the shader writes and that may be a half, also
/// the line `alias Name = f32;`.
pub(super) fn interface(fields: &[(&str, &str)], bindings: &[Binding]) -> String {
    let mut text = String::from("struct Params {\n");
    for (name, kind) in fields {
        text += &format!("    {name}: {kind},\n");
    }
    text += "}\n\nstruct Starts {\n";
    for binding in bindings {
        text += &format!("    {}: u32,\n", binding.name);
    }
    text += "}\n\n@group(0) @binding(0) var<uniform> params: Params;\n\
             @group(0) @binding(1) var<uniform> starts: Starts;\n";
    for (k, binding) in bindings.iter().enumerate() {
        let access = match binding.access {
            Access::Read => "read",
            Access::Write | Access::ReadWrite => "read_write",
        };
        let element = match (binding.dtype, binding.lanes) {
            (Dtype::Index, _) => "u32",
            (_, 4) => "vec4<f32>",
            _ => "f32",
        };
        let (number, name) = (k + 2, binding.name);
        text += &format!(
            "@group(0) @binding({number}) var<storage, {access}> {name}: array<{element}>;\n"
        );
        if binding.half && binding.access != Access::Read {
            text += &format!("alias {} = {element};\n", capitalized(name));
        }
    }
    text
}

/// A name with a capital first letter.
pub(super) fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_field_and_binding() {
        let bindings = [
            Binding::read("x").vec4(),
            Binding::index("rows"),
            Binding::write("y").or_half(),
        ];
        let text = interface(&[("len", "u32"), ("scale", "f32")], &bindings);
        for line in [
            "    scale: f32,",
            "    rows: u32,",
            "@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;",
            "@group(0) @binding(3) var<storage, read> rows: array<u32>;",
            "@group(0) @binding(4) var<storage, read_write> y: array<f32>;",
            "alias Y = f32;",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
