//! What the checks share.

use std::collections::BTreeSet;

use libtest_mimic::Failed;
use wlstm::kernel::{Case, Constants, DeviceTraits, Kernel, MatrixUnits};

pub type Outcome = Result<(), Failed>;

/// Fails with the message unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)*) => {
        if !$holds {
            return Err(libtest_mimic::Failed::from(format!($($message)*)));
        }
    };
}
pub(super) use ensure;

/// The different constants that the cases of a kernel ask for, on every kind of device that meets its requirements.
pub fn constants(kernel: &Kernel) -> BTreeSet<Constants> {
    let device = |(fuses, side, subgroup, vector_bytes)| DeviceTraits {
        fuses,
        unit: Some(MatrixUnits {
            vector_bytes,
            ..unit(side, subgroup)
        }),
        subgroup: kernel.requires.subgroup_size,
        workgroup_bytes: 48 << 10,
    };
    let devices = [
        (false, 16, 32, 16),
        (true, 16, 64, 16),
        (false, 16, 16, 8),
        (false, 16, 8, 2),
        (true, 8, 32, 2),
        (false, 8, 8, 8),
    ]
    .map(device);
    let meets = |device: &&DeviceTraits| kernel.requires.are_met_by(**device);
    let devices: Vec<&DeviceTraits> = devices.iter().filter(meets).collect();
    let of_case = |case: &Case| {
        let constants = (kernel.constants)(&case.params);
        devices
            .iter()
            .map(|device| [constants.clone(), kernel.device_constants(**device)].concat())
            .collect::<Vec<_>>()
    };
    (kernel.cases)().iter().flat_map(of_case).collect()
}

pub fn unit(side: u32, subgroup: u32) -> MatrixUnits {
    MatrixUnits {
        side,
        subgroup,
        workgroup_bytes: 48 << 10,
        vector_bytes: 16,
    }
}
