//! Which tensors share an axis, so that a permutation must be the same for all of them.

use std::collections::BTreeSet;

use crate::config::ModelConfig;

/// The axis of the embedding, then that of each layer's output: the same number where a residual connection adds the two,
/// or a tied table has both. Axes are numbered from 0 without gaps.
pub fn axes_of(model: &ModelConfig) -> Vec<usize> {
    let mut axes: Vec<usize> = (0..=model.layers()).collect();
    let mut join = |x: usize, y: usize| {
        let (from, to) = (axes[x].max(axes[y]), axes[x].min(axes[y]));
        for axis in &mut axes {
            if *axis == from {
                *axis = to;
            }
        }
    };
    for layer in 0..model.layers() {
        if model.residual && model.input_size(layer) == model.output_size() {
            join(layer, layer + 1);
        }
    }
    if model.tied {
        join(0, model.layers());
    }
    let used: BTreeSet<usize> = axes.iter().copied().collect();
    axes.iter().map(|axis| used.range(..axis).count()).collect()
}

/// The smallest number that both divide.
pub fn least_common_multiple(x: usize, y: usize) -> usize {
    x / greatest_common_divisor(x, y) * y
}

fn greatest_common_divisor(x: usize, y: usize) -> usize {
    if y == 0 {
        x
    } else {
        greatest_common_divisor(y, x % y)
    }
}
