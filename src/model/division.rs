//! How the batch of a training step is divided: between devices, and on each into micro-batches.

/// Streams and steps of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// `B`.
    pub batch: usize,
    /// `T`.
    pub unroll: usize,
}

impl Extent {
    /// `T*B`, the rows of time-major tensors.
    pub fn rows(self) -> usize {
        self.unroll * self.batch
    }
}

/// How the batch of a step is divided: between devices, and on each into micro-batches (gradient accumulation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// Devices, including those of other machines.
    pub devices: usize,
    /// Micro-batches of each device.
    pub micro_batches: usize,
}

impl Division {
    /// One device and one micro-batch.
    pub const WHOLE: Division = Division {
        devices: 1,
        micro_batches: 1,
    };

    /// The parts of a step, see [`Part`].
    pub fn parts(self) -> usize {
        self.devices * self.micro_batches
    }
}

/// Which part of the batch of a step a plan computes.
///
/// The streams of a step are split between devices, and on each device into micro-batches that run in sequence, so that a
/// device with little memory can train with large batches. The gradients of each micro-batch are added to those of the previous
/// ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The device, counted from 0.
    pub device: usize,
    /// The micro-batch of the device, counted from 0.
    pub micro_batch: usize,
    /// How the batch is divided.
    pub division: Division,
}

impl Part {
    /// The whole batch.
    pub const WHOLE: Part = Part {
        device: 0,
        micro_batch: 0,
        division: Division::WHOLE,
    };

    /// The number of this part, counted from 0.
    pub fn index(self) -> usize {
        self.device * self.division.micro_batches + self.micro_batch
    }
}
