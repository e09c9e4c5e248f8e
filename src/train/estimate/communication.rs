//! Bytes that devices exchange.

use serde::Serialize;

use crate::config::{Config, Precision};
use crate::train::update::PendingGradient;

/// Bytes that devices exchange in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CommunicationCost {
    /// Dense gradients, whose mean or sum every device receives.
    pub dense: u64,
    /// Sparse gradients: the rows that a device may touch, which every device receives.
    pub rows: u64,
    /// What a device sends to the host.
    pub sent: u64,
    /// What a device receives from the host.
    pub received: u64,
    /// Bytes that a machine sends, with several machines of one device each. It receives the same number.
    pub between_machines: u64,
}

impl CommunicationCost {
    /// Of `devices` devices that reduce these gradients.
    ///
    /// Devices exchange through host memory. A device sends its dense gradients, `D` bytes, and
    /// room for all rows that it may touch, `R` bytes. It receives the reduced gradients and the rows of all
    /// devices: `D + R` are sent and `D + N R` received. All processes prepare the same batch, so the ids of
    /// the rows are not sent. Between `N` machines of one device each, the reduction takes `2 (N-1)/N D`
    /// bytes (reduce-scatter, then all-gather), and the rows `(N-1) R`. An element has 4 bytes, in mixed
    /// precision 2. A single device exchanges nothing.
    pub fn of(gradients: &[PendingGradient], config: &Config, devices: u64) -> CommunicationCost {
        if devices < 2 {
            return CommunicationCost::default();
        }
        let width = match config.train.precision {
            Precision::F32 | Precision::F32x3 => 4,
            Precision::Mixed => 2,
        };
        let of = |sparse: bool| -> u64 {
            let chosen = gradients
                .iter()
                .filter(|gradient| gradient.sparse == sparse);
            chosen.map(|gradient| width * gradient.len as u64).sum()
        };
        let (dense, rows) = (of(false), of(true));
        CommunicationCost {
            dense,
            rows,
            sent: dense + rows,
            received: dense + devices * rows,
            between_machines: 2 * (devices - 1) * dense / devices + (devices - 1) * rows,
        }
    }
}
