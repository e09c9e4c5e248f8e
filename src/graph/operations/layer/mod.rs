//! An LSTM layer over `T` steps, with any form of [`Gates`], with or without projection.
//!
//! Forward: the products of the input for all steps at once, then `T` times the fused cell and the projection. Backward:
//! `T` times the fused cell and the recurrent product, then the gradients of weights as products over all `T*B` rows. A
//! cell computes its recurrent product itself, or, where that is faster ([`Builder::separate_products`]), adds to the
//! result of a product before it, which can run in pieces. The same holds for the gradient of the projection.
//!
//! Layers run in sequence, not as a wavefront (layer 1 at `t + 1` in parallel with layer 2 at `t`): the products of a layer's
//! input would then run step by step, which measurements showed to cost twice as much as shared dispatches save. Instead, on
//! GPUs a product with few blocks runs in pieces, so that it fills the device.
//!
//! Gates, cells and outputs before the projection are kept from the forward pass for the backward pass, or, with
//! [`Builder::recompute_gates`], recomputed there from `x`, `h` and a few cells: see `span`.
//!
//! [`Builder::recompute_gates`]: crate::graph::builder::Builder::recompute_gates
//! [`Builder::separate_products`]: crate::graph::builder::Builder::separate_products
//!
//! Recurrent states are read from and written to the persistent tensors `state.NAME.h [B, P]` and `state.NAME.c [B, H]`.

mod backward;
mod blocks;
mod context;
mod description;
mod factorized;
mod forward;
mod gates;
mod grouped;
mod recorded;
mod span;

pub use description::{Gates, Layer};
pub use forward::layer;
