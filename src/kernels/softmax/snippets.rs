//! WGSL text that kernels of this folder share.

use crate::kernel::Snippet;

/// `updated_state(row: u32, local: u32) -> vec3<f32>`: what [`super::log_sum_exp`] computes for a row, for all threads. It needs
/// the snippets of activations and of workgroups.
pub(super) static TILE_STATE: Snippet = Snippet {
    name: "tile_state",
    wgsl: include_str!("../../../shaders/shared/tile_state.wgsl"),
};

/// `true_logit_of(row: u32) -> f32` and `normaliser_of(row: u32, local: u32, wanted: u32, true_logit: f32) -> f32`: `t` and the
/// `normaliser` of [`super::sampled_loss`], for all threads. It needs the snippets of activations, logarithms and workgroups.
pub(super) static SAMPLED_SUM: Snippet = Snippet {
    name: "sampled_sum",
    wgsl: include_str!("../../../shaders/shared/sampled_sum.wgsl"),
};
