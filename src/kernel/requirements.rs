//! The requirements of a kernel beyond the guarantees of WebGPU, and the matching properties of a device.

/// The requirements of a kernel beyond the guarantees of WebGPU. The contract test compares it with the shader.
///
/// Whether a binding may be stored in halves is declared there: see [`Binding::half`](super::Binding::half).
#[derive(Clone, Copy)]
pub struct Requirements {
    /// For a shader that multiplies on matrix units: the workgroup for such a unit; none if the shader does
    /// not support the unit. Its constants `UNIT`, `SUBGROUP` and `VECTOR_BYTES` are those of [`MatrixUnits`].
    pub matrix_units: Option<fn(MatrixUnits) -> Option<Workgroup>>,
    /// The operands of such a shader. Default: halves.
    pub unit_operands: UnitOperands,
    /// For a shader that exchanges values within subgroups: the number of threads that every subgroup must have.
    pub subgroup_size: Option<u32>,
    /// The bytes of workgroup memory, where they are more than [`Requirements::WORKGROUP_BYTES`].
    pub workgroup_bytes: u32,
}

/// What a shader reads that multiplies on matrix units, which multiply `f16`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnitOperands {
    /// `f16`.
    #[default]
    Halves,
    /// `f32`, each split into two `f16`: see [`product_f32x3`](crate::kernels::matmul::product_f32x3).
    Split,
}

/// The size of a workgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workgroup {
    /// Threads.
    pub threads: u32,
    /// Bytes of workgroup memory.
    pub bytes: u32,
}

/// The properties of a device that kernels depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceTraits {
    /// Whether its `fma` rounds once.
    pub fuses: bool,
    /// Its matrix unit, if it is used.
    pub unit: Option<MatrixUnits>,
    /// The threads of every subgroup, where kernels may use subgroups: on software GPUs.
    pub subgroup: Option<u32>,
    /// The bytes of memory that a workgroup may have.
    pub workgroup_bytes: u32,
}

/// A matrix unit that multiplies `f16` and adds in `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixUnits {
    /// Rows, columns and terms: 8 or 16.
    pub side: u32,
    /// The threads of the largest subgroup.
    pub subgroup: u32,
    /// The bytes of memory that a workgroup may have.
    pub workgroup_bytes: u32,
    /// The largest vectors from which it reads tiles of halves, in bytes: 16, 8, or 2, which are single halves.
    pub vector_bytes: u32,
}

impl Requirements {
    /// The maximum number of threads of a workgroup that every device supports.
    pub const MAX_THREADS: u32 = 256;

    /// The bytes of workgroup memory that every device supports.
    pub const WORKGROUP_BYTES: u32 = 16 << 10;

    /// Nothing.
    pub const NONE: Requirements = Requirements {
        matrix_units: None,
        unit_operands: UnitOperands::Halves,
        subgroup_size: None,
        workgroup_bytes: 0,
    };

    /// Whether a device meets them.
    pub fn are_met_by(&self, device: DeviceTraits) -> bool {
        let units = match self.matrix_units {
            None => true,
            Some(workgroup) => device.unit.is_some_and(|unit| {
                workgroup(unit).is_some_and(|workgroup| {
                    workgroup.threads <= Requirements::MAX_THREADS
                        && workgroup.bytes <= unit.workgroup_bytes
                })
            }),
        };
        let bytes = device.workgroup_bytes.max(Requirements::WORKGROUP_BYTES);
        units
            && self.workgroup_bytes <= bytes
            && (self.subgroup_size.is_none() || self.subgroup_size == device.subgroup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workgroup_memory_beyond_the_guarantee_is_a_requirement() {
        let needs = |workgroup_bytes| Requirements {
            workgroup_bytes,
            ..Requirements::NONE
        };
        let device = |workgroup_bytes| DeviceTraits {
            workgroup_bytes,
            ..DeviceTraits::default()
        };
        assert!(needs(0).are_met_by(device(0)) && needs(16 << 10).are_met_by(device(0)));
        assert!(!needs(32 << 10).are_met_by(device(0)));
        assert!(!needs(32 << 10).are_met_by(device(31 << 10)));
        assert!(needs(32 << 10).are_met_by(device(32 << 10)));
    }
}
