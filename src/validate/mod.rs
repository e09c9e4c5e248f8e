//! Whether a device computes right: every kernel against its reference on the CPU, and the training steps of small models against
//! values that were computed elsewhere.
//!
//! | module | what |
//! |---|---|
//! | [`kernels`] | every kernel, every case, in every variant that devices compile |
//! | [`golden`] | three training steps of twelve small models |

pub mod golden;
pub mod kernels;
