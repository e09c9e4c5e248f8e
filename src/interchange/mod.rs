//! Exports models for other programs, and imports models from PyTorch.
//!
//! | module | file |
//! |---|---|
//! | [`native`] | parameters under the names of checkpoints, for `--init` |
//! | [`pytorch`] | safetensors that modules of PyTorch load by name |
//! | [`onnx`] | one step with states as inputs and outputs, or whole sentences, as an ONNX graph |
//!
//! Unless asked otherwise, an export has the parameters that `eval`, `score` and `generate` use: see
//! [`ParameterSet`](crate::model::parameter_set::ParameterSet).

pub mod native;
pub mod onnx;
pub mod pytorch;
mod source;

pub use source::{ExportSource, WORDS};
