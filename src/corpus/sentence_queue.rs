//! All sentences of a text in the order in which batches take them: epoch by epoch, shuffled or not.

use super::batch::{BatchOptions, RowPosition};
use super::shuffle::{Permutation, file_order};
use super::text::{Lines, Text};
use crate::error::{Error, Result};

/// A sentence that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenSentence {
    pub(super) position: RowPosition,
    /// Offset of the next token in the file.
    pub(super) at: usize,
    /// Id of the token before that offset.
    pub(super) previous: u32,
}

/// The queue of sentences.
#[derive(Clone, Debug)]
pub(super) struct SentenceQueue {
    text: Text,
    shuffle: bool,
    seed: u64,
    last_epoch: u64,
    epoch: u64,
    /// The files of the epoch in reading order.
    order: Vec<usize>,
    /// How many of these files are read to the end.
    files: usize,
    /// Lines taken from the file after them.
    lines: u64,
    /// Offset of the next line, when lines are not shuffled.
    at: usize,
    /// The line index of the current file and the order of its lines, when lines are shuffled.
    shuffled: Option<(Lines, Permutation)>,
    /// Whether this epoch has not returned a sentence yet.
    is_fresh: bool,
}

impl SentenceQueue {
    pub(super) fn new(text: &Text, options: &BatchOptions) -> SentenceQueue {
        let mut queue = SentenceQueue {
            text: text.clone(),
            shuffle: options.shuffle,
            seed: options.seed,
            last_epoch: options.last_epoch(),
            epoch: 0,
            order: Vec::new(),
            files: 0,
            lines: 0,
            at: 0,
            shuffled: None,
            is_fresh: true,
        };
        queue.begin_epoch(1);
        queue
    }

    /// A copy that ends after the first epoch.
    pub(super) fn one_epoch(&self) -> SentenceQueue {
        SentenceQueue {
            last_epoch: 1,
            ..self.clone()
        }
    }

    pub(super) fn text(&self) -> &Text {
        &self.text
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Files of the epoch that are read to the end.
    pub(super) fn files(&self) -> usize {
        self.files
    }

    /// Lines taken from the file after them.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    fn begin_epoch(&mut self, epoch: u64) {
        let files = self.text.corpus().files();
        self.epoch = epoch;
        self.order = if self.shuffle {
            file_order(files, self.seed, epoch)
        } else {
            (0..files).collect()
        };
        (self.files, self.is_fresh) = (0, true);
        self.begin_file();
    }

    fn begin_file(&mut self) {
        (self.lines, self.at, self.shuffled) = (0, 0, None);
    }

    /// Moves to a position in an epoch: after `files` files and `lines` lines of the next one.
    pub(super) fn seek(&mut self, epoch: u64, files: usize, lines: u64) {
        self.begin_epoch(epoch);
        self.is_fresh = false;
        (self.files, self.lines) = (files, lines);
        if !self.shuffle && lines > 0 && files < self.order.len() {
            let (file, line) = (self.order[files], usize::try_from(lines));
            let index = self.text.lines(file);
            let line = line.unwrap_or(usize::MAX);
            self.at = self.text.line_start(file, &index, line);
        }
    }

    /// The next sentence. `None` after the last epoch.
    ///
    /// # Errors
    ///
    /// If an epoch has no sentence, or the text is not UTF-8.
    pub(super) fn pull(&mut self) -> Result<Option<OpenSentence>> {
        loop {
            let Some(&file) = self.order.get(self.files) else {
                if self.is_fresh {
                    let path = self.text.corpus().path(0).display();
                    return Err(Error::data(format!("there is no sentence in `{path}`"))
                        .help("a corpus is UTF-8 text, one sentence per line"));
                }
                if self.epoch >= self.last_epoch {
                    return Ok(None);
                }
                self.begin_epoch(self.epoch + 1);
                continue;
            };
            let Some((line, start)) = self.next_line(file) else {
                self.files += 1;
                self.begin_file();
                continue;
            };
            let mut at = start;
            let first = self.text.read(file, &mut at)?;
            if first.is_some_and(|token| !token.ends_line) {
                self.is_fresh = false;
                return Ok(Some(OpenSentence {
                    position: RowPosition {
                        file,
                        line,
                        pairs: 0,
                    },
                    at: start,
                    previous: self.text.vocabulary().mark(),
                }));
            }
        }
    }

    /// The number and the offset of the next line of the file.
    fn next_line(&mut self, file: usize) -> Option<(u64, usize)> {
        let text = &self.text;
        if self.shuffle {
            let (index, permutation) = self.shuffled.get_or_insert_with(|| {
                let index = text.lines(file);
                let count = text.line_count(file, &index) as u64;
                let permutation = Permutation::of_lines(count, self.seed, self.epoch, file);
                (index, permutation)
            });
            if self.lines >= text.line_count(file, index) as u64 {
                return None;
            }
            let line = permutation.at(self.lines);
            self.lines += 1;
            text.note_random_read(file);
            Some((line, text.line_start(file, index, line as usize)))
        } else {
            let start = self.at;
            self.at = text.line_after(file, start)?;
            self.lines += 1;
            text.note_read(file, self.at - start);
            Some((self.lines - 1, start))
        }
    }
}
