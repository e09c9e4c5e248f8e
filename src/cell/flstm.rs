//! F-LSTM: the gate matrix as the product of two.

use super::kind::{CellKind, GateParameter, LayerSizes, SizeKey};
use super::layout::ColumnLayout;
use super::onnx::{Attribute, OnnxLayer};
use crate::error::Result;
use crate::graph::Parameter;
use crate::graph::operations::layer::Gates;

/// F-LSTM: the gate matrix as the product of two.
///
/// `z = ([x; h] W1) W2 + b` with `W1 [I+P, r]` and `W2 [r, 4H]`, without a bias or a nonlinearity between the two. A layer has
/// `(I+P)*r + r*4H + 4H + H*P` parameters.
///
/// O. Kuchaiev and B. Ginsburg, *Factorization tricks for LSTM networks* (2017, arXiv 1703.10722).
pub struct Flstm;

impl Flstm {
    /// `r`, the inner dimension of the two matrices. A workgroup of a product computes at least 64 columns.
    pub const FACTOR: SizeKey = SizeKey {
        key: "model.factor",
        letter: "r",
        default: "512",
        doc: "Inner dimension of the two gate matrices of an `flstm`, `r`; one number, or a list with one for each layer.",
        example: 64,
        dispatch_limit: 1 << 21,
        bench: &[("flstm r=128", 128)],
    };
}

impl CellKind for Flstm {
    fn name(&self) -> &'static str {
        "flstm"
    }

    fn doc(&self) -> &'static str {
        "The gate matrix is a product of two matrices with the inner dimension `model.factor`."
    }

    fn size_key(&self) -> Option<&'static SizeKey> {
        Some(&Self::FACTOR)
    }

    fn parameters(&self, factor: usize, sizes: &LayerSizes) -> Vec<GateParameter> {
        vec![
            GateParameter {
                name: "factor_in",
                extents: "[I+P, r]",
                shape: [sizes.input + sizes.output, factor].into(),
                layout: ColumnLayout::Plain,
            },
            GateParameter {
                name: "factor_out",
                extents: "[r, 4H]",
                shape: [factor, 4 * sizes.hidden].into(),
                layout: ColumnLayout::Interleaved {
                    units: sizes.hidden,
                },
            },
        ]
    }

    fn gates(&self, _factor: usize, parameter: &dyn Fn(&str) -> Parameter) -> Gates {
        Gates::Factorized {
            first: parameter("factor_in"),
            second: parameter("factor_out"),
        }
    }

    fn proposed(&self) -> &'static str {
        "glstm"
    }

    fn onnx(&self, factor: usize, sizes: &LayerSizes, layer: &mut dyn OnnxLayer) -> Result<String> {
        let (x, h) = (layer.x(), layer.h());
        let joined = layer.node("Concat", &[&x, &h], "x and h", &[Attribute::Int("axis", 1)]);
        let first = layer.parameter("factor_in", &[sizes.input + sizes.output, factor])?;
        let second = layer.parameter("factor_out", &[factor, 4 * sizes.hidden])?;
        let narrow = layer.node("MatMul", &[&joined, &first], "narrow", &[]);
        Ok(layer.node("MatMul", &[&narrow, &second], "product", &[]))
    }
}
