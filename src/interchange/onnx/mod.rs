//! A model as an ONNX graph that computes one time step, or that scores whole sentences.
//!
//! The inputs of [`Graph::Step`] are words and states, its outputs log-probabilities and states:
//!
//! | input | type | output | type |
//! |---|---|---|---|
//! | `word` | int64 `[batch]` | `log_probability` | float `[batch, V]` |
//! | `h.K` | float `[batch, P]` | `h.K.next` | float `[batch, P]` |
//! | `c.K` | float `[batch, H]` | `c.K.next` | float `[batch, H]` |
//!
//! States start at zero, and the first word is the boundary token.
//!
//! [`Graph::Nll`] has the inputs and outputs of the language models that icefall exports, and that sherpa-onnx loads to rescore
//! hypotheses:
//!
//! | input | type | output | type |
//! |---|---|---|---|
//! | `x` | int64 `[N, L]` | `nll` | float `[N]` |
//! | `x_lens` | int64 `[N]` | | |
//!
//! `x` has the words of `N` sentences without boundary tokens, padded to the longest, and `x_lens` the number of words of
//! each. `nll` is the negative log-likelihood of the words of a sentence and its end. The time step is the body of a `Scan`.
//! The metadata has `sos_id`, `eos_id` (both are the boundary token) and `vocab_size`.
//!
//! Operators are those of opset 17. The metadata of the
//! model has the configuration and the vocabulary. Parameters of more than [`MAX_INLINE`] bytes are stored in a second
//! file in the same folder, `FILE.data`, because an ONNX message has a limited size.

mod builder;
mod export;
mod nll;
mod proto;
mod step;

pub use export::{Graph, MAX_INLINE, export};
