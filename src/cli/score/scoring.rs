//! Scores lines, and prints the scores in the order of the lines.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::summary::Summary;
use crate::cli::output::{self, RawArgs};
use crate::corpus::Unigram;
use crate::error::{Error, Result};
use crate::job::Trained;
use crate::train::score::{Score as Found, Scorer};

/// The maximum number of lines that are scored but not printed because an earlier line is not scored yet.
const WAITING: usize = 1 << 14;

/// The rows that are printed.
#[derive(Clone, Copy, PartialEq)]
pub enum Rows {
    /// One for each line.
    Lines,
    /// One for each word, and for the end of each line.
    Words,
    /// None: only totals are wanted.
    Nothing,
}

/// The state between input and output.
pub struct Scoring<'a> {
    trained: &'a Trained,
    rows: Rows,
    scorer: Scorer<'a>,
    /// For the totals alone: the unigram model.
    unigram: Option<Unigram>,
    /// The lines that were read before scoring started.
    first: VecDeque<Result<String>>,
    /// The lines that are not printed yet, oldest first, with their scores once known.
    texts: VecDeque<(String, Option<Found>)>,
    /// The number of lines printed so far.
    printed: u64,
    raw: RawArgs,
    /// The totals so far.
    pub summary: Summary,
}

impl<'a> Scoring<'a> {
    /// Nothing is scored yet. `first` are lines that were read already.
    pub fn new(
        trained: &'a Trained,
        rows: Rows,
        scorer: Scorer<'a>,
        first: VecDeque<Result<String>>,
    ) -> Scoring<'a> {
        Scoring {
            trained,
            rows,
            scorer,
            unigram: (rows == Rows::Nothing)
                .then(|| Unigram::of(trained.vocabulary()))
                .flatten(),
            first,
            texts: VecDeque::new(),
            printed: 0,
            raw: RawArgs::default(),
            summary: Summary::default(),
        }
    }

    /// Prints rows this way.
    pub fn raw(self, raw: RawArgs) -> Scoring<'a> {
        Scoring { raw, ..self }
    }

    /// Scores lines until the input ends, the reader of the output is gone, or a line cannot be read. Such an
    /// error is returned after the lines before it are printed.
    pub fn run(
        &mut self,
        lines: &Receiver<Result<String>>,
        at_once: bool,
    ) -> Result<Option<Error>> {
        let mut failed = None;
        let mut ended = false;
        loop {
            while !ended && self.scorer.has_room() && self.texts.len() < WAITING {
                // Lines that have arrived are scored at once.
                let next = match self.first.pop_front() {
                    Some(line) => Some(line),
                    None if at_once && !self.scorer.is_idle() => match lines.try_recv() {
                        Err(TryRecvError::Empty) => break,
                        other => other.ok(),
                    },
                    None => lines.recv().ok(),
                };
                match next {
                    Some(Ok(line)) => self.take(line),
                    Some(Err(error)) => (failed, ended) = (Some(error), true),
                    None => ended = true,
                }
            }
            if self.scorer.is_idle() {
                self.summary.check_unigram(self.unigram.as_ref());
                return Ok(failed);
            }
            for (number, found) in self.scorer.advance()? {
                self.texts[(number - self.printed) as usize].1 = Some(found);
            }
            if !self.print()? {
                return Ok(None);
            }
        }
    }

    fn take(&mut self, line: String) {
        let tokens = self.trained.config().data.tokens;
        let ids = self.trained.vocabulary().encode_text(&line, tokens);
        if let Some(unigram) = &self.unigram {
            let end = self.trained.vocabulary().mark();
            let losses = ids.iter().chain([&end]).map(|id| unigram.loss(*id));
            self.summary.add_unigram(losses.sum());
        }
        self.scorer.take(ids);
        self.texts.push_back((line, None));
    }

    /// Prints the known scores, in order. Returns whether the output still has a reader.
    fn print(&mut self) -> Result<bool> {
        let mut rows = String::new();
        while let Some((_, Some(_))) = self.texts.front()
            && let Some((line, Some(found))) = self.texts.pop_front()
        {
            self.printed += 1;
            self.summary.add(&found);
            match self.rows {
                Rows::Lines => rows += &row(&line, &found),
                Rows::Words => self.word_rows(&line, &found, &mut rows),
                Rows::Nothing => {}
            }
        }
        output::print_while_read(rows.as_bytes(), self.raw)
    }

    /// Appends a row for each word of a line and for its end.
    fn word_rows(&self, line: &str, found: &Found, rows: &mut String) {
        let words = self.trained.vocabulary();
        let tokens = self.trained.config().data.tokens.split(line);
        let end = words.word(words.mark());
        for (word, log_probability) in tokens.chain([end]).zip(&found.words) {
            let unknown = u8::from(words.encode(word) == words.unknown());
            *rows += &format!(
                "{}\t{log_probability:.6}\t{unknown}\t{word}\n",
                self.printed
            );
        }
    }
}

/// A row of output for a line.
fn row(line: &str, found: &Found) -> String {
    format!(
        "{:.6}\t{}\t{}\t{line}\n",
        found.log_probability, found.tokens, found.unknown
    )
}
