//! Memory of a device.

use serde::Serialize;

use crate::device::Footprint;
use crate::graph::plan::Role;

/// Bytes of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceBytes {
    /// Parameters, and their copies in `f16`.
    pub parameters: u64,
    /// Optimizer state.
    pub optimizer: u64,
    /// Moving average of parameters.
    pub moving_average: u64,
    /// Gradients that are kept for the update of a divided step.
    pub gradients: u64,
    /// Data in transfer between the host and the device: rows of tables on the host, weights for validation.
    #[serde(rename = "travelling")]
    pub transfers: u64,
    /// Recurrent states of training, validation and the sample.
    pub state: u64,
    /// All arenas: activations and gradients, which are only live within a step. Plans share them.
    pub activations: u64,
    /// Each arena.
    pub arenas: Vec<u64>,
    /// Inputs and outputs.
    pub inputs_and_outputs: u64,
    /// The parameters of kernels: sizes and offsets.
    pub params: u64,
    /// The sum.
    pub total: u64,
}

impl DeviceBytes {
    /// Assigns the parts of a footprint.
    pub(super) fn of(footprint: &Footprint) -> DeviceBytes {
        let mut found = DeviceBytes {
            parameters: 0,
            optimizer: 0,
            moving_average: 0,
            gradients: 0,
            transfers: 0,
            state: 0,
            activations: footprint.arenas.iter().sum(),
            arenas: footprint.arenas.clone(),
            inputs_and_outputs: footprint.inputs + footprint.outputs,
            params: footprint.params,
            total: footprint.total(),
        };
        for tensor in &footprint.persistent {
            *match tensor.role {
                Role::Parameter | Role::Rounded => &mut found.parameters,
                Role::MovingAverage => &mut found.moving_average,
                Role::OptimizerState => &mut found.optimizer,
                Role::RecurrentState => &mut found.state,
                Role::Gradient => &mut found.gradients,
                Role::Transfer => &mut found.transfers,
            } += tensor.bytes;
        }
        found
    }
}
