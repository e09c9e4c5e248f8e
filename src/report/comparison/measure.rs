//! The number by which two models can be compared.

use crate::config::DataConfig;

/// The number by which models can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Perplexity: the models predict the same tokens.
    Perplexity,
    /// Bits per byte: the models split the same text into different tokens.
    BitsPerByte,
}

/// How models of these texts can be compared.
///
/// # Errors
///
/// The name of a key of `[data]` in which they differ, if their validation texts differ according to the configurations.
pub fn measure(one: &DataConfig, other: &DataConfig) -> Result<Measure, &'static str> {
    let DataConfig {
        order,
        tokens,
        normalization,
        train,
        valid,
        test: _,
        vocab,
        vocab_size,
        min_count,
        shuffle: _,
        valid_share,
        valid_choice,
    } = other;
    let texts = [
        ("order", *order != one.order),
        // It changes the bytes of the text.
        ("normalization", *normalization != one.normalization),
        ("valid", *valid != one.valid),
        ("valid_share", *valid_share != one.valid_share),
        ("valid_choice", *valid_choice != one.valid_choice),
        // It holds out the validation text.
        (
            "train",
            valid.is_empty() && *valid_share > 0.0 && *train != one.train,
        ),
    ];
    if let Some((key, _)) = texts.iter().find(|(_, differs)| *differs) {
        return Err(key);
    }
    let is_same = *tokens == one.tokens
        && *vocab == one.vocab
        && *vocab_size == one.vocab_size
        && *min_count == one.min_count
        // Without a vocabulary file, the vocabulary is built from the training text.
        && (vocab.is_some() || *train == one.train);
    Ok(if is_same {
        Measure::Perplexity
    } else {
        Measure::BitsPerByte
    })
}
