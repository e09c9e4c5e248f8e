//! The declaration of a kernel.

use super::binding::{Access, Binding};
use super::buffers::{CpuFn, Twin};
use super::case::Case;
use super::change::Change;
use super::halves::{ElementSizes, Halves};
use super::requirements::{DeviceTraits, Requirements, UnitOperands};
use super::snippet::{Constants, FUSED, Snippet, no_constants};
use super::split::Split;
use super::work::Work;
use crate::tensor::Dtype;

/// A kernel: see [the module](crate::kernel).
///
/// A declaration sets the fields that its kernel needs and ends with `..Kernel::DEFAULT`. Every kernel must declare `name`,
/// `wgsl`, `fields`, `bindings`, `grid`, `twin` and `cases`; the contract test checks this.
pub struct Kernel {
    /// The stem of both its files: `folder/name`. A form with the shader of its base has no files: see [`Kernel::stem`].
    pub name: &'static str,
    /// The shader, without its snippets, before [text generation](crate::kernel#text-generation).
    pub wgsl: &'static str,
    /// The snippets that the shader uses. Default: none.
    pub snippets: &'static [&'static Snippet],
    /// Whether [`Kernel::source`] writes params, starts and bindings from this declaration, for shaders whose bindings vary.
    /// Default: the shader declares them.
    pub declares_interface: bool,
    /// [`Params::FIELDS`](super::Params::FIELDS).
    pub fields: &'static [(&'static str, &'static str)],
    /// The storage bindings in order.
    pub bindings: &'static [Binding],
    /// The requirements of the kernel. Default: the guarantees of WebGPU.
    pub requires: Requirements,
    /// The shader's constants for these params: values that are compiled in rather than read. They replace the values in the
    /// lines `const NAME: u32 = ...;` or `const NAME: bool = ...;` of their names. Default: none.
    pub constants: fn(&[u32]) -> Constants,
    /// The workgroups of a dispatch with these params.
    pub grid: fn(&[u32]) -> [u32; 3],
    /// The cost of a step. Default: see [`Kernel::cost`].
    pub work: Option<fn(&[u32], ElementSizes) -> Work>,
    /// Splits a step in two, for slices that are too large for a binding. Default: the kernel cannot be split.
    pub split: Option<Split>,
    /// The params of a smaller step, if possible with at most this many multiply-adds. On slow devices, tuning measures it
    /// instead of a larger step. Default: every step is measured at its own size.
    pub reduced: Option<Reduce>,
    /// The specification.
    pub twin: Twin,
    /// The implementation in `f32` that the CPU runs instead of the twin: faster, with the same result up to
    /// rounding. Default: the twin.
    pub cpu: Option<CpuFn<f32>>,
    /// The cases for parity, contract and timing.
    pub cases: fn() -> Vec<Case>,
    /// Why no gradient check covers the kernel. Without a reason, the gradient test requires a check.
    /// Default: none.
    pub no_gradient: Option<&'static str>,
    /// Whether the kernel can run a step with these params, for forms that do not support every size. Default: always.
    pub supports: Option<fn(&[u32]) -> bool>,
    /// The kernel that this one is another form of: with the same interface, twin and bits, faster for some sizes on some
    /// devices. The executor measures and chooses. Default: none.
    pub form_of: Option<&'static Kernel>,
    /// The kernel that this one replaces on matrix units: with the same interface and twin, but sums in the
    /// order of the unit. Default: none.
    pub on_units_for: Option<&'static Kernel>,
    /// The changes that this form is a part of: if one of them is switched off, the form is no candidate. Default: none.
    pub part_of: &'static [Change],
    /// Whether the form is for hardware only: on software adapters it takes long to compile and is never the fastest. Default:
    /// false.
    pub for_hardware: bool,
    /// For a form: whether a GPU without measurements runs it for a step with these params. Of several such forms, the last one
    /// in the catalogue runs. Default: never; the base runs.
    pub unmeasured: Option<fn(&[u32]) -> bool>,
}

/// From the params of a step and a number of multiply-adds to the params of a smaller step.
pub type Reduce = fn(&[u32], u64) -> Box<[u32]>;

impl PartialEq for Kernel {
    fn eq(&self, other: &Kernel) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Kernel {
    /// The defaults of a declaration.
    pub const DEFAULT: Kernel = Kernel {
        name: "",
        wgsl: "",
        snippets: &[],
        declares_interface: false,
        fields: &[],
        bindings: &[],
        requires: Requirements::NONE,
        constants: no_constants,
        grid: |_| [0; 3],
        work: None,
        split: None,
        reduced: None,
        twin: Twin {
            single: |_, _| panic!("the kernel declares no twin"),
            double: |_, _| panic!("the kernel declares no twin"),
        },
        cpu: None,
        cases: Vec::new,
        no_gradient: None,
        supports: None,
        form_of: None,
        on_units_for: None,
        part_of: &[],
        for_hardware: false,
        unmeasured: None,
    };

    /// The cost of a step with these params. `lens` are the lengths of its slices. Unless the kernel declares its
    /// [`work`](Kernel::work), every element that is read or written counts once, and an element that is read and
    /// written counts twice.
    pub fn cost(
        &self,
        params: &[u32],
        lens: impl IntoIterator<Item = usize>,
        halves: Halves,
    ) -> Work {
        let sizes = halves.element_sizes();
        let moved = |((binding, len), size): ((&Binding, usize), u64)| match binding.access {
            Access::Read | Access::Write => size * len as u64,
            Access::ReadWrite => 2 * size * len as u64,
        };
        match self.work {
            Some(work) => work(params, sizes),
            None => Work {
                flops: 0,
                bytes: self.bindings.iter().zip(lens).zip(sizes).map(moved).sum(),
            },
        }
    }

    /// The constants that depend on the device, in addition to [`Kernel::constants`].
    pub fn device_constants(&self, device: DeviceTraits) -> Constants {
        let mut constants = Constants::new();
        let mut snippets = self.snippets.iter();
        if snippets.any(|snippet| snippet.name == FUSED.name) {
            constants.push(("FUSES", device.fuses.into()));
        }
        if let (true, Some(unit)) = (self.needs_units(), device.unit) {
            constants.extend([
                ("UNIT", unit.side),
                ("SUBGROUP", unit.subgroup),
                ("VECTOR_BYTES", unit.vector_bytes),
            ]);
        }
        constants
    }

    /// The stem of its files in `src/kernels` and `shaders`: its name up to the first space. A form with the shader of its base has
    /// the stem of the base; a kernel that shares a shader has no file of its own in `shaders`.
    pub fn stem(&self) -> &'static str {
        match self.form_of {
            Some(base) if base.wgsl == self.wgsl => base.stem(),
            _ => self.name.split(' ').next().unwrap_or(self.name),
        }
    }

    /// The implementation that the CPU runs in `f32`.
    pub fn cpu_function(&self) -> CpuFn<f32> {
        self.cpu.unwrap_or(self.twin.single)
    }

    /// Whether the shader multiplies on matrix units, with the operands of
    /// [`Requirements::unit_operands`].
    pub fn needs_units(&self) -> bool {
        self.requires.matrix_units.is_some()
    }

    /// Whether these are operands for its matrix units, if it uses them.
    pub fn takes_operands(&self, halves: Halves) -> bool {
        match self.requires.unit_operands {
            _ if !self.needs_units() => true,
            UnitOperands::Halves => halves.has(0) && halves.has(1),
            UnitOperands::Split => halves.is_empty(),
        }
    }

    /// Whether the kernel can run a step with these params.
    pub fn supports(&self, params: &[u32]) -> bool {
        self.supports.is_none_or(|supports| supports(params))
    }

    /// Those of these cases that the kernel supports. A form has the cases of its base.
    pub fn supported(&self, mut cases: Vec<Case>) -> Vec<Case> {
        cases.retain(|case| self.supports(&case.params));
        cases
    }

    /// Whether every binding in `halves` may be a half, and no other must be one.
    pub fn takes(&self, halves: Halves) -> bool {
        let mut bindings = self.bindings.iter().enumerate();
        bindings.all(|(k, binding)| {
            if halves.has(k) {
                binding.half
            } else {
                binding.dtype != Dtype::Half
            }
        })
    }

    /// Every binding that may be a half.
    pub fn all_halves(&self) -> Halves {
        Halves::all(self.bindings)
    }
}
