//! Trains a tokenizer on a text.

use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::{Tokenizer, Trainer};

use super::alphabet::{character, written};
use super::pieces::{for_each_piece, segment_end};
use super::tokenizer::{Bpe, MAX_ID};
use crate::corpus::bad_utf8::BadUtf8;
use crate::corpus::files::Corpus;
use crate::error::{Error, Result};

/// The default size of a vocabulary, special words included.
pub const DEFAULT_SIZE: usize = 8000;

/// The smallest vocabulary: a token for every byte, the two special words, and one token of two bytes.
pub const MIN_SIZE: usize = 259;

/// The maximum number of bytes that a tokenizer is trained on. A longer text is sampled evenly.
const TRAINED_ON: usize = 256 << 20;

/// Bytes of a sample.
const SAMPLE: usize = 1 << 18;

impl Bpe {
    /// Trains a tokenizer of `size` tokens on a corpus, or on evenly spaced samples of a corpus of more than 256 MB. A short text
    /// gives fewer tokens.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the text is not UTF-8 (with file and line).
    pub fn train(corpus: &Corpus, size: usize) -> Result<Bpe> {
        // Each merge of a pair of tokens makes the text shorter. The library allocates memory for all tokens at once.
        let possible = usize::try_from(corpus.bytes()).map_or(usize::MAX, |bytes| 256 + bytes);
        let size = size.min(possible).min(MAX_ID as usize);
        let mut trainer = BpeTrainer::builder()
            .vocab_size(size)
            .show_progress(false)
            .initial_alphabet((0..=255).map(character).collect())
            .build();
        let samples = corpus.samples(TRAINED_ON / SAMPLE, SAMPLE)?;
        let mut segments = Vec::new();
        for sample in &samples {
            corpus.check_file(sample.file)?;
            let text = corpus.text(sample.file);
            let end = sample.range.end.min(sample.range.start + 4 * SAMPLE);
            let mut at = sample.range.start;
            while at < end {
                if matches!(text[at], b'\n' | b'\r') {
                    at += 1;
                    continue;
                }
                let stop = segment_end(&text[..end], at);
                let segment = std::str::from_utf8(&text[at..stop]).map_err(|error| {
                    corpus.bad_utf8(sample.file, BadUtf8(at + error.valid_up_to()))
                });
                match segment {
                    Ok(segment) => segments.push(segment),
                    // The last character of a sample that ends within a line can be cut.
                    Err(_) if stop == end && end < text.len() => {}
                    Err(error) => return Err(error),
                }
                at = stop.max(at + 1);
            }
            corpus.note_read(end - sample.range.start);
        }
        let pieces = |segment: &str| {
            let mut pieces = Vec::new();
            for_each_piece(segment, |piece| pieces.push(written(piece.as_bytes())));
            Ok(pieces)
        };
        let failed = |error| {
            Error::data("the tokenizer cannot be trained")
                .because(error)
                .help("check the text")
        };
        trainer.feed(segments.into_iter(), pieces).map_err(failed)?;
        let mut model = BPE::default();
        trainer.train(&mut model).map_err(failed)?;
        let mut tokenizer = Tokenizer::new(model);
        let rule = ByteLevel::new(false, true, true);
        tokenizer.with_pre_tokenizer(Some(rule));
        tokenizer.with_decoder(Some(rule));
        let json = tokenizer.to_string(false).map_err(failed)?;
        // Use the tokenizer as it is written to files.
        Bpe::from_json(json.as_bytes(), "the trained tokenizer")
    }
}
