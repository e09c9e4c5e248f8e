//! Safetensors files with the names and conventions of PyTorch: `torch.nn.Embedding` (`embedding`), `torch.nn.LSTM` (`lstm`)
//! and `torch.nn.Linear` (`softmax`) load them by name.
//!
//! | wlstm | PyTorch |
//! |---|---|
//! | `embedding.weight [V, E]` | `embedding.weight [V, E]` |
//! | `layers.K.gates.weight [I+P, 4H]`, gates i, j, f, o | `lstm.weight_ih_lK [4H, I]`, `lstm.weight_hh_lK [4H, P]`, gates i, f, g, o, where g is j |
//! | `layers.K.gates.bias [4H]`, without the forget bias | `lstm.bias_ih_lK [4H]`, with the forget bias; `lstm.bias_hh_lK [4H]` |
//! | `layers.K.projection.weight [H, P]` | `lstm.weight_hr_lK [P, H]` |
//! | `softmax.weight [V, P]`, `softmax.bias [V]` | the same; `softmax.weight` of a tied model is the embedding |
//!
//! A model that `torch.nn.LSTM` does not support (other cells, residual connections, a projection that is not smaller than the
//! hidden size) has the following names instead, which the second class of `wlstm help interchange` loads:
//!
//! | wlstm | PyTorch |
//! |---|---|
//! | a gate parameter `layers.K.gates.NAME`, matrices `[rows, columns]` | `layers.K.NAME`, their transposes; gates i, f, g, o |
//! | `layers.K.gates.bias [4H]` | `layers.K.bias_ih [4H]`, `layers.K.bias_hh [4H]` |
//! | `layers.K.projection.weight [H, P]` | `layers.K.weight_hr [P, H]` |
//!
//! So an `lstmp` has `layers.K.weight [4H, I+P]`, an `flstm` `factor_in [r, I+P]` and `factor_out [4H, r]`, and a `glstm`
//! `weight [G, 4H/G, (I+P)/G]`. The metadata `wlstm.residual` is `true` or `false`.
//!
//! PyTorch adds both biases. `bias_ih` is the rounded sum of a bias and the forget bias, and `bias_hh` the rounding error,
//! so that importing an exported file restores every bit. `bias_hh` is 0 elsewhere.

mod export;
mod import;
mod layout;

pub use export::export;
pub use import::Imported;
pub use layout::{cluster_weight, is_pytorch};
