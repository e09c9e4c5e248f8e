//! Batches of both orders, for training and for evaluation.
//!
//! The rows of a batch are time-major: row `t*B + b` is stream `b` at time `t`. A batch comes with the [`Position`] after it,
//! from which [`Batches::resume`] continues with the very next batch.

use serde::{Deserialize, Serialize};

use super::contiguous::Columns;
use super::files::Corpus;
use super::sentences::{RowPosition, Sentences};
use super::text::{Text, Token};
use super::vocabulary::{Order, Vocabulary};
use crate::error::{Error, Result};

/// The target of padding: no loss, no gradient, not counted.
pub const IGNORE: u32 = u32::MAX;

/// `T` steps of `B` streams.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Input ids `[T*B]`, time-major; 0 for padding.
    pub inputs: Vec<u32>,
    /// Target ids `[T*B]`, time-major; [`IGNORE`] for padding.
    pub targets: Vec<u32>,
    /// The epoch of the newest sentence or token of it, from 1.
    pub epoch: u64,
    /// Whether the recurrent state must be zero before it.
    pub reset: bool,
    /// Real targets, those that are not padding.
    pub words: usize,
    /// Targets whose id is the unknown word's: those that are in no vocabulary, and the unknown words that stand in the text.
    pub unknown: usize,
    /// Where the next batch begins.
    pub position: Position,
}

/// What to train on, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Streams, `B`.
    pub batch: usize,
    /// Steps of a batch, `T`.
    pub unroll: usize,
    /// Whether the files of each epoch and the lines of each file are shuffled. Only in `sentences` order.
    pub shuffle: bool,
    /// What the shuffling depends on.
    pub seed: u64,
    /// The epochs after which the batches end; 0: never.
    pub epochs: u64,
}

/// A place between two batches: what a checkpoint keeps of the data. In lines and tokens, which are the same whether tokens come
/// from the text or from a cache of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The epoch, from 1.
    pub epoch: u64,
    /// Batches of this epoch that were given.
    pub step: u64,
    /// Streams, `B`.
    pub batch: usize,
    /// Steps of a batch, `T`.
    pub unroll: usize,
    /// The bytes of the corpus.
    pub bytes: u64,
    /// [`Corpus::digest`](super::Corpus::digest): another corpus is not continued.
    pub digest: u64,
    /// `sentences`: how many files of the epoch are used up.
    pub files: usize,
    /// `sentences`: lines taken of the file after them.
    pub place: u64,
    /// `sentences`: what is left of each stream's sentence.
    pub rows: Vec<Option<RowPosition>>,
}

impl Position {
    /// Checks that it is one of this training text.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it is one of another.
    pub fn check_text(&self, corpus: &Corpus) -> Result<()> {
        let place = corpus.path(0).display();
        let what = if self.bytes != corpus.bytes() {
            format!(
                "`data.train`, `{place}`, is not the training text of the run: it has {} bytes, that had {}",
                corpus.bytes(),
                self.bytes
            )
        } else if self.digest != corpus.digest() {
            format!(
                "`data.train`, `{place}`, is as long as the training text of the run, but it is not the same text"
            )
        } else {
            return Ok(());
        };
        Err(Error::data(what).help(RESUME))
    }
}

/// The rows of a batch while it is filled.
pub(crate) struct Rows {
    batch: usize,
    unknown_id: u32,
    inputs: Vec<u32>,
    targets: Vec<u32>,
    words: usize,
    unknown: usize,
}

impl Rows {
    /// All padding.
    pub(crate) fn new(batch: usize, unroll: usize, vocabulary: &Vocabulary) -> Rows {
        Rows {
            batch,
            unknown_id: vocabulary.unknown(),
            inputs: vec![0; batch * unroll],
            targets: vec![IGNORE; batch * unroll],
            words: 0,
            unknown: 0,
        }
    }

    /// Sets stream `b` at time `t`.
    #[inline]
    pub(crate) fn set(&mut self, t: usize, b: usize, input: u32, target: Token) {
        let row = t * self.batch + b;
        self.inputs[row] = input;
        self.targets[row] = target.id;
        self.words += 1;
        self.unknown += usize::from(target.id == self.unknown_id);
    }

    /// Whether all is padding.
    pub(crate) fn is_empty(&self) -> bool {
        self.words == 0
    }

    pub(crate) fn finish(self, epoch: u64, reset: bool, position: Position) -> Batch {
        Batch {
            inputs: self.inputs,
            targets: self.targets,
            epoch,
            reset,
            words: self.words,
            unknown: self.unknown,
            position,
        }
    }
}

/// The batches of a text, in order. Ends after the last one, or after an error.
#[derive(Debug)]
pub struct Batches {
    source: Source,
    ended: bool,
}

#[derive(Debug)]
enum Source {
    Sentences(Box<Sentences>),
    Columns(Box<Columns>),
}

/// What to do where a run cannot go on with what it is given.
const RESUME: &str = "resume with the corpus and the sizes of the run, as its `config.toml` names them, or start a new run with `--init`";

impl Batches {
    /// Batches to train on, from the start.
    ///
    /// `sentences`: rows are packed from one queue of sentences, epoch after epoch without a gap; a batch that would need a
    /// sentence after the last epoch is not given. `contiguous`: every epoch is cut into `B` columns of `n / B` of the `n`
    /// tokens and walked to their end, the last batch padded where the columns do not divide by the unroll; its first batch
    /// wants the state reset.
    ///
    /// # Errors
    ///
    /// If one epoch does not fill one batch, or the text is not UTF-8 (with file and line).
    ///
    /// # Panics
    ///
    /// If batch or unroll is 0.
    pub fn training(text: &Text, options: &Training) -> Result<Batches> {
        Batches::open(text, options, None)
    }

    /// Batches to train on, from a position that a batch of the same text and options came with. Only `epochs` may differ.
    ///
    /// # Errors
    ///
    /// As [`Batches::training`]; and if the position is none of this text.
    ///
    /// # Panics
    ///
    /// If batch or unroll is 0.
    pub fn resume(text: &Text, options: &Training, position: &Position) -> Result<Batches> {
        position.check_text(text.corpus())?;
        if (position.batch, position.unroll) != (options.batch, options.unroll) {
            return Err(Error::data(format!(
                "the data position is one of {} streams of {} steps, but the batches are {} of {}",
                position.batch, position.unroll, options.batch, options.unroll
            ))
            .help(RESUME));
        }
        Batches::open(text, options, Some(position))
    }

    /// Every target of the files once, in file order: `batch` streams of `unroll` steps, padded where streams run dry. The
    /// first batch wants the state reset, the others carry it.
    ///
    /// # Errors
    ///
    /// If the files hold no target, or the text is not UTF-8 (with file and line).
    ///
    /// # Panics
    ///
    /// If batch or unroll is 0.
    pub fn evaluation(text: &Text, batch: usize, unroll: usize) -> Result<Batches> {
        assert!(batch > 0 && unroll > 0, "batch {batch}, unroll {unroll}");
        let source = match text.vocabulary().order() {
            Order::Sentences => {
                Source::Sentences(Box::new(Sentences::evaluation(text, batch, unroll)?))
            }
            Order::Contiguous => {
                Source::Columns(Box::new(Columns::evaluation(text, batch, unroll)?))
            }
        };
        Ok(Batches {
            source,
            ended: false,
        })
    }

    fn open(text: &Text, options: &Training, position: Option<&Position>) -> Result<Batches> {
        let Training { batch, unroll, .. } = *options;
        assert!(batch > 0 && unroll > 0, "batch {batch}, unroll {unroll}");
        let source = match text.vocabulary().order() {
            Order::Sentences => {
                Source::Sentences(Box::new(Sentences::training(text, options, position)?))
            }
            Order::Contiguous => {
                Source::Columns(Box::new(Columns::training(text, options, position)?))
            }
        };
        Ok(Batches {
            source,
            ended: false,
        })
    }

    /// The batches of an epoch: exact in `contiguous` order, in `sentences` order exact to a batch for small corpora and
    /// estimated from samples of larger ones. For an evaluation, the batches of it all.
    ///
    /// # Errors
    ///
    /// If a sample is not UTF-8 (with file and line).
    pub fn epoch_steps(&self) -> Result<u64> {
        match &self.source {
            Source::Sentences(sentences) => sentences.epoch_steps(),
            Source::Columns(columns) => Ok(columns.epoch_steps()),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        if self.ended {
            return None;
        }
        let next = match &mut self.source {
            Source::Sentences(sentences) => sentences.next_batch(),
            Source::Columns(columns) => columns.next_batch(),
        };
        let next = next.transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The error for a corpus that does not fill one batch. `has` says what there is.
pub(crate) fn too_short(text: &Text, batch: usize, unroll: usize, has: &str) -> Error {
    Error::data(format!(
        "the corpus is shorter than a batch: {batch} streams of {unroll} steps need more than the {has} of `{}`{}",
        text.corpus().path(0).display(),
        match text.corpus().files() {
            1 => String::new(),
            more => format!(" and {} more files", more - 1),
        }
    ))
    .help("lower `train.batch`, `train.accumulate` or `train.unroll`, or name more text in `data.train`")
}

/// The error for a position that leads nowhere.
pub(crate) fn bad_position(what: &str) -> Error {
    Error::data(format!("the data position does not fit the corpus: {what}"))
        .help("resume with the corpus of the run, or start a new run with `--init`")
}
