//! Byte-level BPE, `data.tokens = "bpe"` (Sennrich et al. 2016; Radford et al. 2019): subwords by the `tokenizers` library.
//!
//! | module | content |
//! |---|---|
//! | `alphabet` | bytes as printable characters, as tokens are written |
//! | `pieces` | splitting lines into the pieces that BPE divides |
//! | `tokenizer` | a tokenizer from its file: [`Bpe`] |
//! | `train` | a tokenizer from a text |

pub(in crate::corpus) mod alphabet;
pub(in crate::corpus) mod pieces;
mod tokenizer;
mod train;

pub use tokenizer::Bpe;
pub use train::{DEFAULT_SIZE, MIN_SIZE};
