//! One step of a model as an ONNX graph: inputs are words and states, outputs are log-probabilities and
//! states.
//!
//! | input | type | output | type |
//! |---|---|---|---|
//! | `word` | int64 `[batch]` | `log_probability` | float `[batch, V]` |
//! | `h.K` | float `[batch, P]` | `h.K.next` | float `[batch, P]` |
//! | `c.K` | float `[batch, H]` | `c.K.next` | float `[batch, H]` |
//!
//! States start at zero, and the first word is the boundary token. Operators are those of opset 17. The metadata of the
//! model has the configuration and the vocabulary. Parameters of more than [`MAX_INLINE`] bytes are stored in a second
//! file in the same folder, `FILE.data`, because an ONNX message has a limited size.

mod builder;
mod export;
mod proto;
mod step;

pub use export::{MAX_INLINE, export};
