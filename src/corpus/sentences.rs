//! Batches in `sentences` order: one shared queue of sentences, packed into rows back to back.
//!
//! For each batch the rows are filled one after the other: row 0 up to `T` pairs, pulling as many sentences as that takes,
//! then row 1, and so on. What is left of a row's sentence waits for that row's next batch, as a place in a file: to go on with
//! it, a byte of the text or a token of its cache; to resume later, the line and how much of it was given, which are the same
//! for both.

use serde::{Deserialize, Serialize};

use super::batches::{Batch, Position, Rows, Training, bad_position, too_short};
use super::shuffle::{Permutation, file_order};
use super::text::{Lines, Text, Token};
use super::tokens::Item;
use crate::error::{Error, Result};

/// A sentence that was begun: file, line, and the pairs of it that were given. (An array in JSON.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPosition(pub usize, pub u64, pub u64);

/// A sentence that was begun, as it is read.
#[derive(Clone, Copy, Debug)]
struct Row {
    position: RowPosition,
    /// The place after what was read.
    at: usize,
    /// The id of the word before that place.
    previous: u32,
}

/// All sentences in the order in which they are given out.
#[derive(Clone, Debug)]
struct Queue {
    text: Text,
    shuffle: bool,
    seed: u64,
    /// The last epoch; `u64::MAX`: none is.
    last: u64,
    epoch: u64,
    /// The files of the epoch in order.
    order: Vec<usize>,
    /// How many of these are used up.
    files: usize,
    /// The lines taken of the file after them.
    place: u64,
    /// Where the next line begins, if lines are not shuffled.
    at: usize,
    /// The lines of that file, if they are shuffled and it is open.
    lines: Option<(Lines, Permutation)>,
    /// Whether this epoch has given no sentence yet.
    fresh: bool,
}

impl Queue {
    fn new(text: &Text, options: &Training) -> Queue {
        let mut queue = Queue {
            text: text.clone(),
            shuffle: options.shuffle,
            seed: options.seed,
            last: match options.epochs {
                0 => u64::MAX,
                epochs => epochs,
            },
            epoch: 0,
            order: Vec::new(),
            files: 0,
            place: 0,
            at: 0,
            lines: None,
            fresh: true,
        };
        queue.begin_epoch(1);
        queue
    }

    fn begin_epoch(&mut self, epoch: u64) {
        let files = self.text.corpus().files();
        self.epoch = epoch;
        self.order = if self.shuffle {
            file_order(files, self.seed, epoch)
        } else {
            (0..files).collect()
        };
        (self.files, self.fresh) = (0, true);
        self.begin_file();
    }

    fn begin_file(&mut self) {
        (self.place, self.at, self.lines) = (0, 0, None);
    }

    /// The next sentence; nothing after the last epoch.
    fn pull(&mut self) -> Result<Option<Row>> {
        loop {
            let Some(&file) = self.order.get(self.files) else {
                if self.fresh {
                    let path = self.text.corpus().path(0).display();
                    return Err(Error::data(format!("there is no sentence in `{path}`"))
                        .help("a corpus is UTF-8 text, one sentence a line"));
                }
                if self.epoch >= self.last {
                    return Ok(None);
                }
                self.begin_epoch(self.epoch + 1);
                continue;
            };
            match self.next_line(file) {
                Some((line, start)) => {
                    let mut at = start;
                    let first = self.text.read(file, &mut at)?;
                    if first.is_some_and(|token| !token.ends_line) {
                        self.fresh = false;
                        return Ok(Some(Row {
                            position: RowPosition(file, line, 0),
                            at: start,
                            previous: self.text.vocabulary().mark(),
                        }));
                    }
                }
                None => {
                    self.files += 1;
                    self.begin_file();
                }
            }
        }
    }

    /// The next line of the file, and where it begins.
    fn next_line(&mut self, file: usize) -> Option<(u64, usize)> {
        let text = &self.text;
        if self.shuffle {
            let (lines, permutation) = self.lines.get_or_insert_with(|| {
                let lines = text.lines(file);
                let count = text.line_count(file, &lines) as u64;
                let permutation = Permutation::of_lines(count, self.seed, self.epoch, file);
                (lines, permutation)
            });
            if self.place >= text.line_count(file, lines) as u64 {
                return None;
            }
            let line = permutation.at(self.place);
            self.place += 1;
            text.looked_up(file);
            Some((line, text.line_start(file, lines, line as usize)))
        } else {
            let start = self.at;
            self.at = text.line_after(file, start)?;
            self.place += 1;
            text.walked(file, self.at - start);
            Some((self.place - 1, start))
        }
    }

    /// Goes to a place that a position tells.
    fn seek(&mut self, files: usize, place: u64) {
        (self.files, self.place) = (files, place);
        if !self.shuffle && place > 0 && files < self.order.len() {
            let (file, line) = (self.order[files], usize::try_from(place));
            let lines = self.text.lines(file);
            let line = line.unwrap_or(usize::MAX);
            self.at = self.text.line_start(file, &lines, line);
        }
    }
}

/// The batches.
#[derive(Clone, Debug)]
pub(crate) struct Sentences {
    queue: Queue,
    rows: Vec<Option<Row>>,
    unroll: usize,
    /// Batches of this epoch that were given.
    step: u64,
    /// The epoch of the batch before; 0: there is none.
    epoch: u64,
    /// Whether rows that run dry are padded, instead of ending the batches.
    padded: bool,
}

impl Sentences {
    pub(crate) fn training(
        text: &Text,
        options: &Training,
        position: Option<&Position>,
    ) -> Result<Sentences> {
        let mut sentences = Sentences {
            queue: Queue::new(text, options),
            rows: vec![None; options.batch],
            unroll: options.unroll,
            step: 0,
            epoch: 0,
            padded: false,
        };
        match position {
            Some(position) => sentences.seek(position)?,
            None => sentences.check_length()?,
        }
        Ok(sentences)
    }

    pub(crate) fn evaluation(text: &Text, batch: usize, unroll: usize) -> Result<Sentences> {
        let options = Training {
            batch,
            unroll,
            shuffle: false,
            seed: 0,
            epochs: 1,
        };
        let sentences = Sentences {
            queue: Queue::new(text, &options),
            rows: vec![None; batch],
            unroll,
            step: 0,
            epoch: 0,
            padded: true,
        };
        // Says now if there is no sentence at all.
        sentences.queue.clone().pull()?;
        Ok(sentences)
    }

    /// Fills the first batch on trial.
    fn check_length(&self) -> Result<()> {
        let mut trial = self.clone();
        trial.queue.last = 1;
        if trial.next_batch()?.is_some() {
            return Ok(());
        }
        let (mut sentences, mut pairs) = (0_u64, 0_u64);
        let text = &self.queue.text;
        let mut queue = self.queue.clone();
        queue.last = 1;
        while let Some(row) = queue.pull()? {
            let (file, mut at) = (row.position.0, row.at);
            sentences += 1;
            loop {
                pairs += 1;
                if text
                    .read(file, &mut at)?
                    .is_none_or(|token| token.ends_line)
                {
                    break;
                }
            }
        }
        let has = format!("{sentences} sentences, {pairs} pairs of words,");
        Err(too_short(text, self.rows.len(), self.unroll, &has))
    }

    fn seek(&mut self, position: &Position) -> Result<()> {
        if position.epoch == 0 || position.epoch > u64::from(u32::MAX) {
            return Err(bad_position(&format!("epoch {}", position.epoch)));
        }
        if position.rows.len() != self.rows.len() {
            return Err(bad_position("it has another number of rows"));
        }
        self.seek_rows(&position.rows)?;
        let queue = &mut self.queue;
        queue.begin_epoch(position.epoch);
        queue.fresh = false;
        queue.seek(position.files, position.place);
        (self.step, self.epoch) = (position.step, position.epoch);
        Ok(())
    }

    /// Finds the sentences that were begun.
    fn seek_rows(&mut self, positions: &[Option<RowPosition>]) -> Result<()> {
        let text = &self.queue.text;
        let outside = || bad_position("its rows lie outside");
        // Most rows are in one file, the last of them in the one before.
        let mut of_file: Option<(usize, Lines)> = None;
        let mut order: Vec<usize> = (0..positions.len()).collect();
        order.sort_by_key(|&b| positions[b].map(|row| row.0));
        for b in order {
            let Some(position) = positions[b] else {
                self.rows[b] = None;
                continue;
            };
            let RowPosition(file, line, given) = position;
            if file >= text.corpus().files() {
                return Err(outside());
            }
            let lines = match of_file.take() {
                Some((same, lines)) if same == file => lines,
                _ => text.lines(file),
            };
            let line = usize::try_from(line).map_err(|_| outside())?;
            if line >= text.line_count(file, &lines) {
                return Err(outside());
            }
            let mut at = text.line_start(file, &lines, line);
            let mut previous = text.vocabulary().mark();
            for _ in 0..given {
                match text.read(file, &mut at)? {
                    Some(token) if !token.ends_line => previous = token.id,
                    _ => return Err(outside()),
                }
            }
            self.rows[b] = Some(Row {
                position,
                at,
                previous,
            });
            of_file = Some((file, lines));
        }
        Ok(())
    }

    pub(crate) fn next_batch(&mut self) -> Result<Option<Batch>> {
        let mut rows = Rows::new(self.rows.len(), self.unroll, self.queue.text.vocabulary());
        for b in 0..self.rows.len() {
            if !self.fill(b, &mut rows)? && !self.padded {
                return Ok(None);
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let reset = self.epoch == 0;
        if self.epoch != self.queue.epoch {
            (self.epoch, self.step) = (self.queue.epoch, 0);
        }
        self.step += 1;
        Ok(Some(rows.finish(self.epoch, reset, self.position())))
    }

    /// Fills row `b`. Gives whether the sentences were enough.
    fn fill(&mut self, b: usize, rows: &mut Rows) -> Result<bool> {
        let mut waiting = self.rows[b].take();
        if let Some(row) = waiting {
            // What is left of a sentence may be far from where the queue reads.
            self.queue.text.walked(row.position.0, self.unroll);
        }
        for t in 0..self.unroll {
            let mut row = match waiting {
                Some(row) => row,
                None => match self.queue.pull()? {
                    Some(row) => row,
                    None => return Ok(false),
                },
            };
            let text = &self.queue.text;
            let token = text.read(row.position.0, &mut row.at)?.unwrap_or(Token {
                id: text.vocabulary().mark(),
                ends_line: true,
            });
            rows.set(t, b, row.previous, token);
            row.previous = token.id;
            row.position.2 += 1;
            waiting = (!token.ends_line).then_some(row);
        }
        self.rows[b] = waiting;
        Ok(true)
    }

    fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            step: self.step,
            batch: self.rows.len(),
            unroll: self.unroll,
            bytes: self.queue.text.corpus().bytes(),
            digest: self.queue.text.corpus().digest(),
            files: self.queue.files,
            place: self.queue.place,
            rows: self
                .rows
                .iter()
                .map(|row| row.map(|row| row.position))
                .collect(),
        }
    }

    /// Counts the pairs of small corpora and of evenly spread samples of large ones.
    pub(crate) fn epoch_steps(&self) -> Result<u64> {
        const PIECE: usize = 1 << 16;
        const SAMPLES: usize = 64;
        let text = &self.queue.text;
        let corpus = text.corpus();
        let (mut pairs, mut bytes) = (0_u64, 0_u64);
        for piece in &corpus.samples(SAMPLES, PIECE) {
            bytes += piece.range.len() as u64;
            let mut blank = true;
            corpus
                .walk(piece, text.kind(), |_, item| {
                    pairs += u64::from(item != Item::LineEnd || !blank);
                    blank = item == Item::LineEnd;
                    Ok(())
                })
                .map_err(|bad| text.bad_utf8(piece.file, bad))?;
        }
        let pairs = pairs as f64 * corpus.bytes() as f64 / bytes.max(1) as f64;
        let steps = pairs / (self.rows.len() * self.unroll) as f64;
        Ok(if self.padded {
            steps.ceil() as u64
        } else {
            steps as u64
        })
    }
}
