//! The storage bindings of a kernel.

use crate::tensor::Dtype;

/// The largest number of storage bindings of a kernel, which WebGPU guarantees per shader stage.
pub const MAX_BINDINGS: usize = 8;

/// How a kernel uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only reads it.
    Read,
    /// Writes every element of the slice and reads none before.
    Write,
    /// Reads and writes it, or writes a part of it.
    ReadWrite,
}

/// One storage binding of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The name of the variable in the shader. Never `A`, `B` or `C`, which some backends reserve.
    pub name: &'static str,
    /// The type of the elements.
    pub dtype: Dtype,
    /// How the kernel uses it.
    pub access: Access,
    /// 1 for `array<f32>` and `array<u32>`, 4 for `array<vec4<f32>>`, 8 for halves as `array<vec4<u32>>`. A slice
    /// begins at a multiple of this number of elements, and `starts` counts vectors.
    pub lanes: usize,
    /// Whether a tensor of [`Dtype::Half`] may be bound as well: see [`Kernel::source`](super::Kernel::source).
    pub half: bool,
}

impl Binding {
    const fn new(name: &'static str, dtype: Dtype, access: Access) -> Binding {
        Binding {
            name,
            dtype,
            access,
            lanes: 1,
            half: false,
        }
    }

    /// `var<storage, read> name: array<f32>`.
    pub const fn read(name: &'static str) -> Binding {
        Binding::new(name, Dtype::Real, Access::Read)
    }

    /// `var<storage, read> name: array<u32>`.
    pub const fn index(name: &'static str) -> Binding {
        Binding::new(name, Dtype::Index, Access::Read)
    }

    /// `var<storage, read_write> name: array<f32>`; the kernel writes every element and reads none before.
    pub const fn write(name: &'static str) -> Binding {
        Binding::new(name, Dtype::Real, Access::Write)
    }

    /// `var<storage, read_write> name: array<f32>`.
    pub const fn read_write(name: &'static str) -> Binding {
        Binding::new(name, Dtype::Real, Access::ReadWrite)
    }

    /// The same binding as `array<vec4<f32>>`.
    pub const fn vec4(self) -> Binding {
        Binding { lanes: 4, ..self }
    }

    /// The same binding of eight halves a vector, as `array<vec4<u32>>`. Only a tensor of [`Dtype::Half`] may be bound.
    pub const fn eights(self) -> Binding {
        Binding {
            dtype: Dtype::Half,
            lanes: 8,
            half: true,
            ..self
        }
    }

    /// The same binding, which accepts [`Dtype::Half`] as well.
    pub const fn or_half(self) -> Binding {
        Binding { half: true, ..self }
    }

    /// Whether a tensor of this type may be bound.
    pub fn takes(&self, dtype: Dtype) -> bool {
        dtype == self.dtype || (self.half && dtype == Dtype::Half)
    }
}
