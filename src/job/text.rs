//! The vocabulary and the texts of a configuration.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::named::texts;
use super::observer::Observer;
use crate::config::{Config, DataConfig, Normalization, Tokens};
use crate::corpus::{
    Corpus, Marks, Overlap, Text, TokenCache, Vocabulary, VocabularyBuilder, expand,
};
use crate::error::{Error, Result};
use crate::numbers::percent;
use crate::train::watch::{Event, Task};

/// The texts and the vocabulary of a training run.
#[derive(Clone)]
pub struct Texts {
    /// The training text.
    pub train: Text,
    /// The validation text, if there is one.
    pub valid: Option<Text>,
    /// The vocabulary of both.
    pub vocabulary: Arc<Vocabulary>,
}

impl Texts {
    /// Reads both texts with this vocabulary.
    pub(super) fn read(
        files: TextFiles,
        vocabulary: Arc<Vocabulary>,
        tokens: Tokens,
        caching: &Caching,
        observer: &mut Observer<'_>,
    ) -> Result<Texts> {
        let mut others = Vec::new();
        for (name, corpus) in [
            ("validation text", &files.valid),
            ("test text", &files.test),
        ] {
            others.extend(corpus.as_ref().map(|corpus| (name, corpus)));
        }
        for (name, corpus) in others {
            // The training text is normalized.
            if let Some(warning) = overlap_warning(name, corpus, &files.train, Normalization::None)?
            {
                tracing::warn!("{warning}");
            }
        }
        warn_of_marks("training text", &files.train, &vocabulary, tokens)?;
        if let Some(valid) = &files.valid {
            warn_of_marks("validation text", valid, &vocabulary, tokens)?;
        }
        let mut read = |corpus| read_text(corpus, vocabulary.clone(), tokens, caching, observer);
        Ok(Texts {
            train: read(files.train)?,
            valid: files.valid.map(read).transpose()?,
            vocabulary: vocabulary.clone(),
        })
    }
}

/// The files of the texts.
pub(super) struct TextFiles {
    pub train: Arc<Corpus>,
    pub valid: Option<Arc<Corpus>>,
    /// The test text, if there is one and it can be read. It is not used in training.
    pub test: Option<Arc<Corpus>>,
}

impl TextFiles {
    /// Opens the files that a configuration names, and reports their names. `missing` returns, for a key, what the user can
    /// do if one of its files does not exist.
    pub fn open(
        data: &DataConfig,
        missing: impl Fn(&str) -> Option<String>,
        observer: &mut Observer<'_>,
    ) -> Result<TextFiles> {
        let explained = |key: &str, files: &[PathBuf], error: Error| {
            // If the path is an existing folder, its own error is more specific.
            let is_missing = |file: &PathBuf| !file.is_dir() && expand(&[file]).is_err();
            match files.iter().any(is_missing).then(|| missing(key)).flatten() {
                Some(help) => error.help(help),
                None => error,
            }
        };
        let train = Corpus::training(data).map_err(|e| explained("data.train", &data.train, e))?;
        let valid =
            Corpus::validation(data).map_err(|e| explained("data.valid", &data.valid, e))?;
        observer(Event::Note {
            text: texts(data, &train, valid.as_ref()),
        });
        Ok(TextFiles {
            train: Arc::new(train),
            valid: valid.map(Arc::new),
            test: (!data.test.is_empty())
                .then(|| Corpus::open_as(&data.test, data.normalization).ok())
                .flatten()
                .map(Arc::new),
        })
    }
}

/// Warns about literal marks in a text called `what`, and about unknown words that are not written as in the vocabulary.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if a file was truncated while it was read.
pub fn warn_of_marks(
    what: &str,
    corpus: &Corpus,
    vocabulary: &Vocabulary,
    tokens: Tokens,
) -> Result<()> {
    for warning in Marks::of(corpus)?.warnings(what, vocabulary, tokens) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// A warning if a large part of a text called `what` is also in the training text, which is normalized while it is read.
pub(super) fn overlap_warning(
    what: &str,
    text: &Corpus,
    training: &Corpus,
    form: Normalization,
) -> Result<Option<String>> {
    let overlap = Overlap::of(text, training, form)?.filter(Overlap::is_large);
    Ok(overlap.map(|overlap| {
        let (lines, are) = if overlap.is_of_lines {
            ("lines of the ", "are")
        } else {
            ("", "is")
        };
        let advice = if text.is_part() {
            "the text repeats itself: remove the repeated lines, or use another text for validation, with `data.valid`"
        } else {
            "remove the common text from `data.train`, or hold out text with `data.valid_share`"
        };
        format!(
            "{} of the {lines}{what} {are} also in the training text, so its perplexity says little about other texts: {advice}",
            percent(overlap.share)
        )
    }))
}

/// Where the tokens of texts are cached.
#[derive(Clone, Debug, Default)]
pub(super) enum Caching {
    /// In the cache folder of the user.
    #[default]
    OfUser,
    /// In this cache, or nowhere.
    In(Option<TokenCache>),
}

impl Caching {
    fn cache(&self) -> Option<TokenCache> {
        match self {
            Caching::OfUser => TokenCache::of_user(),
            Caching::In(cache) => cache.clone(),
        }
    }
}

/// Reads a text with this vocabulary. Converts it to tokens and stores them in the cache, unless an earlier run has done so.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the text is not UTF-8.
pub(super) fn read_text(
    corpus: Arc<Corpus>,
    vocabulary: Arc<Vocabulary>,
    tokens: Tokens,
    caching: &Caching,
    observer: &mut Observer<'_>,
) -> Result<Text> {
    watched(Task::ReadingText, observer, |watch| match caching.cache() {
        Some(cache) => cache.open(corpus, vocabulary, tokens, watch),
        None if tokens == Tokens::Bpe => TokenCache::uncached(corpus, vocabulary, watch),
        None => Ok(Text::new(corpus, vocabulary, tokens)),
    })
}

/// The vocabulary file of a configuration or, if it names none, the vocabulary of the training text.
pub(super) fn vocabulary(
    config: &Config,
    corpus: &Corpus,
    observer: &mut Observer<'_>,
) -> Result<Vocabulary> {
    let Some(path) = &config.data.vocab else {
        return counted_vocabulary(config, corpus, observer);
    };
    let vocabulary = named_vocabulary(config, path)?;
    vocabulary.check_rule(corpus, &config.data, &path.display().to_string())?;
    match vocabulary.tokenizer() {
        // A tokenizer.json has no counts.
        Some(tokenizer) if vocabulary.is_uncounted() => {
            let (tokenizer, order) = (tokenizer.clone(), config.data.order);
            watched(Task::CountingWords, observer, |watch| {
                Vocabulary::of_tokenizer(tokenizer, corpus, order, watch)
            })
        }
        _ => Ok(vocabulary),
    }
}

/// The vocabulary file of a configuration. Warns if the words are not sorted as a sampled or adaptive softmax assumes.
///
/// # Errors
///
/// Same as [`vocabulary_file`].
pub fn named_vocabulary(config: &Config, path: &Path) -> Result<Vocabulary> {
    let vocabulary = vocabulary_file(config, path)?;
    if config.softmax.needs_order() && !vocabulary.is_sorted() {
        tracing::warn!(
            "the words of `{}` are not sorted by descending frequency, which the {} softmax assumes",
            path.display(),
            config.softmax.name()
        );
    }
    Ok(vocabulary)
}

/// The vocabulary in a file. It must have `data.vocab_size` words, unless that is 0.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the file is not a vocabulary, or has the wrong size.
pub fn vocabulary_file(config: &Config, path: &Path) -> Result<Vocabulary> {
    let data = &config.data;
    let vocabulary = match data.tokens {
        Tokens::Bpe => Vocabulary::load_subwords(path, data.order)?,
        _ => Vocabulary::load(path, data.order)?,
    };
    vocabulary.check_words(data, &path.display().to_string())?;
    if data.vocab_size != 0 && vocabulary.len() != data.vocab_size {
        return Err(Error::data(format!(
            "`{}` has {} words, but `data.vocab_size` says {}",
            path.display(),
            vocabulary.len(),
            data.vocab_size
        ))
        .help("set `data.vocab_size` to 0 or to the size of the file, or use another file for `data.vocab`"));
    }
    Ok(vocabulary)
}

/// Counts the words of the training text, with the settings of the configuration.
///
/// # Errors
///
/// Same as [`count_words`].
pub fn counted_vocabulary(
    config: &Config,
    corpus: &Corpus,
    observer: &mut Observer<'_>,
) -> Result<Vocabulary> {
    let text = match config.data.tokens {
        Tokens::Bpe => "Training a tokenizer on the training text ...".to_owned(),
        tokens => format!("Counting the {}s of the training text ...", tokens.noun()),
    };
    observer(Event::Note { text });
    let data = &config.data;
    let builder = VocabularyBuilder::new(data.order, data.tokens)
        .size(data.vocab_size)
        .min_count(data.min_count);
    count_words(&builder, corpus, observer)
}

/// Counts the words of a corpus.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the text cannot be read, or no word remains.
pub fn count_words(
    builder: &VocabularyBuilder,
    corpus: &Corpus,
    observer: &mut Observer<'_>,
) -> Result<Vocabulary> {
    let task = match builder.kind() {
        Tokens::Characters => Task::CountingCharacters,
        Tokens::Whitespace | Tokens::Words | Tokens::Bpe => Task::CountingWords,
    };
    let vocabulary = watched(task, observer, |watch| builder.build_watched(corpus, watch))?;
    // A vocabulary of special words only cannot predict anything.
    if vocabulary.len() <= 2 {
        return Err(Error::data(match builder.get_min_count() {
            0 | 1 => format!(
                "the text contains only special {}s: the vocabulary would be empty",
                builder.kind().noun()
            ),
            count => format!(
                "no {} occurs {count} times or more: the vocabulary would be empty",
                builder.kind().noun()
            ),
        })
        .help("lower `data.min_count` or --min-count, or check the kind of tokens and the text"));
    }
    Ok(vocabulary)
}

/// Checks that the vocabulary file, if it exists, still has the words of the run, which are in its checkpoint.
pub(super) fn check_same_words(config: &Config, words: &Vocabulary) -> Result<()> {
    match &config.data.vocab {
        Some(path) if path.exists() && !is_same(&vocabulary_file(config, path)?, words) => {
            Err(Error::data(format!(
                "`{}` does not have the words of the run",
                path.display()
            ))
            .help("resume with the vocabulary of the run, or without `data.vocab`: its words are in its checkpoint"))
        }
        _ => Ok(()),
    }
}

/// Whether a vocabulary file has the words of a run. The words of a tokenizer.json are ordered when they are counted.
fn is_same(file: &Vocabulary, words: &Vocabulary) -> bool {
    match (file.tokenizer(), words.tokenizer()) {
        (Some(one), Some(other)) if file.is_uncounted() => {
            one.json().trim_ascii() == other.json().trim_ascii()
        }
        _ => file.same_words(words),
    }
}

/// Runs `act`, whose threads report progress in bytes. Passes the reports to the observer, one at a time.
fn watched<T>(
    task: Task,
    observer: &mut Observer<'_>,
    act: impl FnOnce(&(dyn Fn(u64, u64) + Sync)) -> T,
) -> T {
    let shared = Mutex::new(observer);
    let done = act(&|done, total| {
        let mut observer = shared.lock().unwrap_or_else(PoisonError::into_inner);
        observer(Event::Working { task, done, total });
    });
    let observer = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    observer(Event::Worked { task });
    done
}
