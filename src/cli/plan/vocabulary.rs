//! The size of the vocabulary of a configuration.

use serde::Serialize;

use super::super::preparation::Preparation;
use crate::config::{Config, Tokens};
use crate::corpus::{Corpus, DEFAULT_BPE_SIZE, Vocabulary};
use crate::error::{Error, Result};
use crate::job::text::{counted_vocabulary, vocabulary_file};

/// The size of a vocabulary, its source and its counts.
pub(in crate::cli) struct VocabularySize {
    /// All words, special ones included.
    pub words: usize,
    /// The source of the number.
    pub source: VocabularySource,
    /// How often each word occurs, if that is known.
    pub counts: Option<Vec<u64>>,
}

/// The source of the size of a vocabulary.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum VocabularySource {
    /// The file `data.vocab`.
    File,
    /// The number `data.vocab_size`, which the file `data.vocab` must match.
    VocabSize,
    /// The number `data.vocab_size` or, for subwords, its default: an upper bound, as the training text may have fewer words.
    #[serde(rename = "vocab_size")]
    AtMost,
    /// The words of the training text.
    Text,
}

/// Finds the size of the vocabulary, without the training text where possible.
pub(in crate::cli) fn vocabulary_size(config: &Config, quiet: bool) -> Result<VocabularySize> {
    let data = &config.data;
    let known = |vocabulary: Vocabulary, source| {
        let ids = 0..vocabulary.len() as u32;
        let counts: Vec<u64> = ids.map(|id| vocabulary.count(id)).collect();
        VocabularySize {
            words: vocabulary.len(),
            source,
            counts: counts.iter().any(|count| *count > 0).then_some(counts),
        }
    };
    let of_size = |words, source| VocabularySize {
        words,
        source,
        counts: None,
    };
    Ok(match &data.vocab {
        Some(path) if path.exists() || data.vocab_size == 0 => {
            let vocabulary = vocabulary_file(config, path).map_err(unknown_size)?;
            known(vocabulary, VocabularySource::File)
        }
        Some(_) => of_size(data.vocab_size, VocabularySource::VocabSize),
        None if data.vocab_size > 0 => of_size(data.vocab_size, VocabularySource::AtMost),
        // The training text decides only whether there are fewer.
        None if data.tokens == Tokens::Bpe => of_size(DEFAULT_BPE_SIZE, VocabularySource::AtMost),
        None => {
            let corpus = Corpus::training(data).map_err(unknown_size)?;
            let mut preparation = Preparation::new(quiet);
            let vocabulary =
                counted_vocabulary(config, &corpus, &mut |event| preparation.show(event))?;
            known(vocabulary, VocabularySource::Text)
        }
    })
}

fn unknown_size(error: Error) -> Error {
    error
        .context("the size of the vocabulary is not known")
        .help("create the file, or give the size with --set data.vocab_size=N")
}
