//! The text of a shader as a device compiles it.

use super::binding::Binding;
use super::declaration::Kernel;
use super::halves::Halves;
use super::interface::{capitalized, interface};
use super::text::expand;

impl Kernel {
    /// The complete text of the shader: its `enable` lines, which WGSL requires at the top, the interface if
    /// [`Kernel::declares_interface`] is set, the snippets, and the shader itself. Constants are set and directives expanded: see
    /// [the module](crate::kernel#text-generation).
    ///
    /// With `aliased`, read-only bindings are declared `read_write`: a device refuses to bind one buffer in both ways in a
    /// dispatch, and two slices of one arena may be bound so.
    ///
    /// A binding `name` in `halves` becomes an array of `f16`. A shader reads it with `f32(name[i])`, and writes
    /// `name[i] = Name(value)` with the line `alias Name = f32;`; a line `const HALF_NAME: bool = false;` becomes `true`.
    pub fn source(
        &self,
        constants: &[(&'static str, u32)],
        aliased: bool,
        halves: Halves,
    ) -> String {
        let is_directive = |line: &&str| line.starts_with("enable ");
        let mut text = String::new();
        if !halves.is_empty() {
            text.push_str("enable f16;\n");
        }
        for line in self.wgsl.lines().filter(is_directive) {
            text += &format!("{line}\n");
        }
        if self.declares_interface {
            text += &interface(self.fields, self.bindings);
        }
        for snippet in self.snippets {
            text.push_str(snippet.wgsl);
            text.push('\n');
        }
        for line in self.wgsl.lines().filter(|line| !is_directive(line)) {
            text += &format!("{line}\n");
        }
        let mut text = expand(&text, constants);
        for (k, binding) in self.bindings.iter().enumerate() {
            if halves.has(k) {
                text = with_half(&text, binding);
            }
        }
        if aliased {
            text.replace("var<storage, read>", "var<storage, read_write>")
        } else {
            text
        }
    }
}

/// The text with one binding in `f16`: its declaration, its alias, its constant.
fn with_half(wgsl: &str, binding: &Binding) -> String {
    let name = binding.name;
    let declaration = format!("> {name}: array<");
    let alias = format!("alias {} = ", capitalized(name));
    let constant = format!("const HALF_{}: bool = ", name.to_uppercase());
    let line = |line: &str| {
        if line.starts_with(&alias) || line.contains(&declaration) {
            line.replace("f32", "f16")
        } else if line.starts_with(&constant) {
            format!("{constant}true;")
        } else {
            line.to_owned()
        }
    };
    let lines: Vec<String> = wgsl.lines().map(line).collect();
    lines.join("\n") + "\n"
}
