//! Batches in `sentences` order: one shared queue of sentences, packed into rows back to back.
//!
//! For each batch the rows are filled one after the other: row 0 up to `T` pairs, pulling as many sentences as that takes,
//! then row 1, and so on. What is left of a row's sentence waits for that row's next batch, as a place in a file.

use serde::{Deserialize, Serialize};

use super::batches::{Batch, Position, Rows, Text, Token, Training, bad_position, too_short};
use super::shuffle::{LineIndex, Permutation, file_order};
use super::tokens::Item;
use crate::error::{Error, Result};

/// A sentence that was begun: file, byte after what was read, and the id of the word before that byte. (An array in JSON.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPosition(pub usize, pub usize, pub u32);

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
    /// Of the file after them: lines taken, or where the next line begins if lines are not shuffled.
    place: u64,
    /// The lines of that file, if they are shuffled and it is open.
    lines: Option<(LineIndex, Permutation)>,
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
        (self.files, self.place, self.lines, self.fresh) = (0, 0, None, true);
    }

    /// The next sentence; nothing after the last epoch.
    fn pull(&mut self) -> Result<Option<RowPosition>> {
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
                Some(start) => {
                    let mut at = start;
                    let first = self.text.read(file, &mut at)?;
                    if first.is_some_and(|token| !token.ends_line) {
                        self.fresh = false;
                        let mark = self.text.vocabulary().mark();
                        return Ok(Some(RowPosition(file, start, mark)));
                    }
                }
                None => {
                    self.files += 1;
                    (self.place, self.lines) = (0, None);
                }
            }
        }
    }

    /// Where the next line of the file begins.
    fn next_line(&mut self, file: usize) -> Option<usize> {
        let corpus = self.text.corpus();
        let text = corpus.text(file);
        if self.shuffle {
            let (index, permutation) = self.lines.get_or_insert_with(|| {
                let index = LineIndex::new(text, |bytes| corpus.touched(bytes));
                let lines = index.len() as u64;
                let permutation = Permutation::of_lines(lines, self.seed, self.epoch, file);
                (index, permutation)
            });
            if self.place >= index.len() as u64 {
                return None;
            }
            let line = permutation.at(self.place);
            self.place += 1;
            corpus.touched_somewhere(file);
            Some(index.start(text, line as usize))
        } else {
            let start = self.place as usize;
            let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
            let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            self.place += length as u64;
            corpus.touched(length);
            Some(start)
        }
    }
}

/// The batches.
#[derive(Clone, Debug)]
pub(crate) struct Sentences {
    queue: Queue,
    rows: Vec<Option<RowPosition>>,
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
        while let Some(RowPosition(file, mut at, _)) = queue.pull()? {
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
        let queue = &mut self.queue;
        let (corpus, words) = (queue.text.corpus(), queue.text.vocabulary().len());
        let row_fits = |&RowPosition(file, at, previous): &RowPosition| {
            file < corpus.files() && at <= corpus.text(file).len() && (previous as usize) < words
        };
        if position.epoch == 0 || position.epoch > u64::from(u32::MAX) {
            return Err(bad_position(&format!("epoch {}", position.epoch)));
        }
        if position.rows.len() != self.rows.len() || !position.rows.iter().flatten().all(row_fits) {
            return Err(bad_position("its rows lie outside"));
        }
        queue.begin_epoch(position.epoch);
        queue.fresh = false;
        (queue.files, queue.place) = (position.files, position.place);
        self.rows.clone_from(&position.rows);
        (self.step, self.epoch) = (position.step, position.epoch);
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
        let mut row = self.rows[b].take();
        // What is left of a sentence may be far from where the queue reads.
        self.queue.text.corpus().touched(self.unroll);
        for t in 0..self.unroll {
            let sentence = match row {
                Some(sentence) => sentence,
                None => match self.queue.pull()? {
                    Some(sentence) => sentence,
                    None => return Ok(false),
                },
            };
            let RowPosition(file, mut at, previous) = sentence;
            let text = &self.queue.text;
            let token = text.read(file, &mut at)?.unwrap_or(Token {
                id: text.vocabulary().mark(),
                ends_line: true,
            });
            rows.set(t, b, previous, token);
            row = (!token.ends_line).then_some(RowPosition(file, at, token.id));
        }
        self.rows[b] = row;
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
            rows: self.rows.clone(),
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
