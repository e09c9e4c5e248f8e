//! A warning about perplexities that are not meaningful: those of texts with unknown words, if the training text
//! had none.

use crate::config::DataConfig;
use crate::job::Trained;
use crate::metrics::is_unlearned;
use crate::numbers::percent;
use crate::train::progress::Progress;
use crate::train::watch::Event;

/// The share of unknown words above which a text differs from the training text.
const MANY: f64 = 0.05;

/// How many times the share of the training text that is, at least.
const TIMES: f64 = 3.0;

/// Warns once.
pub(in crate::cli) struct UnknownWords {
    /// The noun for a token: word or character.
    token: &'static str,
    /// How to make some words of the training text unknown.
    remedy: String,
    has_warned: bool,
    /// The share of unknown words in the last validation, if its perplexity is not meaningful.
    last: Option<f64>,
}

impl UnknownWords {
    /// For models of this text.
    pub fn new(data: &DataConfig) -> UnknownWords {
        let token = data.tokens.noun();
        UnknownWords {
            token,
            remedy: if data.vocab.is_some() {
                format!(
                    "leave rare {token}s out of the vocabulary, for example with `wlstm vocab --min-count 2`"
                )
            } else {
                format!(
                    "make the rarest {token}s of the training text unknown, with --set data.min_count=2"
                )
            },
            has_warned: false,
            last: None,
        }
    }

    /// The warning about a text called `what` that a trained model has read, if there is one: many of its targets are unknown
    /// words, and the training text had none or far fewer.
    pub fn warning_of_model(
        trained: &Trained,
        what: &str,
        unknown: u64,
        targets: u64,
    ) -> Option<String> {
        let share = unknown as f64 / targets.max(1) as f64;
        // An imported model has no history.
        let progress = Progress::read(trained.checkpoint()).ok()?;
        let mut words = UnknownWords::new(&trained.config().data);
        if is_unlearned(share, progress.unknown) {
            return words.warning(what, share, true);
        }
        let in_training = progress.unknown? as f64 / progress.words.max(1) as f64;
        (share > MANY && share > TIMES * in_training).then(|| {
            format!(
                "{} of the targets of the {what} are unknown {token}s, but only {} of those in training: the model predicts all of them as one {token}, so the perplexity cannot be compared with that of a text whose {token}s it knows",
                percent(share),
                percent(in_training),
                token = words.token
            )
        })
    }

    /// The warning about an event, if there is one.
    pub fn warning_of(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Valid {
                unknown, unlearned, ..
            } => self.warning("validation", *unknown, *unlearned),
            _ => None,
        }
    }

    /// The warning about a text called `what`, if there is one. `share` of its targets are unknown words.
    pub fn warning(&mut self, what: &str, share: f64, unlearned: bool) -> Option<String> {
        self.last = unlearned.then_some(share);
        let is_first = unlearned && !self.has_warned;
        self.has_warned |= unlearned;
        is_first.then(|| {
            format!(
                "{} of the targets of the {what} are unknown {}s, but the training text has none, so the model has not learned to predict them and the perplexity is not meaningful: {}",
                percent(share),
                self.token,
                self.remedy
            )
        })
    }

    /// A line for the end of a run, if the last perplexity is not meaningful.
    pub fn summary(&self) -> String {
        match self.last {
            Some(share) => format!(
                "unknown {}s: {} of the targets, none in training: this perplexity is not meaningful\n",
                self.token,
                percent(share)
            ),
            None => String::new(),
        }
    }
}
