//! The batches of a text, in both orders, for training and for evaluation.
//!
//! Each batch comes with the [`Position`] after it. [`Batches::resume`] continues from a position with the very next batch.

use super::batch::{Batch, BatchOptions, Position};
use super::contiguous::ContiguousBatches;
use super::sentences::SentenceBatches;
use super::text::Text;
use super::vocabulary::Order;
use super::windows::WindowBatches;
use crate::error::Result;

/// An iterator over the batches of a text. It ends after the last batch or after an error.
#[derive(Debug)]
pub struct Batches {
    text: Text,
    source: Source,
    ended: bool,
}

/// Batches in one of the orders, or of windows of a text in `contiguous` order.
#[derive(Debug)]
enum Source {
    Sentences(Box<SentenceBatches>),
    Contiguous(Box<ContiguousBatches>),
    Windows(Box<WindowBatches>),
}

impl Batches {
    /// Training batches, from the start of the text.
    ///
    /// `sentences` order: streams are filled from one queue of sentences, epoch after epoch without a gap. The batches end
    /// before the first batch that would need a sentence after the last epoch.
    ///
    /// `contiguous` order: in each epoch, the `n` tokens are cut into `B` streams of `n / B` tokens that are read in
    /// parallel. The last batch of an epoch is padded if the stream length is not a multiple of the unroll. The first batch of
    /// an epoch asks for a reset of the state.
    ///
    /// # Errors
    ///
    /// If an epoch does not fill one batch, or the text is not UTF-8 (with file and line).
    ///
    /// # Panics
    ///
    /// If `batch` or `unroll` is 0.
    pub fn training(text: &Text, options: &BatchOptions) -> Result<Batches> {
        Batches::open(text, options, None)
    }

    /// Training batches, from a position in the same text with the same options. Only `epochs` may differ.
    ///
    /// # Errors
    ///
    /// Same as [`Batches::training`], and if the position does not belong to this text.
    ///
    /// # Panics
    ///
    /// If `batch` or `unroll` is 0.
    pub fn resume(text: &Text, options: &BatchOptions, position: &Position) -> Result<Batches> {
        position.check_text(text.corpus())?;
        position.check_size(options)?;
        Batches::open(text, options, Some(position))
    }

    /// Evaluation batches: every target of the files exactly once, in file order, in `batch` streams of `unroll` steps. A
    /// stream that has ended is padded. The first batch asks for a reset of the state, the others carry it over.
    ///
    /// # Errors
    ///
    /// If the files contain no target, or the text is not UTF-8 (with file and line).
    ///
    /// # Panics
    ///
    /// If `batch` or `unroll` is 0.
    pub fn evaluation(text: &Text, batch: usize, unroll: usize) -> Result<Batches> {
        assert!(batch > 0 && unroll > 0, "batch {batch}, unroll {unroll}");
        Ok(Batches::new(
            text,
            match text.vocabulary().order() {
                Order::Sentences => {
                    Source::Sentences(Box::new(SentenceBatches::evaluation(text, batch, unroll)?))
                }
                Order::Contiguous => Source::Contiguous(Box::new(ContiguousBatches::evaluation(
                    text, batch, unroll,
                )?)),
            },
        ))
    }

    /// Evaluation batches of `targets` targets, sampled evenly from the whole text; see [`Batches::evaluation`]. If the text
    /// has at most that number of targets, or `targets` is 0, these are the batches of the whole text.
    ///
    /// `sentences` order: every k-th sentence, in file order. The last sentence can exceed the number of targets.
    ///
    /// `contiguous` order: evenly spaced windows. The state is reset before each window, and the 64 tokens before it are inputs
    /// without targets, so that the model has a context.
    ///
    /// The choice depends only on the text, `targets` and `batch`. The batches contain the bytes of their targets. Token
    /// files do not, so the text is parsed.
    ///
    /// # Errors
    ///
    /// Same as [`Batches::evaluation`].
    ///
    /// # Panics
    ///
    /// If `batch` or `unroll` is 0.
    pub fn spread(text: &Text, batch: usize, unroll: usize, targets: u64) -> Result<Batches> {
        let all = if targets == 0 { 0 } else { text.targets()? };
        if targets >= all {
            return Batches::evaluation(text, batch, unroll);
        }
        assert!(batch > 0 && unroll > 0, "batch {batch}, unroll {unroll}");
        let text = &text.with_bytes();
        let source = match text.vocabulary().order() {
            Order::Sentences => {
                let whole = SentenceBatches::evaluation(text, batch, unroll)?;
                Source::Sentences(Box::new(whole.spread(targets, all)))
            }
            Order::Contiguous => {
                let windows = WindowBatches::new(text, batch, unroll, targets)?;
                Source::Windows(Box::new(windows))
            }
        };
        Ok(Batches::new(text, source))
    }

    fn open(text: &Text, options: &BatchOptions, position: Option<&Position>) -> Result<Batches> {
        let BatchOptions { batch, unroll, .. } = *options;
        assert!(batch > 0 && unroll > 0, "batch {batch}, unroll {unroll}");
        Ok(Batches::new(
            text,
            match text.vocabulary().order() {
                Order::Sentences => Source::Sentences(Box::new(SentenceBatches::training(
                    text, options, position,
                )?)),
                Order::Contiguous => Source::Contiguous(Box::new(ContiguousBatches::training(
                    text, options, position,
                )?)),
            },
        ))
    }

    /// Whether these are the batches of part of a text; see [`Batches::spread`].
    pub fn is_of_part(&self) -> bool {
        match &self.source {
            Source::Sentences(sentences) => sentences.is_of_part(),
            Source::Contiguous(_) => false,
            Source::Windows(_) => true,
        }
    }

    fn new(text: &Text, source: Source) -> Batches {
        Batches {
            text: text.clone(),
            source,
            ended: false,
        }
    }

    /// Number of batches in an epoch, or in the whole evaluation.
    ///
    /// Exact in `contiguous` order. In `sentences` order it is exact to one batch for small corpora and estimated from
    /// samples for larger ones.
    ///
    /// # Errors
    ///
    /// If a sample is not UTF-8 (with file and line).
    pub fn epoch_steps(&self) -> Result<u64> {
        match &self.source {
            Source::Sentences(sentences) => sentences.epoch_steps(),
            Source::Contiguous(streams) => Ok(streams.epoch_steps()),
            Source::Windows(windows) => Ok(windows.steps()),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        if self.ended {
            return None;
        }
        let next = self
            .text
            .check_whole()
            .and_then(|()| match &mut self.source {
                Source::Sentences(sentences) => sentences.next_batch(),
                Source::Contiguous(streams) => streams.next_batch(),
                Source::Windows(windows) => windows.next_batch(),
            });
        let next = next.transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}
