//! LSTM with projection: one dense gate matrix.

use super::kind::{CellKind, GateParameter, LayerSizes};
use super::layout::ColumnLayout;
use super::onnx::{Attribute, OnnxLayer};
use crate::error::Result;
use crate::graph::Parameter;
use crate::graph::operations::layer::Gates;

/// LSTM with projection: one dense gate matrix.
///
/// `z = [x; h] W + b` with `W [I+P, 4H]`. A layer has `(I+P)*4H + 4H + H*P` parameters.
///
/// H. Sak, A. Senior and F. Beaufays, *Long short-term memory based recurrent neural network architectures for large vocabulary
/// speech recognition* (2014, arXiv 1402.1128).
pub struct Lstmp;

impl CellKind for Lstmp {
    fn name(&self) -> &'static str {
        "lstmp"
    }

    fn doc(&self) -> &'static str {
        "One dense gate matrix."
    }

    fn parameters(&self, _size: usize, sizes: &LayerSizes) -> Vec<GateParameter> {
        vec![GateParameter {
            name: "weight",
            extents: "[I+P, 4H]",
            shape: [sizes.input + sizes.output, 4 * sizes.hidden].into(),
            layout: ColumnLayout::Interleaved {
                units: sizes.hidden,
            },
        }]
    }

    fn gates(&self, _size: usize, parameter: &dyn Fn(&str) -> Parameter) -> Gates {
        Gates::Grouped {
            weight: parameter("weight"),
            groups: 1,
        }
    }

    fn is_dense(&self) -> bool {
        true
    }

    fn proposed(&self) -> &'static str {
        "glstm"
    }

    fn onnx(&self, _size: usize, sizes: &LayerSizes, layer: &mut dyn OnnxLayer) -> Result<String> {
        let (x, h) = (layer.x(), layer.h());
        let joined = layer.node("Concat", &[&x, &h], "x and h", &[Attribute::Int("axis", 1)]);
        let shape = [sizes.input + sizes.output, 4 * sizes.hidden];
        let weight = layer.parameter("weight", &shape)?;
        Ok(layer.node("MatMul", &[&joined, &weight], "product", &[]))
    }
}
