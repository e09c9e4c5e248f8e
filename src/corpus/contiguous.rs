//! Batches in `contiguous` order: the corpus is one sequence of tokens, cut into `B` streams that are read in parallel.
//!
//! A first pass counts the tokens and records where every chunk of about 32 KB begins, so that a stream can start anywhere.
//! A token file stores its number of tokens and needs no such pass.

use rayon::prelude::*;

use super::batch::{Batch, BatchBuilder, BatchOptions, Position, bad_position, too_short};
use super::chunks::{Boundary, Chunk};
use super::text::{Text, Token};
use crate::error::{Error, Result};

/// Bytes between two seek points.
const CHUNK: usize = 1 << 15;

/// A known position in the sequence: token number `token` is the next one at offset `at` of `file`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeekPoint {
    token: u64,
    file: usize,
    at: usize,
}

/// One stream: its next input, and the position of the token after it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stream {
    file: usize,
    at: usize,
    pub(super) input: u32,
}

/// The batches in `contiguous` order.
#[derive(Debug)]
pub(super) struct ContiguousBatches {
    text: Text,
    unroll: usize,
    last_epoch: u64,
    epoch: u64,
    /// Batches returned so far in this epoch.
    step: u64,
    /// Batches in an epoch.
    steps: u64,
    /// The streams at the start of an epoch.
    starts: Vec<Stream>,
    /// Pairs of input and target in each stream.
    pairs: Vec<u64>,
    streams: Vec<Stream>,
}

impl ContiguousBatches {
    pub(super) fn training(
        text: &Text,
        options: &BatchOptions,
        position: Option<&Position>,
    ) -> Result<ContiguousBatches> {
        let (batch, unroll) = (options.batch as u64, options.unroll as u64);
        let (points, tokens) = seek_points(text)?;
        let pairs = (tokens / batch).saturating_sub(1);
        if pairs < unroll {
            let has = format!("{tokens} tokens");
            return Err(too_short(text, options.batch, options.unroll, &has));
        }
        // The last batch of an epoch may be shorter than the unroll.
        let steps = pairs.div_ceil(unroll);
        let first: Vec<u64> = (0..batch).map(|b| b * (pairs + 1)).collect();
        let mut batches = ContiguousBatches {
            starts: seek(text, &points, &first)?,
            pairs: vec![pairs; options.batch],
            streams: Vec::new(),
            text: text.clone(),
            unroll: options.unroll,
            last_epoch: options.last_epoch(),
            epoch: 1,
            step: 0,
            steps,
        };
        batches.streams.clone_from(&batches.starts);
        if let Some(position) = position {
            let Position { epoch, step, .. } = *position;
            if epoch == 0 || step > steps {
                let what = format!("epoch {epoch}, step {step} of {steps}");
                return Err(bad_position(&what));
            }
            (batches.epoch, batches.step) = (epoch, step);
            let read = pairs.min(step * unroll);
            let now: Vec<u64> = first.iter().map(|start| start + read).collect();
            batches.streams = seek(text, &points, &now)?;
        }
        Ok(batches)
    }

    pub(super) fn evaluation(
        text: &Text,
        batch: usize,
        unroll: usize,
    ) -> Result<ContiguousBatches> {
        let (points, tokens) = seek_points(text)?;
        let pairs = tokens.saturating_sub(1);
        if pairs == 0 {
            let path = text.corpus().path(0).display();
            return Err(
                Error::data(format!("there is nothing to predict in `{path}`"))
                    .help("the text must contain at least two tokens; each line end is a token"),
            );
        }
        // The first `longer` streams have one pair more than the others.
        let (each, longer) = (pairs / batch as u64, pairs % batch as u64);
        let lengths: Vec<u64> = (0..batch as u64)
            .map(|b| each + u64::from(b < longer))
            .collect();
        let first: Vec<u64> = (0..batch as u64)
            .map(|b| b * each + b.min(longer))
            .collect();
        let starts = seek(text, &points, &first)?;
        Ok(ContiguousBatches {
            streams: starts.clone(),
            starts,
            steps: lengths[0].div_ceil(unroll as u64),
            pairs: lengths,
            text: text.clone(),
            unroll,
            last_epoch: 1,
            epoch: 1,
            step: 0,
        })
    }

    pub(super) fn epoch_steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn next_batch(&mut self) -> Result<Option<Batch>> {
        if self.step == self.steps {
            if self.epoch >= self.last_epoch {
                return Ok(None);
            }
            self.epoch += 1;
            self.step = 0;
            self.streams.clone_from(&self.starts);
        }
        let vocabulary = self.text.vocabulary();
        let mut builder = BatchBuilder::new(self.streams.len(), self.unroll, vocabulary);
        let read = self.step * self.unroll as u64;
        for (b, stream) in self.streams.iter_mut().enumerate() {
            let left = self.pairs[b].saturating_sub(read);
            let Stream { file, at, .. } = *stream;
            for t in 0..left.min(self.unroll as u64) as usize {
                let input = stream.input;
                if let Some(token) = stream.advance(&self.text)? {
                    builder.set(t, b, input, token);
                }
            }
            if stream.file == file {
                self.text.note_read(file, stream.at - at);
            }
        }
        let reset = self.step == 0;
        self.step += 1;
        Ok(Some(builder.finish(reset, self.position())))
    }

    fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            step: self.step,
            batch: self.streams.len(),
            unroll: self.unroll,
            bytes: self.text.corpus().bytes(),
            digest: self.text.corpus().digest(),
            files: 0,
            lines: 0,
            rows: Vec::new(),
        }
    }
}

impl Stream {
    /// Reads the next token of the sequence. `None` at its end.
    #[inline]
    pub(super) fn advance(&mut self, text: &Text) -> Result<Option<Token>> {
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

/// The start of every chunk as a seek point, and the number of tokens in the sequence, line ends included.
pub(super) fn seek_points(text: &Text) -> Result<(Vec<SeekPoint>, u64)> {
    let corpus = text.corpus();
    let count_chunk = |chunk: &Chunk| -> Result<u64> {
        corpus.check_file(chunk.file)?;
        let mut tokens = 0;
        let counted = corpus.for_each_item(chunk, text.kind(), |_, _| {
            tokens += 1;
            Ok(())
        });
        counted
            .map(|()| tokens)
            .map_err(|bad| text.bad_utf8(chunk.file, bad))
    };
    let mut total = 0;
    let mut points = Vec::new();
    for file in 0..corpus.files() {
        if let Some(tokens) = text.token_count(file) {
            if tokens > 0 {
                points.push(SeekPoint {
                    token: total,
                    file,
                    at: 0,
                });
            }
            total += tokens as u64;
            continue;
        }
        let chunks = corpus.chunks_of(file, CHUNK, Boundary::between(text.kind()))?;
        let counts: Vec<_> = chunks.par_iter().map(count_chunk).collect();
        for (chunk, tokens) in chunks.iter().zip(counts) {
            let tokens = tokens?;
            points.push(SeekPoint {
                token: total,
                file,
                at: chunk.range.start,
            });
            total += tokens;
        }
    }
    Ok((points, total))
}

/// The streams whose first inputs are these tokens of the sequence.
pub(super) fn seek(text: &Text, points: &[SeekPoint], tokens: &[u64]) -> Result<Vec<Stream>> {
    tokens
        .par_iter()
        .map(|&token| {
            // There is a seek point at token 0, so there is one at or before `token`.
            let near = points.partition_point(|point| point.token <= token) - 1;
            let SeekPoint {
                token: first,
                file,
                at,
            } = points[near];
            let mut stream = Stream { file, at, input: 0 };
            if text.token_count(file).is_some() {
                stream.at += (token - first) as usize;
                stream.advance(text)?;
                return Ok(stream);
            }
            for _ in first..=token {
                stream.advance(text)?;
            }
            Ok(stream)
        })
        .collect()
}
