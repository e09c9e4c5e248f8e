//! A batch of training or evaluation data, the position after it, and the options of batches.

use serde::{Deserialize, Serialize};

use super::files::Corpus;
use super::text::{Text, Token};
use super::vocabulary::Vocabulary;
use crate::error::{Error, Result};

/// The target id of padding, which has no loss and no gradient and is not counted.
pub const IGNORE: u32 = u32::MAX;

/// Help for a run that cannot be resumed with the given data.
pub(super) const RESUME_HELP: &str = "resume with the corpus and the sizes of the run, as its `config.toml` names them, or start a new run with `--init`";

/// `T` time steps of `B` streams.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Input ids `[T*B]`, time-major: row `t*B + b` is stream `b` at time `t`. Padding is 0.
    pub inputs: Vec<u32>,
    /// Target ids `[T*B]`, time-major. Padding is [`IGNORE`].
    pub targets: Vec<u32>,
    /// The epoch of the newest sentence or token in the batch, counted from 1.
    pub epoch: u64,
    /// Whether the recurrent state must be set to zero before this batch.
    pub reset: bool,
    /// In an evaluation on part of a text: the number of bytes of each target, `[T*B]`, from the end of the previous token to its
    /// own end. Otherwise empty.
    pub bytes: Vec<u64>,
    /// Number of targets that are not padding.
    pub words: usize,
    /// Number of targets with the id of the unknown word: words outside the vocabulary, and unknown words in the text.
    pub unknown: usize,
    /// Where the next batch begins.
    pub position: Position,
}

/// How a text is cut into training batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchOptions {
    /// Number of streams, `B`.
    pub batch: usize,
    /// Time steps of a batch, `T`.
    pub unroll: usize,
    /// Whether to shuffle the files of each epoch and the lines of each file. Used in `sentences` order only.
    pub shuffle: bool,
    /// Seed of the shuffle.
    pub seed: u64,
    /// Number of epochs after which the batches end. 0: they never end.
    pub epochs: u64,
}

impl BatchOptions {
    /// The last epoch; `u64::MAX` if the batches never end.
    pub(super) fn last_epoch(&self) -> u64 {
        if self.epochs == 0 {
            u64::MAX
        } else {
            self.epochs
        }
    }
}

/// A position in the training data between two batches, as a checkpoint stores it.
///
/// It counts lines and tokens, not bytes, so it is the same whether tokens come from the text or from the token cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The epoch, counted from 1.
    pub epoch: u64,
    /// Batches returned so far in this epoch.
    pub step: u64,
    /// Number of streams, `B`.
    pub batch: usize,
    /// Time steps of a batch, `T`.
    pub unroll: usize,
    /// Size of the corpus in bytes.
    pub bytes: u64,
    /// [`Corpus::digest`] of the corpus. A run does not resume on another corpus.
    pub digest: u64,
    /// `sentences` order: files of this epoch that are read to the end.
    pub files: usize,
    /// `sentences` order: lines taken from the file after them.
    #[serde(rename = "place")]
    pub lines: u64,
    /// `sentences` order: the unfinished sentence of each stream.
    pub rows: Vec<Option<RowPosition>>,
}

/// A position inside a sentence. In JSON it is an array of three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(usize, u64, u64)", into = "(usize, u64, u64)")]
pub struct RowPosition {
    /// Index of the file in the corpus.
    pub file: usize,
    /// Line in the file, counted from 0.
    pub line: u64,
    /// Pairs of input and target that were already taken from the sentence.
    pub pairs: u64,
}

impl From<(usize, u64, u64)> for RowPosition {
    fn from((file, line, pairs): (usize, u64, u64)) -> RowPosition {
        RowPosition { file, line, pairs }
    }
}

impl From<RowPosition> for (usize, u64, u64) {
    fn from(row: RowPosition) -> (usize, u64, u64) {
        (row.file, row.line, row.pairs)
    }
}

impl Position {
    /// Checks that this position belongs to `corpus`.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it belongs to another text.
    pub fn check_text(&self, corpus: &Corpus) -> Result<()> {
        let path = match corpus.sources() {
            [file] => format!("`{}`", file.path.display()),
            files => format!("{} files", files.len()),
        };
        let what = if self.bytes != corpus.bytes() {
            format!(
                "`data.train`, {path}, is not the training text of the run: it has {} bytes, the text of the run had {}",
                corpus.bytes(),
                self.bytes
            )
        } else if self.digest != corpus.digest() {
            format!(
                "`data.train`, {path}, is as long as the training text of the run, but it is not the same text"
            )
        } else {
            return Ok(());
        };
        Err(Error::data(what).help(RESUME_HELP))
    }

    /// Checks that this position belongs to batches of this size.
    pub(super) fn check_size(&self, options: &BatchOptions) -> Result<()> {
        if (self.batch, self.unroll) == (options.batch, options.unroll) {
            return Ok(());
        }
        Err(Error::data(format!(
            "the data position is for batches of {} streams and {} steps, but the batches have {} streams and {} steps",
            self.batch, self.unroll, options.batch, options.unroll
        ))
        .help(RESUME_HELP))
    }
}

/// Collects the rows of one batch. Rows that are never set are padding.
pub(super) struct BatchBuilder {
    batch: usize,
    unknown_id: Option<u32>,
    inputs: Vec<u32>,
    targets: Vec<u32>,
    bytes: Vec<u64>,
    words: usize,
    unknown: usize,
}

impl BatchBuilder {
    /// Starts a batch of `batch` streams and `unroll` steps, all padding.
    pub(super) fn new(batch: usize, unroll: usize, vocabulary: &Vocabulary) -> BatchBuilder {
        BatchBuilder {
            batch,
            unknown_id: vocabulary.unknown_target(),
            inputs: vec![0; batch * unroll],
            targets: vec![IGNORE; batch * unroll],
            bytes: Vec::new(),
            words: 0,
            unknown: 0,
        }
    }

    /// Starts to record the bytes of targets.
    pub(super) fn keep_bytes(&mut self) {
        self.bytes = vec![0; self.targets.len()];
    }

    /// Sets stream `b` at time `t`.
    #[inline]
    pub(super) fn set(&mut self, t: usize, b: usize, input: u32, target: Token) {
        let row = t * self.batch + b;
        self.inputs[row] = input;
        self.targets[row] = target.id;
        if let Some(bytes) = self.bytes.get_mut(row) {
            *bytes = target.bytes;
        }
        self.words += 1;
        self.unknown += usize::from(Some(target.id) == self.unknown_id);
    }

    /// Sets the input of stream `b` at time `t`, without a target.
    #[inline]
    pub(super) fn set_input(&mut self, t: usize, b: usize, input: u32) {
        self.inputs[t * self.batch + b] = input;
    }

    /// Whether all rows are padding.
    pub(super) fn is_empty(&self) -> bool {
        self.words == 0
    }

    pub(super) fn finish(self, reset: bool, position: Position) -> Batch {
        Batch {
            inputs: self.inputs,
            targets: self.targets,
            bytes: self.bytes,
            epoch: position.epoch,
            reset,
            words: self.words,
            unknown: self.unknown,
            position,
        }
    }
}

/// The error for a corpus that is shorter than one batch. `has` describes the contents of the corpus.
pub(super) fn too_short(text: &Text, batch: usize, unroll: usize, has: &str) -> Error {
    let more_files = match text.corpus().files() {
        1 => String::new(),
        files => format!(" and {} more files", files - 1),
    };
    Error::data(format!(
        "the corpus is shorter than a batch: {batch} streams of {unroll} steps need more than the {has} of `{}`{more_files}",
        text.corpus().path(0).display(),
    ))
    .help("lower `train.batch`, `train.accumulate` or `train.unroll`, or name more text in `data.train`")
}

/// The error for a position that does not exist in the corpus.
pub(super) fn bad_position(what: &str) -> Error {
    Error::data(format!("the data position does not fit the corpus: {what}"))
        .help("resume with the corpus of the run, or start a new run with `--init`")
}
