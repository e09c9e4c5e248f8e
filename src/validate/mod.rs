//! Checks that a device computes correctly: every kernel against its CPU reference, and the training steps of
//! small models against values from another implementation.
//!
//! | module | contents |
//! |---|---|
//! | [`kernels`] | every kernel, every case, in every variant that devices compile |
//! | [`golden`] | three training steps of twelve small models |

pub mod golden;
pub mod kernels;
