//! Batches in `contiguous` order: the corpus is one sequence of tokens, cut into columns that are walked side by side.
//!
//! A first pass counts the tokens and remembers where every piece of some 32 KB begins; each column is then a place in a file
//! that moves on. A file of tokens knows how many it has, and needs no pass.

use rayon::prelude::*;

use super::batches::{Batch, Position, Rows, Training, bad_position, too_short};
use super::files::{Cut, Piece};
use super::text::{Text, Token};
use crate::error::{Error, Result};

/// The bytes between two remembered places.
const PIECE: usize = 1 << 15;

/// A place that is remembered: where token `token` of the sequence is the next.
#[derive(Clone, Copy, Debug)]
struct Mark {
    token: u64,
    file: usize,
    at: usize,
}

/// One column: the token that is its next input, and where the token after it is.
#[derive(Clone, Copy, Debug)]
struct Column {
    file: usize,
    at: usize,
    input: u32,
}

/// The batches.
#[derive(Debug)]
pub(crate) struct Columns {
    text: Text,
    unroll: usize,
    /// The last epoch; `u64::MAX`: none is.
    last: u64,
    epoch: u64,
    /// Batches of this epoch that were given.
    step: u64,
    /// Batches of an epoch.
    steps: u64,
    /// The columns at the start of an epoch, and the pairs of each.
    starts: Vec<Column>,
    pairs: Vec<u64>,
    columns: Vec<Column>,
}

impl Columns {
    pub(crate) fn training(
        text: &Text,
        options: &Training,
        position: Option<&Position>,
    ) -> Result<Columns> {
        let (batch, unroll) = (options.batch as u64, options.unroll as u64);
        let (marks, tokens) = count(text)?;
        let pairs = (tokens / batch).saturating_sub(1);
        if pairs < unroll {
            let has = format!("{tokens} tokens");
            return Err(too_short(text, options.batch, options.unroll, &has));
        }
        // The last unroll of an epoch is as short as what is left of the columns.
        let steps = pairs.div_ceil(unroll);
        let first: Vec<u64> = (0..batch).map(|b| b * (pairs + 1)).collect();
        let mut columns = Columns {
            starts: seek(text, &marks, &first)?,
            pairs: vec![pairs; options.batch],
            columns: Vec::new(),
            text: text.clone(),
            unroll: options.unroll,
            last: match options.epochs {
                0 => u64::MAX,
                epochs => epochs,
            },
            epoch: 1,
            step: 0,
            steps,
        };
        columns.columns.clone_from(&columns.starts);
        if let Some(position) = position {
            let Position { epoch, step, .. } = *position;
            if epoch == 0 || step > steps {
                let what = format!("epoch {epoch}, step {step} of {steps}");
                return Err(bad_position(&what));
            }
            (columns.epoch, columns.step) = (epoch, step);
            let walked = pairs.min(step * unroll);
            let now: Vec<u64> = first.iter().map(|start| start + walked).collect();
            columns.columns = seek(text, &marks, &now)?;
        }
        Ok(columns)
    }

    pub(crate) fn evaluation(text: &Text, batch: usize, unroll: usize) -> Result<Columns> {
        let (marks, tokens) = count(text)?;
        let pairs = tokens.saturating_sub(1);
        if pairs == 0 {
            let path = text.corpus().path(0).display();
            return Err(
                Error::data(format!("there is nothing to predict in `{path}`"))
                    .help("the text must hold at least two tokens, line ends counted"),
            );
        }
        let (each, longer) = (pairs / batch as u64, pairs % batch as u64);
        let lengths: Vec<u64> = (0..batch as u64)
            .map(|b| each + u64::from(b < longer))
            .collect();
        let first: Vec<u64> = (0..batch as u64)
            .map(|b| b * each + b.min(longer))
            .collect();
        let starts = seek(text, &marks, &first)?;
        Ok(Columns {
            columns: starts.clone(),
            starts,
            steps: lengths[0].div_ceil(unroll as u64),
            pairs: lengths,
            text: text.clone(),
            unroll,
            last: 1,
            epoch: 1,
            step: 0,
        })
    }

    pub(crate) fn epoch_steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn next_batch(&mut self) -> Result<Option<Batch>> {
        if self.step == self.steps {
            if self.epoch >= self.last {
                return Ok(None);
            }
            self.epoch += 1;
            self.step = 0;
            self.columns.clone_from(&self.starts);
        }
        let mut rows = Rows::new(self.columns.len(), self.unroll, self.text.vocabulary());
        let before = self.step * self.unroll as u64;
        for (b, column) in self.columns.iter_mut().enumerate() {
            let left = self.pairs[b].saturating_sub(before);
            let Column { file, at, .. } = *column;
            for t in 0..left.min(self.unroll as u64) as usize {
                let input = column.input;
                if let Some(token) = column.advance(&self.text)? {
                    rows.set(t, b, input, token);
                }
            }
            if column.file == file {
                self.text.walked(file, column.at - at);
            }
        }
        let reset = self.step == 0;
        self.step += 1;
        Ok(Some(rows.finish(self.epoch, reset, self.position())))
    }

    fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            step: self.step,
            batch: self.columns.len(),
            unroll: self.unroll,
            bytes: self.text.corpus().bytes(),
            digest: self.text.corpus().digest(),
            files: 0,
            place: 0,
            rows: Vec::new(),
        }
    }
}

impl Column {
    /// Reads the next token of the sequence; nothing at its end.
    #[inline]
    fn advance(&mut self, text: &Text) -> Result<Option<Token>> {
        loop {
            if let Some(token) = text.read(self.file, &mut self.at)? {
                self.input = token.id;
                return Ok(Some(token));
            }
            if self.file + 1 == text.corpus().files() {
                return Ok(None);
            }
            (self.file, self.at) = (self.file + 1, 0);
        }
    }
}

/// Counts the tokens of the sequence, line ends included, and remembers where pieces begin.
fn count(text: &Text) -> Result<(Vec<Mark>, u64)> {
    let corpus = text.corpus();
    let count_piece = |piece: &Piece| {
        let mut tokens = 0;
        let walked = corpus.walk(piece, text.kind(), |_, _| {
            tokens += 1;
            Ok(())
        });
        walked.map(|()| tokens)
    };
    let mut total = 0;
    let mut marks = Vec::new();
    for file in 0..corpus.files() {
        if let Some(tokens) = text.counted(file) {
            if tokens > 0 {
                marks.push(Mark {
                    token: total,
                    file,
                    at: 0,
                });
            }
            total += tokens as u64;
            continue;
        }
        let pieces = corpus.pieces_of(file, PIECE, Cut::between(text.kind()));
        let counts: Vec<_> = pieces.par_iter().map(count_piece).collect();
        for (piece, tokens) in pieces.iter().zip(counts) {
            let tokens: u64 = tokens.map_err(|bad| text.bad_utf8(file, bad))?;
            marks.push(Mark {
                token: total,
                file,
                at: piece.range.start,
            });
            total += tokens;
        }
    }
    Ok((marks, total))
}

/// Columns whose first inputs are these tokens of the sequence.
fn seek(text: &Text, marks: &[Mark], tokens: &[u64]) -> Result<Vec<Column>> {
    tokens
        .par_iter()
        .map(|&token| {
            // There is a mark at token 0, so one at or before this token.
            let near = marks.partition_point(|mark| mark.token <= token) - 1;
            let Mark {
                token: at_mark,
                file,
                at,
            } = marks[near];
            let mut column = Column { file, at, input: 0 };
            if text.counted(file).is_some() {
                column.at += (token - at_mark) as usize;
                column.advance(text)?;
                return Ok(column);
            }
            for _ in at_mark..=token {
                column.advance(text)?;
            }
            Ok(column)
        })
        .collect()
}
