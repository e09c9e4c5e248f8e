//! Scores lines, and prints the scores in the order of the lines.

use std::sync::mpsc::Receiver;

use super::lines::{Line, Waiting, Window, next_window};
use super::summary::Summary;
use crate::cli::output::{self, RawArgs};
use crate::corpus::{Marks, Unigram};
use crate::error::{Error, Result};
use crate::job::Trained;
use crate::train::score::{Score as Found, Scorer};

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
    /// The unigram model, if only totals are printed.
    unigram: Option<Unigram>,
    /// The number of lines printed so far.
    printed: u64,
    raw: RawArgs,
    /// The literal marks in the lines so far.
    marks: Marks,
    /// The totals so far.
    pub summary: Summary,
}

impl<'a> Scoring<'a> {
    /// A scorer without any lines so far.
    pub fn new(trained: &'a Trained, rows: Rows, scorer: Scorer<'a>) -> Scoring<'a> {
        Scoring {
            trained,
            rows,
            scorer,
            unigram: (rows == Rows::Nothing)
                .then(|| Unigram::of(trained.vocabulary()))
                .flatten(),
            printed: 0,
            raw: RawArgs::default(),
            marks: Marks::default(),
            summary: Summary::default(),
        }
    }

    /// Sets the format of the rows.
    pub fn raw(self, raw: RawArgs) -> Scoring<'a> {
        Scoring { raw, ..self }
    }

    /// Scores lines until the input ends, the reader of the output is gone, or a line cannot be read. Such an
    /// error is returned after the lines before it are printed.
    pub fn run(
        &mut self,
        lines: &Receiver<Result<Line>>,
        waiting: Waiting,
    ) -> Result<Option<Error>> {
        loop {
            let Window { lines, failed } = next_window(lines, waiting);
            let is_end = lines.is_empty() || failed.is_some();
            if !self.score(&lines)? {
                return Ok(None);
            }
            if is_end {
                self.warn_of_marks();
                self.summary.check_unigram(self.unigram.as_ref());
                return Ok(failed);
            }
        }
    }

    /// Warns about literal marks in the lines.
    fn warn_of_marks(&self) {
        let tokens = self.trained.config().data.tokens;
        let warnings = self
            .marks
            .warnings("text", self.trained.vocabulary(), tokens);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
    }

    /// Scores and prints lines. Returns false if the reader has closed the output.
    fn score(&mut self, lines: &[Line]) -> Result<bool> {
        let words = self.trained.vocabulary();
        for line in lines {
            self.marks.add(line.text.as_bytes());
        }
        let encode = |line: &Line| self.trained.encode(&line.text);
        let ids: Vec<Vec<u32>> = lines.iter().map(encode).collect();
        if let Some(unigram) = &self.unigram {
            let end = words.mark();
            for ids in &ids {
                let losses = ids.iter().chain([&end]).map(|id| unigram.loss(*id));
                self.summary.add_unigram(losses.sum());
            }
        }
        let scores = self.scorer.score(&ids)?;
        let mut rows = String::new();
        let data = &self.trained.config().data;
        let (kind, normalization) = (data.tokens, data.normalization);
        for (line, found) in lines.iter().zip(&scores) {
            self.printed += 1;
            // The bytes that `eval` counts: those of the normalized text.
            let bytes = kind.line_bytes(&normalization.apply(&line.text));
            let line_end = line.bytes - line.text.len();
            self.summary.add(found, bytes + line_end);
            match self.rows {
                Rows::Lines => rows += &row(&line.text, found),
                Rows::Words => self.word_rows(&line.text, found, &mut rows),
                Rows::Nothing => {}
            }
        }
        output::print_while_read(rows.as_bytes(), self.raw)
    }

    /// Appends a row for each word of a line and for its end.
    fn word_rows(&self, line: &str, found: &Found, rows: &mut String) {
        let words = self.trained.vocabulary();
        let data = &self.trained.config().data;
        let line = data.normalization.apply(line);
        let tokens = words.tokens(&line, data.tokens);
        let tokens = tokens.iter().map(String::as_str);
        let end = words.word(words.mark());
        for (word, log_probability) in tokens.chain([end]).zip(&found.words) {
            let unknown = u8::from(Some(words.encode(word)) == words.unknown_target());
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
