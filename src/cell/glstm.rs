//! G-LSTM: an independent gate matrix for each group of inputs, outputs and memory cells.

use super::kind::{CellKind, Dimension, GateParameter, LayerSizes, SizeKey, Violation};
use super::layout::ColumnLayout;
use super::onnx::{Attribute, OnnxLayer};
use crate::error::Result;
use crate::graph::Parameter;
use crate::graph::operations::layer::Gates;

/// G-LSTM: an independent gate matrix for each group of inputs, outputs and memory cells.
///
/// For every group `g` of `G`, with the contiguous slices `x_g [B, I/G]` and `h_g [B, P/G]`: `R_g = [x_g; h_g] T_g` with
/// `T_g [(I+P)/G, 4H/G]`, without bias. `R_g` consists of i_g, j_g, f_g, o_g of `H/G` columns each. Gate i is the
/// concatenation of all i_g plus `b_i [H]`, and so on: weights belong to groups, while the bias is i, j, f, o over all
/// `H`. The projection is dense and mixes the groups at every step. With `G = 1` the cell is equivalent to
/// [`Lstmp`](super::Lstmp). A layer has `(I+P)*4H/G + 4H + H*P` parameters.
///
/// O. Kuchaiev and B. Ginsburg, *Factorization tricks for LSTM networks* (2017, arXiv 1703.10722).
pub struct Glstm;

impl Glstm {
    /// `G`, the number of groups. A workgroup of a product computes one group.
    pub const GROUPS: SizeKey = SizeKey {
        key: "model.groups",
        letter: "G",
        default: "[4, 8]",
        doc: "Number of groups of a `glstm`, `G`; one number, or a list with one for each layer. It must divide the \
              sizes of the input, the output and the memory cells of the layer.",
        example: 4,
        dispatch_limit: 1 << 16,
        bench: &[("glstm 2", 2), ("glstm 4", 4), ("glstm 8", 8)],
    };
}

impl CellKind for Glstm {
    fn name(&self) -> &'static str {
        "glstm"
    }

    fn doc(&self) -> &'static str {
        "`model.groups` independent gate matrices, each for a slice of input, output and memory cells."
    }

    fn size_key(&self) -> Option<&'static SizeKey> {
        Some(&Self::GROUPS)
    }

    fn parameters(&self, groups: usize, sizes: &LayerSizes) -> Vec<GateParameter> {
        let (rows, units) = ((sizes.input + sizes.output) / groups, sizes.hidden / groups);
        vec![GateParameter {
            name: "weight",
            extents: "[G, (I+P)/G, 4H/G]",
            shape: [groups, rows, 4 * units].into(),
            layout: ColumnLayout::Interleaved { units },
        }]
    }

    fn gates(&self, groups: usize, parameter: &dyn Fn(&str) -> Parameter) -> Gates {
        Gates::Grouped {
            weight: parameter("weight"),
            groups,
        }
    }

    fn check(&self, groups: usize, sizes: &LayerSizes) -> std::result::Result<(), Violation> {
        let dimensions = [
            (Dimension::Input, "input", sizes.input),
            (Dimension::Output, "output", sizes.output),
            (Dimension::Hidden, "cells", sizes.hidden),
        ];
        match dimensions
            .iter()
            .find(|(.., len)| !len.is_multiple_of(groups))
        {
            None => Ok(()),
            Some((dimension, what, _)) => Err(Violation {
                dimension: *dimension,
                reason: format!("has {groups} groups, which do not divide its {what}"),
                help: "choose groups that divide the input, the output and the cells of their layer",
            }),
        }
    }

    fn joins_inputs(&self, groups: usize) -> bool {
        groups > 1
    }

    fn onnx(&self, groups: usize, sizes: &LayerSizes, layer: &mut dyn OnnxLayer) -> Result<String> {
        let count = groups as i64;
        let (rows, units) = ((sizes.input + sizes.output) / groups, sizes.hidden / groups);
        // x and h as [B, G, .], joined and with the groups first: one product for each group.
        let [x, h] = [
            ("x", layer.x(), sizes.input),
            ("h", layer.h(), sizes.output),
        ]
        .map(|(name, value, len)| {
            let shape = [-1, count, (len / groups) as i64];
            let shape = layer.integers(&format!("{name} shape"), &shape);
            layer.node(
                "Reshape",
                &[&value, &shape],
                &format!("{name} in groups"),
                &[],
            )
        });
        let swap = [Attribute::Ints("perm", &[1, 0, 2])];
        let joined = layer.node("Concat", &[&x, &h], "x and h", &[Attribute::Int("axis", 2)]);
        let joined = layer.node("Transpose", &[&joined], "groups first", &swap);
        let weight = layer.parameter("weight", &[groups, rows, 4 * units])?;
        let product = layer.node("MatMul", &[&joined, &weight], "by group", &[]);
        // [G, B, 4*H/G] to [B, G, 4, H/G] to [B, 4, G, H/G], which is [B, 4H].
        let product = layer.node("Transpose", &[&product], "batch first", &swap);
        let shape = layer.integers("gates shape", &[-1, count, 4, units as i64]);
        let gates = layer.node("Reshape", &[&product, &shape], "gates of groups", &[]);
        let swap = [Attribute::Ints("perm", &[0, 2, 1, 3])];
        let gates = layer.node("Transpose", &[&gates], "groups of gates", &swap);
        let shape = layer.integers("flat shape", &[-1, 4 * sizes.hidden as i64]);
        Ok(layer.node("Reshape", &[&gates, &shape], "product", &[]))
    }
}
