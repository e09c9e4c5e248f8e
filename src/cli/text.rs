//! The text that several commands read: from the cache of tokens, which is filled here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context::key_of;
use super::progress::Live;
use crate::checkpoint::run_of_config;
use crate::config::{DataConfig, Tokens};
use crate::corpus::{Corpus, Text, TokenCache, Vocabulary, expand};
use crate::error::{Error, Result};

/// The text of these files in these words. What was not read by an earlier run is parsed now, which is shown.
pub(super) fn text(
    corpus: Arc<Corpus>,
    words: Arc<Vocabulary>,
    kind: Tokens,
    quiet: bool,
) -> Result<Text> {
    let Some(cache) = TokenCache::of_user() else {
        return Ok(Text::new(corpus, words, kind));
    };
    let live = Live::new("reading the text", quiet);
    let text = cache.open(corpus, words, kind, &|done, total| {
        // In MB, for people.
        live.show(done >> 20, total >> 20);
    });
    live.end();
    text
}

/// Opens the training text and the validation text of a configuration; `missing` says what to do where one of a key is not there.
pub(super) fn open_texts(
    data: &DataConfig,
    missing: impl Fn(&str) -> Option<String>,
) -> Result<(Arc<Corpus>, Option<Arc<Corpus>>)> {
    let explained = |key: &str, files: &[PathBuf], error: Error| {
        // Of a folder that is there it is told better what is wrong with it.
        let is_missing = |file: &PathBuf| !file.is_dir() && expand(&[file]).is_err();
        match files.iter().any(is_missing).then(|| missing(key)).flatten() {
            Some(help) => error.help(help),
            None => error,
        }
    };
    let train = Corpus::training(data).map_err(|e| explained("data.train", &data.train, e))?;
    let valid = Corpus::validation(data).map_err(|e| explained("data.valid", &data.valid, e))?;
    Ok((Arc::new(train), valid.map(Arc::new)))
}

/// What to do where a text is not there that `key` names, in the file `config` or by an override.
pub(super) fn missing_text(key: &str, config: &Path, overrides: &[String]) -> Option<String> {
    let given = overrides.iter().rev().find(|set| key_of(set) == key);
    let value = given.and_then(|set| Some(set.split_once('=')?.1.trim()));
    match value {
        // There is no other place where it could be.
        Some(value) if Path::new(value).is_absolute() => None,
        Some(_) => Some(format!(
            "`--set {key}` names it, and it is neither beside the configuration nor in the current folder, `{}`",
            std::env::current_dir().unwrap_or_default().display()
        )),
        None if run_of_config(config).is_some() => Some(format!(
            "the run was begun with it: put the text back, or name its new place with --set {key}=FILE"
        )),
        None => Some(format!(
            "`{key}` of `{}` names it: bring the text there (the comments in the file say where it comes from), or name another with --set \
             {key}=FILE, which is looked for beside the configuration, then in the current folder",
            config.display()
        )),
    }
}
