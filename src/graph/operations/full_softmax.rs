//! Cross-entropy over the whole vocabulary, `nll = log_sum_exp(h W' + b) - (h w_target + b_target)`, in tiles.
//!
//! The logits `[T*B, V]` are never in memory at once: the vocabulary is divided into tiles, with a running
//! log-sum-exp. The backward pass takes the tiles in reverse: the logits of the last tile are still in
//! memory, those of the others are recomputed. With one tile nothing is recomputed. Where a backward pass follows, the
//! pass that completes the loss replaces the logits of the last tile by their gradients.

use super::super::plan::Slice;
use super::super::{Graph, Operation, Parameter, Value};
use super::products::emit_product;
use crate::kernel::Change;
use crate::kernels::matmul::product;
use crate::kernels::pointwise::copy;
use crate::kernels::reduce::sum_columns;
use crate::kernels::softmax::{full_backward, full_gradient, full_loss, log_sum_exp};

/// The classes of a softmax.
pub(super) struct Classes {
    /// The prefix of its activations.
    pub name: String,
    /// The weights, `[classes, width]`.
    pub weight: Parameter,
    /// The bias, `[classes, 1]`.
    pub bias: Option<Parameter>,
}

/// The cross-entropy of one softmax, after its forward pass.
pub(super) struct FullSoftmax {
    h: Value,
    classes: Classes,
    targets: Slice,
    logits: Slice,
    running: Slice,
    tiles: Vec<Tile>,
    divisor: f32,
    /// Whether the forward pass replaces the logits of the last tile by their gradients.
    in_one_pass: bool,
}

#[derive(Clone, Copy)]
struct Tile {
    start: usize,
    width: usize,
}

/// Divides `vocabulary` into tiles of at most `largest` words: as few as possible, nearly equal. If the weights are stored in
/// pieces of `piece` words, a tile consists of whole pieces, or a piece of whole tiles.
fn tiles(vocabulary: usize, largest: usize, piece: usize) -> Vec<Tile> {
    let largest = largest.max(1);
    let of = |start: usize, words: usize, width: usize| {
        let starts = (0..words).step_by(width);
        starts.map(move |at| Tile {
            start: start + at,
            width: width.min(words - at),
        })
    };
    let even = |words: usize| words.div_ceil(words.div_ceil(largest));
    if piece >= vocabulary {
        return of(0, vocabulary, even(vocabulary)).collect();
    }
    if largest >= piece {
        return of(0, vocabulary, largest / piece * piece).collect();
    }
    let pieces = of(0, vocabulary, piece);
    pieces
        .flat_map(|Tile { start, width }| of(start, width, even(piece).min(width)))
        .collect()
}

/// The losses `[T*B]` of `targets [T*B]` after `h [T*B, P]`, with weights `[V, P]` and bias `[V, 1]`.
///
/// The logits of a tile have at most `tile` elements. Gradients are those of the sum of the losses divided by `divisor`; without
/// it there is no backward pass.
pub fn full_softmax(
    graph: &mut Graph,
    h: Value,
    weight: Parameter,
    bias: Parameter,
    targets: Slice,
    tile: usize,
    divisor: Option<f32>,
) -> Slice {
    let (rows, _) = graph.shape(h);
    let nll = graph.builder.output_or_activation("nll", rows);
    let classes = Classes {
        name: "softmax".to_owned(),
        weight,
        bias: Some(bias),
    };
    let operation = FullSoftmax::forward(graph, h, classes, targets, nll, tile, divisor);
    if divisor.is_some() {
        graph.record(operation);
    }
    nll
}

impl FullSoftmax {
    /// Computes the losses `nll [rows]` of `targets [rows]` after `h [rows, width]`.
    pub fn forward(
        graph: &mut Graph,
        h: Value,
        classes: Classes,
        targets: Slice,
        nll: Slice,
        tile: usize,
        divisor: Option<f32>,
    ) -> FullSoftmax {
        let (rows, _) = graph.shape(h);
        let (count, width) = graph.extents(classes.weight);
        let pieces = graph.builder.pieces(graph.weight(classes.weight));
        let tiles = tiles(count, tile / rows, pieces[0].len / width);
        let name = &classes.name;
        let logits = [rows, tiles[0].width];
        let logits = graph.builder.stored(&format!("{name}.logits"), logits);
        let running = format!("{name}.running");
        let running = graph.builder.activation(&running, [rows, 3]);
        let operation = FullSoftmax {
            h,
            classes,
            targets,
            logits,
            running,
            tiles,
            divisor: divisor.unwrap_or(1.0),
            in_one_pass: divisor.is_some() && !graph.builder.limits().without.has(Change::Loss),
        };
        for (k, tile) in operation.tiles.iter().enumerate() {
            operation.emit_logits(graph, *tile);
            if operation.in_one_pass && k + 1 == operation.tiles.len() {
                continue;
            }
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
        let label = "softmax loss";
        if operation.in_one_pass {
            operation.emit_gradient(graph, label, nll);
        } else {
            let params = full_loss::Params { rows: rows as u32 };
            let slices = [running, targets, nll];
            graph
                .builder
                .step(label, &full_loss::KERNEL, &params, &slices);
        }
        operation
    }

    /// Completes the losses by the last tile, whose logits become gradients.
    fn emit_gradient(&self, graph: &mut Graph, label: &str, nll: Slice) {
        let Tile { start, width } = self.tiles[self.tiles.len() - 1];
        let rows = nll.len;
        let params = full_gradient::Params {
            rows: rows as u32,
            width: width as u32,
            start: start as u32,
            first: (start == 0).into(),
            divisor: self.divisor,
        };
        let slices = [
            self.logits.part(0, rows * width),
            self.targets,
            graph.loss_scale(),
            self.running,
            nll,
        ];
        graph
            .builder
            .step(label, &full_gradient::KERNEL, &params, &slices);
    }

    fn emit_logits(&self, graph: &mut Graph, tile: Tile) {
        let (rows, depth) = graph.shape(self.h);
        let mut params = product::Params::dense(rows, tile.width, depth).transposed_right();
        let weight = graph
            .operand(self.classes.weight)
            .part(tile.start * depth, tile.width * depth);
        let bias = self.classes.bias.map(|bias| graph.weight(bias));
        let bias = bias.map(|bias| bias.part(tile.start, tile.width));
        if bias.is_some() {
            params = params.biased();
        }
        let h = graph.data(self.h);
        let logits = self.logits.part(0, rows * tile.width);
        let slices = [h, weight, bias.unwrap_or(h), logits];
        graph
            .builder
            .step("softmax logits", &product::KERNEL, &params, &slices);
    }
}

impl Operation for FullSoftmax {
    fn backward(&self, graph: &mut Graph) {
        let label = "softmax backward";
        let (rows, depth) = graph.shape(self.h);
        let h = graph.data(self.h);
        let Classes { weight, bias, name } = &self.classes;
        let (dweight, more) = graph.dense_gradient(*weight);
        let dbias = bias.map(|bias| graph.dense_gradient(bias).0);
        let accumulate = more;
        let (dh, more) = graph.contribute(self.h);
        assert!(
            !more,
            "the softmax is the first to contribute to its operand"
        );
        // The sum over several tiles is in f32 until it is complete.
        let several = self.tiles.len() > 1 && graph.builder.is_mixed();
        let sum = if several {
            let name = format!("{name}.dh");
            graph.builder.activation(&name, [rows, depth])
        } else {
            dh
        };
        for (k, tile) in self.tiles.iter().enumerate().rev() {
            let is_last = k + 1 == self.tiles.len();
            if !is_last {
                self.emit_logits(graph, *tile);
            }
            let Tile { start, width } = *tile;
            let dlogits = self.logits.part(0, rows * width);
            if !is_last || !self.in_one_pass {
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
            }
            let params = product::Params::dense(width, depth, rows)
                .transposed_left()
                .accumulating(accumulate);
            emit_product(
                graph,
                label,
                &params,
                dlogits,
                h,
                None,
                dweight.part(start * depth, width * depth),
            );
            if let Some(dbias) = dbias {
                let params = sum_columns::Params {
                    rows: rows as u32,
                    width: width as u32,
                    accumulate: accumulate.into(),
                    scale: 1.0,
                };
                let slices = [dlogits, dbias.part(start, width)];
                graph
                    .builder
                    .step(label, &sum_columns::KERNEL, &params, &slices);
            }
            let params = product::Params::dense(rows, depth, width).accumulating(!is_last);
            let weight = graph.operand(*weight).part(start * depth, width * depth);
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
        for (vocabulary, largest, piece) in [
            (1, 1, 1),
            (10, 3, 10),
            (33_278, 5000, usize::MAX),
            (7, 100, 7),
            (5, 0, 5),
            (100, 40, 15),
            (100, 7, 15),
            (100, 15, 15),
            (91, 4, 15),
        ] {
            let mut next = 0;
            for tile in tiles(vocabulary, largest, piece) {
                let (first, last) = (tile.start / piece, (tile.start + tile.width - 1) / piece);
                assert!(tile.start.is_multiple_of(piece) || first == last);
                assert_eq!(tile.start, next);
                assert!(tile.width > 0 && tile.width <= largest.max(1));
                next += tile.width;
            }
            assert_eq!(next, vocabulary);
        }
    }
}
