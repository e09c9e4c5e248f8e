//! Batches in `sentences` order: the streams take whole sentences from one shared queue, back to back.
//!
//! The streams of a batch are filled in order: stream 0 takes as many sentences as its `T` pairs need, then stream 1, and so
//! on. The rest of a stream's last sentence is read in that stream's next batch. For this, the offset in the file is kept.
//! To resume a run, the line and the number of pairs taken from it are stored, because they do not depend on the cache.

use super::batch::{
    Batch, BatchBuilder, BatchOptions, Position, RowPosition, bad_position, too_short,
};
use super::sentence_queue::{OpenSentence, SentenceQueue};
use super::text::{Lines, Text, Token};
use super::tokens::TokenKind;
use crate::error::Result;

/// The batches in `sentences` order.
#[derive(Clone, Debug)]
pub(super) struct SentenceBatches {
    queue: SentenceQueue,
    /// The unfinished sentence of each stream.
    rows: Vec<Option<OpenSentence>>,
    unroll: usize,
    /// Batches returned so far in this epoch.
    step: u64,
    /// The epoch of the previous batch. 0: there is none.
    epoch: u64,
    /// Whether streams without a sentence are padded (evaluation), instead of ending the batches (training).
    pads: bool,
    /// Chooses sentences; `None`: all.
    choice: Option<Choice>,
}

/// Chooses sentences evenly over a text until they have `targets` targets. The last sentence can exceed that number.
#[derive(Clone, Copy, Debug)]
struct Choice {
    targets: u64,
    /// The number of targets of the whole text.
    all: u64,
    /// The number of targets of the sentences so far.
    seen: u64,
    /// The number of targets of the chosen sentences.
    taken: u64,
}

impl Choice {
    /// Whether the next sentence, which has `pairs` targets, is chosen.
    fn takes(&mut self, pairs: u64) -> bool {
        self.seen += pairs;
        let due = u128::from(self.seen) * u128::from(self.targets) / u128::from(self.all);
        let is_due = u128::from(self.taken) < due;
        if is_due {
            self.taken += pairs;
        }
        is_due
    }
}

impl SentenceBatches {
    pub(super) fn training(
        text: &Text,
        options: &BatchOptions,
        position: Option<&Position>,
    ) -> Result<SentenceBatches> {
        let mut batches = SentenceBatches::new(text, options, false);
        match position {
            Some(position) => batches.seek(position)?,
            None => batches.check_length()?,
        }
        Ok(batches)
    }

    pub(super) fn evaluation(text: &Text, batch: usize, unroll: usize) -> Result<SentenceBatches> {
        let options = BatchOptions {
            batch,
            unroll,
            shuffle: false,
            seed: 0,
            epochs: 1,
        };
        let batches = SentenceBatches::new(text, &options, true);
        // Fails now if there is no sentence at all.
        batches.queue.clone().pull()?;
        Ok(batches)
    }

    /// Evenly spaced sentences of a text of `all` targets, with at least `targets` targets.
    pub(super) fn spread(mut self, targets: u64, all: u64) -> SentenceBatches {
        self.choice = Some(Choice {
            targets,
            all,
            seen: 0,
            taken: 0,
        });
        self
    }

    /// Whether only some sentences are read.
    pub(super) fn is_of_part(&self) -> bool {
        self.choice.is_some()
    }

    fn new(text: &Text, options: &BatchOptions, pads: bool) -> SentenceBatches {
        SentenceBatches {
            queue: SentenceQueue::new(text, options),
            rows: vec![None; options.batch],
            unroll: options.unroll,
            step: 0,
            epoch: 0,
            pads,
            choice: None,
        }
    }

    /// Checks that one epoch fills the first batch.
    fn check_length(&self) -> Result<()> {
        let mut trial = self.clone();
        trial.queue = self.queue.one_epoch();
        if trial.next_batch()?.is_some() {
            return Ok(());
        }
        let (mut sentences, mut pairs) = (0_u64, 0_u64);
        let text = self.queue.text();
        let mut queue = self.queue.one_epoch();
        while let Some(row) = queue.pull()? {
            sentences += 1;
            pairs += pairs_of(text, &row)?;
        }
        let has = format!("{sentences} sentences, {pairs} pairs of words,");
        Err(too_short(text, self.rows.len(), self.unroll, &has))
    }

    fn seek(&mut self, position: &Position) -> Result<()> {
        if position.epoch == 0 || position.epoch > u64::from(u32::MAX) {
            return Err(bad_position(&format!("epoch {}", position.epoch)));
        }
        if position.rows.len() != self.rows.len() {
            return Err(bad_position("it has another number of streams"));
        }
        self.seek_rows(&position.rows)?;
        self.queue
            .seek(position.epoch, position.files, position.lines);
        (self.step, self.epoch) = (position.step, position.epoch);
        Ok(())
    }

    /// Finds the unfinished sentences of all streams.
    fn seek_rows(&mut self, positions: &[Option<RowPosition>]) -> Result<()> {
        let text = self.queue.text();
        let outside = || bad_position("its sentences are outside the text");
        // Most sentences are in one file, so the line index of the last file is kept.
        let mut last_index: Option<(usize, Lines)> = None;
        let mut order: Vec<usize> = (0..positions.len()).collect();
        order.sort_by_key(|&b| positions[b].map(|row| row.file));
        for b in order {
            let Some(position) = positions[b] else {
                self.rows[b] = None;
                continue;
            };
            let RowPosition { file, line, pairs } = position;
            if file >= text.corpus().files() {
                return Err(outside());
            }
            let index = match last_index.take() {
                Some((same, index)) if same == file => index,
                _ => text.lines(file),
            };
            let line = usize::try_from(line).map_err(|_| outside())?;
            if line >= text.line_count(file, &index) {
                return Err(outside());
            }
            let mut at = text.line_start(file, &index, line);
            let mut previous = text.vocabulary().mark();
            for _ in 0..pairs {
                match text.read(file, &mut at)? {
                    Some(token) if !token.ends_line => previous = token.id,
                    _ => return Err(outside()),
                }
            }
            self.rows[b] = Some(OpenSentence {
                position,
                at,
                previous,
            });
            last_index = Some((file, index));
        }
        Ok(())
    }

    pub(super) fn next_batch(&mut self) -> Result<Option<Batch>> {
        let vocabulary = self.queue.text().vocabulary();
        let mut builder = BatchBuilder::new(self.rows.len(), self.unroll, vocabulary);
        if self.choice.is_some() {
            builder.keep_bytes();
        }
        for b in 0..self.rows.len() {
            if !self.fill(b, &mut builder)? && !self.pads {
                return Ok(None);
            }
        }
        if builder.is_empty() {
            return Ok(None);
        }
        let reset = self.epoch == 0;
        if self.epoch != self.queue.epoch() {
            (self.epoch, self.step) = (self.queue.epoch(), 0);
        }
        self.step += 1;
        Ok(Some(builder.finish(reset, self.position())))
    }

    /// The next sentence that is chosen.
    fn pull(&mut self) -> Result<Option<OpenSentence>> {
        loop {
            let Some(row) = self.queue.pull()? else {
                return Ok(None);
            };
            let Some(choice) = &mut self.choice else {
                return Ok(Some(row));
            };
            if choice.takes(pairs_of(self.queue.text(), &row)?) {
                return Ok(Some(row));
            }
        }
    }

    /// Fills stream `b`. Returns whether there were enough sentences.
    fn fill(&mut self, b: usize, builder: &mut BatchBuilder) -> Result<bool> {
        let mut waiting = self.rows[b].take();
        if let Some(row) = waiting {
            // The rest of a sentence may be far from where the queue reads.
            self.queue.text().note_read(row.position.file, self.unroll);
        }
        for t in 0..self.unroll {
            let mut row = match waiting {
                Some(row) => row,
                None => match self.pull()? {
                    Some(row) => row,
                    None => return Ok(false),
                },
            };
            let text = self.queue.text();
            let token = text.read(row.position.file, &mut row.at)?.unwrap_or(Token {
                id: text.vocabulary().mark(),
                ends_line: true,
                bytes: 0,
            });
            builder.set(t, b, row.previous, token);
            row.previous = token.id;
            row.position.pairs += 1;
            waiting = (!token.ends_line).then_some(row);
        }
        self.rows[b] = waiting;
        Ok(true)
    }

    fn position(&self) -> Position {
        let corpus = self.queue.text().corpus();
        Position {
            epoch: self.epoch,
            step: self.step,
            batch: self.rows.len(),
            unroll: self.unroll,
            bytes: corpus.bytes(),
            digest: corpus.digest(),
            files: self.queue.files(),
            lines: self.queue.lines(),
            rows: self
                .rows
                .iter()
                .map(|row| row.map(|row| row.position))
                .collect(),
        }
    }

    /// Counts the pairs of small corpora. Estimates those of large corpora from evenly spaced samples.
    pub(super) fn epoch_steps(&self) -> Result<u64> {
        const SAMPLE_BYTES: usize = 1 << 16;
        const SAMPLES: usize = 64;
        let text = self.queue.text();
        let corpus = text.corpus();
        let (mut pairs, mut bytes) = (0_u64, 0_u64);
        let of_subwords = text.kind() == TokenKind::Bpe;
        if let Some(counted) = text.counted_pairs().filter(|_| of_subwords) {
            (pairs, bytes) = (counted, corpus.bytes());
        } else {
            for chunk in &corpus.samples(SAMPLES, SAMPLE_BYTES)? {
                bytes += chunk.range.len() as u64;
                pairs += text.pairs(chunk)?;
            }
        }
        let pairs = match self.choice {
            Some(choice) => choice.targets as f64,
            None => pairs as f64 * corpus.bytes() as f64 / bytes.max(1) as f64,
        };
        let steps = pairs / (self.rows.len() * self.unroll) as f64;
        Ok(if self.pads {
            steps.ceil() as u64
        } else {
            steps as u64
        })
    }
}

/// The pairs of input and target of a sentence.
fn pairs_of(text: &Text, sentence: &OpenSentence) -> Result<u64> {
    let (file, mut at) = (sentence.position.file, sentence.at);
    let mut pairs = 0;
    loop {
        pairs += 1;
        let token = text.read(file, &mut at)?;
        if token.is_none_or(|token| token.ends_line) {
            return Ok(pairs);
        }
    }
}
