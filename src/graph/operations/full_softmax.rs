//! Cross-entropy over the whole vocabulary, `nll = log_sum_exp(h W' + b) - (h w_target + b_target)`, in tiles.
//!
//! The logits `[N, V]` never exist whole: the vocabulary is walked in tiles with a running log-sum-exp, forward and
//! backward. Backward walks the tiles in reverse: the logits of the last one are still there, the others are computed
//! again. A vocabulary of one tile computes nothing twice.

use super::super::plan::Slice;
use super::super::{Graph, Operation, Parameter, Value};
use super::emit_product;
use crate::kernels::matmul::product;
use crate::kernels::pointwise::copy;
use crate::kernels::reduce::sum_columns;
use crate::kernels::softmax::{full_backward, full_loss, log_sum_exp};

struct FullSoftmax {
    h: Value,
    weight: Parameter,
    bias: Parameter,
    targets: Slice,
    logits: Slice,
    running: Slice,
    tiles: Vec<Tile>,
    divisor: f32,
}

#[derive(Clone, Copy)]
struct Tile {
    start: usize,
    width: usize,
}

/// Splits `vocabulary` into the fewest nearly equal tiles of at most `largest` words.
fn tiles(vocabulary: usize, largest: usize) -> Vec<Tile> {
    let count = vocabulary.div_ceil(largest.max(1));
    let width = vocabulary.div_ceil(count);
    (0..vocabulary)
        .step_by(width)
        .map(|start| Tile {
            start,
            width: width.min(vocabulary - start),
        })
        .collect()
}

/// The losses `[N]` of `targets [N]` after `h [N, P]`, with weights `[V, P]` and bias `[V, 1]`.
///
/// The logits of a tile take at most `tile` elements. Gradients are those of the sum of the losses divided by `divisor`.
pub fn full_softmax(
    graph: &mut Graph,
    h: Value,
    weight: Parameter,
    bias: Parameter,
    targets: Slice,
    tile: usize,
    divisor: f32,
) -> Slice {
    let (rows, _) = graph.shape(h);
    let (vocabulary, _) = graph.extents(weight);
    let tiles = tiles(vocabulary, tile / rows);
    let logits = graph
        .builder
        .stored("softmax.logits", [rows, tiles[0].width]);
    let running = graph.builder.activation("softmax.running", [rows, 3]);
    let operation = FullSoftmax {
        h,
        weight,
        bias,
        targets,
        logits,
        running,
        tiles,
        divisor,
    };
    for (k, tile) in operation.tiles.iter().enumerate() {
        operation.emit_logits(graph, *tile);
        let params = log_sum_exp::Params {
            rows: rows as u32,
            width: tile.width as u32,
            start: tile.start as u32,
            first: (k == 0).into(),
        };
        let slices = [logits.part(0, rows * tile.width), targets, running];
        graph
            .builder
            .step("softmax forward", &log_sum_exp::KERNEL, &params, &slices);
    }
    let nll = graph.builder.output_or_activation("nll", rows);
    let params = full_loss::Params { rows: rows as u32 };
    graph.builder.step(
        "softmax loss",
        &full_loss::KERNEL,
        &params,
        &[running, targets, nll],
    );
    graph.record(operation);
    nll
}

impl FullSoftmax {
    fn emit_logits(&self, graph: &mut Graph, tile: Tile) {
        let (rows, depth) = graph.shape(self.h);
        let params = product::Params::dense(rows, tile.width, depth)
            .transposed_right()
            .biased();
        let weight = graph
            .operand(self.weight)
            .part(tile.start * depth, tile.width * depth);
        let bias = graph.weight(self.bias).part(tile.start, tile.width);
        let logits = self.logits.part(0, rows * tile.width);
        emit_product(
            graph,
            "softmax logits",
            &params,
            graph.data(self.h),
            weight,
            Some(bias),
            logits,
        );
    }
}

impl Operation for FullSoftmax {
    fn backward(&self, graph: &mut Graph) {
        let label = "softmax backward";
        let (rows, depth) = graph.shape(self.h);
        let h = graph.data(self.h);
        let (dweight, more) = graph.dense_gradient(self.weight);
        assert!(
            !more,
            "the softmax is the first to contribute to its weights"
        );
        let (dbias, _) = graph.dense_gradient(self.bias);
        let (dh, more) = graph.contribute(self.h);
        assert!(!more, "the softmax is the first to use what it reads");
        // A sum over many tiles stays in full width until it is whole.
        let several = self.tiles.len() > 1 && graph.builder.is_mixed();
        let sum = if several {
            graph.builder.activation("softmax.dh", [rows, depth])
        } else {
            dh
        };
        for (k, tile) in self.tiles.iter().enumerate().rev() {
            if k + 1 != self.tiles.len() {
                self.emit_logits(graph, *tile);
            }
            let Tile { start, width } = *tile;
            let dlogits = self.logits.part(0, rows * width);
            let params = full_backward::Params {
                rows: rows as u32,
                width: width as u32,
                start: start as u32,
                divisor: self.divisor,
            };
            let slices = [dlogits, self.running, self.targets, graph.loss_scale()];
            graph
                .builder
                .step(label, &full_backward::KERNEL, &params, &slices);
            let params = product::Params::dense(width, depth, rows).transposed_left();
            emit_product(
                graph,
                label,
                &params,
                dlogits,
                h,
                None,
                dweight.part(start * depth, width * depth),
            );
            let params = sum_columns::Params {
                rows: rows as u32,
                width: width as u32,
                accumulate: 0,
                scale: 1.0,
            };
            let slices = [dlogits, dbias.part(start, width)];
            graph
                .builder
                .step(label, &sum_columns::KERNEL, &params, &slices);
            let params =
                product::Params::dense(rows, depth, width).accumulating(k + 1 != self.tiles.len());
            let weight = graph
                .operand(self.weight)
                .part(start * depth, width * depth);
            emit_product(graph, label, &params, dlogits, weight, None, sum);
        }
        if several {
            let params = copy::Params {
                len: (rows * depth) as u32,
            };
            graph
                .builder
                .step(label, &copy::KERNEL, &params, &[sum, dh]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::tiles;

    #[test]
    fn tiles_cover_the_vocabulary_once() {
        for (vocabulary, largest) in [(1, 1), (10, 3), (33_278, 5000), (7, 100), (5, 0)] {
            let mut next = 0;
            for tile in tiles(vocabulary, largest) {
                assert_eq!(tile.start, next);
                assert!(tile.width > 0 && tile.width <= largest.max(1));
                next += tile.width;
            }
            assert_eq!(next, vocabulary);
        }
    }
}
