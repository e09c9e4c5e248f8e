//! The elements of the input `control [7]`: the values of an update that may change from step to step.
//!
//! Shaders contain these numbers, each with its name in a comment.

/// The learning rate.
pub const LEARNING_RATE: usize = 0;

/// The maximum joint norm of clipped gradients; 0: no clipping.
pub const CLIP_NORM: usize = 1;

/// The decay of the moving average.
pub const EMA_DECAY: usize = 2;

/// The first of [`Optimizer::corrections`](super::Optimizer::corrections).
pub const FIRST_CORRECTION: usize = 3;

/// The second of them.
pub const SECOND_CORRECTION: usize = 4;

/// The factor by which clipped gradients are multiplied before they are clipped.
pub const CLIPPED_SCALE: usize = 5;

/// The factor of the loss without a dynamic loss scale, always 1.
pub const LOSS_SCALE: usize = 6;

/// The number of elements.
pub const LEN: usize = 7;
