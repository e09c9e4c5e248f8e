//! Evaluates a model on a text: its perplexity.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::named::{held_out_part, names_of};
use super::text::{overlap_warning, read_text, warn_of_marks};
use super::trained::Trained;
use crate::config::Normalization;
use crate::corpus::{Corpus, expand};
use crate::error::{Error, Result};
use crate::train::evaluate::{Evaluation, evaluate};
use crate::train::plans::evaluation_extent;
use crate::train::watch::{Event, Task};

/// A text of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfiguredText {
    /// `data.test`.
    Test,
    /// `data.valid`, or the lines of the training text that `data.valid_share` holds out.
    Validation,
}

/// How a text is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationOptions {
    /// The number of targets, sampled evenly from the whole text; 0: all.
    pub targets: u64,
    /// The number of streams, at least 1. Each stream reads its own part of the text from a zero state, so that its first words
    /// are predicted with little context. In `sentences` order a stream takes the next sentence when its current one ends, and
    /// its state carries over.
    pub streams: usize,
}

impl Default for EvaluationOptions {
    /// All targets in one stream.
    fn default() -> EvaluationOptions {
        EvaluationOptions {
            targets: 0,
            streams: 1,
        }
    }
}

impl Trained {
    /// The perplexity of these files, read as one stream. Every target counts exactly once, with its exact probability.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if a file cannot be read or is not UTF-8, [`Kind::Usage`](crate::error::Kind::Usage)
    /// for 0 streams, and as [`Trained::evaluation_session`].
    pub fn evaluate<P: AsRef<Path>>(&self, files: &[P]) -> Result<Evaluation> {
        self.evaluate_corpus(
            Arc::new(self.open_text(files)?),
            EvaluationOptions::default(),
        )
    }

    /// Same as [`Trained::evaluate`], with these options.
    ///
    /// # Errors
    ///
    /// Same as [`Trained::evaluate`].
    pub fn evaluate_corpus(
        &self,
        corpus: Arc<Corpus>,
        options: EvaluationOptions,
    ) -> Result<Evaluation> {
        let EvaluationOptions { targets, streams } = options;
        if streams == 0 {
            return Err(Error::usage("a text cannot be evaluated in 0 streams")
                .help("give the number of streams, at least 1"));
        }
        let config = self.config();
        let mut session = self.evaluation_session(evaluation_extent(config, streams))?;
        let words = self.vocabulary().clone();
        warn_of_marks("text", &corpus, &words, config.data.tokens)?;
        let (tokens, caching) = (config.data.tokens, &self.caching);
        let text = read_text(corpus, words, tokens, caching, &mut |event| {
            self.observe(event);
        })?;
        let task = Task::Evaluating;
        let found = evaluate(session.evaluator(), &text, targets, |done, total| {
            self.observe(Event::Working { task, done, total });
            Ok(())
        });
        self.observe(Event::Worked { task });
        found
    }

    /// The first of these texts that the configuration names.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if it names none, [`Kind::Data`](crate::error::Kind::Data)
    /// if the text cannot be read.
    pub fn configured_text(&self, order: &[ConfiguredText]) -> Result<Corpus> {
        for text in order {
            let what = match text {
                ConfiguredText::Test => "test",
                ConfiguredText::Validation => "validation",
            };
            let Some(named) = self.files_of(*text) else {
                continue;
            };
            let failed = |error: Error| {
                error
                    .context(format!("cannot use the run's {what} text"))
                    .help("give the text with --data FILE")
            };
            // A checkpoint from an untrusted source can name any file, so the path is shown before the file is read.
            let files = expand(named).map_err(failed)?;
            let data = &self.config().data;
            let mut name = names_of(&files[0], files.len());
            if *text == ConfiguredText::Validation && data.valid.is_empty() {
                name = held_out_part(data, &name);
            }
            self.observe(Event::Note {
                text: format!("Evaluating the run's {what} text: {name}."),
            });
            let corpus = match text {
                ConfiguredText::Test => self.open_text(&data.test).map(Some),
                ConfiguredText::Validation => Corpus::validation(data),
            };
            if let Some(corpus) = corpus.map_err(failed)? {
                return Ok(corpus);
            }
        }
        Err(
            Error::usage("the run's configuration names neither test nor validation text")
                .help("give the text with --data FILE"),
        )
    }

    /// The files that the configuration names for a text. `None` if it names none.
    fn files_of(&self, text: ConfiguredText) -> Option<&[PathBuf]> {
        let data = &self.config().data;
        match text {
            ConfiguredText::Test => (!data.test.is_empty()).then_some(&data.test),
            ConfiguredText::Validation if !data.valid.is_empty() => Some(&data.valid),
            ConfiguredText::Validation => (data.valid_share > 0.0).then_some(&data.train),
        }
    }

    /// A warning if a large part of a text is also in the training text. None if the training text cannot be read.
    ///
    /// Lines that `data.valid_share` holds out are compared with the other lines, and all other texts with the whole files.
    pub fn overlap_with_training(&self, corpus: &Corpus) -> Option<String> {
        let data = &self.config().data;
        // As in `configured_text`, the path is shown before the file is read.
        let files = expand(&data.train).ok()?;
        self.observe(Event::Note {
            text: format!(
                "Comparing the text with the run's training text: {}.",
                names_of(&files[0], files.len())
            ),
        });
        let (training, form) = if corpus.is_part() {
            (Corpus::training(data).ok()?, Normalization::None)
        } else {
            // Only the parts that are compared are normalized.
            (Corpus::open(&data.train).ok()?, data.normalization)
        };
        overlap_warning("text", corpus, &training, form).ok()?
    }

    /// A file of `corpus` that is also training text of the model, if there is one.
    pub fn trained_on(&self, corpus: &Corpus) -> Option<PathBuf> {
        let canonical = |path: &Path| path.canonicalize().ok();
        let training = expand(&self.config().data.train).ok()?;
        let training: Vec<PathBuf> = training.iter().filter_map(|path| canonical(path)).collect();
        let mut files = (0..corpus.files()).map(|file| corpus.path(file));
        let is_known = |path: &&Path| canonical(path).is_some_and(|path| training.contains(&path));
        files.find(is_known).map(Path::to_path_buf)
    }
}
