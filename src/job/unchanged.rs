//! Checks that what files contain is the same as when a resumed run started.

use super::text::check_same_words;
use crate::config::{Config, Content, Resume, keys};
use crate::corpus::{Corpus, Position, Vocabulary};
use crate::error::Result;

/// What is known of a resumed run and of the files now. A part is checked as soon as it is known.
#[derive(Default)]
pub(super) struct Contents<'a> {
    words: Option<&'a Vocabulary>,
    training: Option<(&'a Position, &'a Corpus)>,
}

impl<'a> Contents<'a> {
    /// The words of the run.
    pub fn of_words(words: &'a Vocabulary) -> Contents<'a> {
        Contents {
            words: Some(words),
            ..Contents::default()
        }
    }

    /// The position of the run in its training text, and the training text now.
    pub fn of_training(position: &'a Position, corpus: &'a Corpus) -> Contents<'a> {
        Contents {
            training: Some((position, corpus)),
            ..Contents::default()
        }
    }

    /// Checks the known contents of every key with the rule [`Resume::SameContent`].
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if one has changed.
    pub fn check(&self, config: &Config) -> Result<()> {
        keys().try_for_each(|key| match key.resume {
            Resume::SameContent(content) => self.check_content(content, config),
            // Compared without files: by the configuration, and by the progress of the run.
            Resume::MayChange | Resume::MustStay | Resume::SameMeasure(_) => Ok(()),
        })
    }

    fn check_content(&self, content: Content, config: &Config) -> Result<()> {
        match content {
            Content::Words => self
                .words
                .map_or(Ok(()), |words| check_same_words(config, words)),
            Content::TrainingText => self
                .training
                .map_or(Ok(()), |(position, corpus)| position.check_text(corpus)),
        }
    }
}
