//! The joint norm of gradients and the factors that clip them.

use super::control::{HIGHEST_LOSS_SCALE, LOSS_SCALE_PATIENCE, LOWEST_LOSS_SCALE};
use super::parameter::ParameterUpdate;
use crate::graph::builder::Builder;
use crate::graph::plan::Slice;
use crate::graph::{Gradient, Graph};
use crate::kernels::reduce::{norm, scaled_norm, sum_squares};

/// The approximate number of elements of one partial sum of squares.
const PARTIAL: usize = 1 << 14;
/// The maximum number of partial sums of a tensor, unless small bindings require more.
const MAX_PARTIALS: usize = 256;
/// The same on GPUs, each multiprocessor of which runs several of the workgroups that compute them.
const MAX_PARTIALS_ON_GPU: usize = 1024;

/// Appends the norm of the clipped gradients: the output `norm`. Returns its first three elements. In mixed precision the other
/// gradients are summed too: a non-finite element anywhere skips the step.
pub(super) fn append_norm(graph: &mut Graph, updates: &[ParameterUpdate], control: Slice) -> Slice {
    let values = |update: &ParameterUpdate| match update.gradient {
        Gradient::Dense(slice) => slice,
        Gradient::Rows { values, .. } => values,
        Gradient::Sources { .. } => panic!("the rows of `{}` are not summed", update.name),
    };
    let limits = *graph.builder.limits();
    let binding = limits.slice;
    let most = if limits.multiprocessors > 0 && limits.updates_in_one_pass() {
        MAX_PARTIALS_ON_GPU
    } else {
        MAX_PARTIALS
    };
    let partials_of = |slice: &Slice| {
        let few = slice.len.div_ceil(PARTIAL).min(most);
        few.max(slice.len.div_ceil(binding))
    };
    let loss_scale = graph.dynamic_loss_scale();
    let of = |clipped: bool| {
        let chosen = updates
            .iter()
            .filter(move |update| update.clipped == clipped);
        chosen.map(values)
    };
    let pieces = |slice| graph.builder.pieces(slice);
    let mut summed: Vec<Slice> = of(true).flat_map(pieces).collect();
    let clipped: usize = summed.iter().map(partials_of).sum();
    if loss_scale.is_some() {
        summed.extend(of(false).flat_map(pieces));
    }
    let total: usize = summed.iter().map(partials_of).sum();
    let builder = &mut graph.builder;
    let partials = builder.activation("norm.partials", [total]);
    let entry = |slice: Slice| {
        let parts = partials_of(&slice);
        let params = sum_squares::Params {
            len: slice.len as u32,
            parts: parts as u32,
            share: slice.len.div_ceil(parts) as u32,
        };
        (slice, params)
    };
    let entries: Vec<(Slice, sum_squares::Params)> = summed.into_iter().map(entry).collect();
    append_sums(builder, &entries, partials);
    let Some(scale) = loss_scale else {
        let norm = builder.output("norm", [3]);
        let params = norm::Params { len: total as u32 };
        builder.step("norm", &norm::KERNEL, &params, &[partials, control, norm]);
        return norm;
    };
    let norm = builder.output("norm", [5]);
    let params = scaled_norm::Params {
        len: total as u32,
        clipped: clipped as u32,
        patience: LOSS_SCALE_PATIENCE,
        lowest: LOWEST_LOSS_SCALE,
        highest: HIGHEST_LOSS_SCALE,
    };
    let slices = [partials, control, scale, norm];
    builder.step("norm", &scaled_norm::KERNEL, &params, &slices);
    norm.part(0, 3)
}

/// Appends the sums of squares of tensors: their partial sums, one after another, in `partials`.
fn append_sums(builder: &mut Builder, entries: &[(Slice, sum_squares::Params)], partials: Slice) {
    let at_once = if builder.limits().updates_in_one_pass() {
        sum_squares::TENSORS
    } else {
        1
    };
    let (mut next, mut rest) = (0, entries);
    while let Some((first, _)) = rest.first() {
        // A step of several tensors is not split.
        let fitting = rest.iter().take(at_once);
        let fitting = fitting.take_while(|(slice, _)| builder.fits(*slice));
        let (these, others) = rest.split_at(fitting.count().max(1));
        rest = others;
        let parts = these.iter().map(|(_, params)| params.parts as usize).sum();
        let partials = partials.part(next, parts);
        next += parts;
        if let [(slice, params)] = these {
            let slices = [*slice, partials];
            builder.step("norm", &sum_squares::KERNEL, params, &slices);
            continue;
        }
        let mut slices = vec![*first; sum_squares::TENSORS];
        for (bound, (slice, _)) in slices.iter_mut().zip(these) {
            *bound = *slice;
        }
        slices.push(partials);
        let params: Vec<sum_squares::Params> = these.iter().map(|(_, params)| *params).collect();
        let params = sum_squares::several(&params);
        builder.raw_step("norm", &sum_squares::SEVERAL, params, &slices);
    }
}
