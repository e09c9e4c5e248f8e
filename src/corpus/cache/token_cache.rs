//! A folder of token files. Text is parsed once, by the first run that needs it, and memory-mapped from then on.
//!
//! There is one token file for each file of text. Its name is a digest of everything that determines its tokens: the text,
//! the vocabulary, the order, the kind of tokens and the version of the format. A token file is never changed, and stays
//! valid even if the text changes.
//!
//! Invariants:
//!
//! - Files are written atomically ([`files`]). Runs that parse the same text at the same time write the same file;
//!   the last one replaces the others. Partial files of killed runs are removed after an hour without a write.
//! - The folder has a size limit. Beyond it, the least recently used files are removed, except those that a running process
//!   uses: each process lists its files in a `use-*` file and holds a lock on it.
//! - A failure of the cache never stops a run. A file of text without a token file (the folder is not writable, the disk is
//!   full, the file is damaged and cannot be replaced) is read as text, and gives the same batches.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::build::{Build, warn_uncached};
use super::cached_tokens::{CachedTokens, InUse};
use super::digests;
use super::store::Store;
use super::token_file::Key;
use super::token_writer::NewFile;
use crate::corpus::contents::COPIED;
use crate::corpus::files::Corpus;
use crate::corpus::text::Text;
use crate::corpus::tokens::TokenKind;
use crate::corpus::vocabulary::Vocabulary;
use crate::error::Result;
use crate::files;

/// Smaller texts are not cached. One core parses this many bytes in about 20 ms, so a token file saves little
/// time.
const MIN_BYTES: u64 = 2 << 20;

/// Default size limit of the folder in bytes.
const LIMIT: u64 = 32_000_000_000;

/// Default size of a corpus in bytes of tokens up to which the digests of its token files are checked when they are opened. One
/// core checks this many bytes in less than half a second if the operating system has them in memory.
const VERIFIED: u64 = 1 << 30;

/// A folder of token files and its limits.
#[derive(Clone, Debug)]
pub struct TokenCache {
    store: Store,
    limit: u64,
    min_bytes: u64,
    /// See [`TokenCache::verify_up_to`].
    verified: u64,
}

impl TokenCache {
    /// The cache of the user: the folder `tokens` in [`files::cache_folder`].
    ///
    /// `WLSTM_CACHE_LIMIT` sets its limit in GB (default 32). With `WLSTM_CACHE_VERIFY=1` token files of any size are
    /// checked when they are opened. `None` if there is no cache folder or the limit is 0.
    pub fn of_user() -> Option<TokenCache> {
        let mut cache = TokenCache::in_folder(files::cache_folder()?.join("tokens"));
        if let Some(limit) = std::env::var_os("WLSTM_CACHE_LIMIT") {
            let number = limit.to_str().and_then(|text| text.parse::<f64>().ok());
            match number.filter(|number| *number >= 0.0) {
                Some(number) => cache.limit = (number * 1e9) as u64,
                None => tracing::warn!("WLSTM_CACHE_LIMIT is {limit:?}, not a number of GB"),
            }
        }
        let verify = std::env::var_os("WLSTM_CACHE_VERIFY").is_some_and(|value| value == "1");
        if verify {
            cache.verified = u64::MAX;
        }
        (cache.limit > 0).then_some(cache)
    }

    /// A cache in a folder, which is created when it is needed.
    pub fn in_folder(folder: impl Into<PathBuf>) -> TokenCache {
        TokenCache {
            store: Store {
                folder: folder.into(),
                verify: false,
                copied: false,
            },
            limit: LIMIT,
            min_bytes: MIN_BYTES,
            verified: VERIFIED,
        }
    }

    /// Sets the size limit of the folder in bytes. Files in use may exceed it.
    pub fn limit(self, limit: u64) -> TokenCache {
        TokenCache { limit, ..self }
    }

    /// Sets the size in bytes below which a corpus is not cached.
    pub fn min_bytes(self, min_bytes: u64) -> TokenCache {
        TokenCache { min_bytes, ..self }
    }

    /// Sets the size of a corpus in bytes of tokens up to which all bytes of its token files are checked when they are opened.
    /// Of larger ones, only sizes and footers are checked.
    pub fn verify_up_to(self, verified: u64) -> TokenCache {
        TokenCache { verified, ..self }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.store.folder
    }

    /// A text of subwords whose tokens are kept in memory, or in temporary files if the text has 64 MB or more.
    ///
    /// `watch` is called as by [`TokenCache::open`].
    ///
    /// # Errors
    ///
    /// If the text is not UTF-8 (with file and line), the vocabulary has no tokenizer, or a temporary file cannot be written.
    pub fn uncached(
        corpus: Arc<Corpus>,
        vocabulary: Arc<Vocabulary>,
        watch: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Text> {
        let kind = TokenKind::Bpe;
        vocabulary.check_tokenizer(kind, "of the text")?;
        let (all, done) = (corpus.bytes(), AtomicU64::new(0));
        let note = |bytes: usize| {
            let before = done.fetch_add(bytes as u64, Ordering::Relaxed);
            watch(before + bytes as u64, all);
        };
        let digest = vocabulary.digest();
        let tokens = |file| {
            let key = Key::new(&corpus, file, &vocabulary, digest, kind);
            let new = NewFile {
                path: corpus.path(file),
                key: &key,
                corpus: &corpus,
                file,
                vocabulary: &vocabulary,
                watch: &note,
            };
            new.temporary(all < COPIED).map(Some)
        };
        let tokens: Result<Vec<_>> = (0..corpus.files()).map(tokens).collect();
        let tokens = CachedTokens::new(Path::new(""), tokens?, None);
        Ok(Text::new(corpus, vocabulary, kind).with_tokens(tokens))
    }

    /// Opens a text with tokens from the cache. First parses the files that are not cached yet.
    ///
    /// `watch` is called from any thread with the bytes parsed so far and the bytes to parse, if there is anything to parse.
    ///
    /// # Errors
    ///
    /// Only if the text is not UTF-8 (with file and line). If the folder cannot be used, a warning is logged and the tokens
    /// come from the text.
    pub fn open(
        &self,
        corpus: Arc<Corpus>,
        vocabulary: Arc<Vocabulary>,
        kind: TokenKind,
        watch: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Text> {
        if kind == TokenKind::Bpe && vocabulary.tokenizer().is_none() {
            vocabulary.check_tokenizer(kind, "of the text")?;
        }
        let uncached = || match kind {
            TokenKind::Bpe => TokenCache::uncached(corpus.clone(), vocabulary.clone(), watch),
            _ => Ok(Text::new(corpus.clone(), vocabulary.clone(), kind)),
        };
        let folder = self.folder();
        if corpus.bytes() < self.min_bytes {
            return uncached();
        }
        let text = Text::new(corpus.clone(), vocabulary.clone(), kind);
        // A token has 4 bytes: about as many as a word in the text, and more than a character.
        let bytes_per_byte = if kind == TokenKind::Characters { 4 } else { 1 };
        let token_bytes = corpus.bytes().saturating_mul(bytes_per_byte);
        if token_bytes > self.limit {
            tracing::warn!(
                "the tokens of {} bytes of text are not cached: the limit of `{}` is {} bytes (WLSTM_CACHE_LIMIT, in GB)",
                corpus.bytes(),
                folder.display(),
                self.limit
            );
            return uncached();
        }
        let created = fs::create_dir_all(folder);
        if let Err(error) = created.map_err(|error| files::cannot_write(folder, error)) {
            warn_uncached(&error);
            return uncached();
        }
        digests::recall(&corpus, folder);
        // Reads all texts with unknown digests, on all cores.
        corpus.digest();
        digests::store(&corpus, folder);

        let digest = vocabulary.digest();
        let key = |file| Key::new(&corpus, file, &vocabulary, digest, kind);
        let keys: Vec<Key> = (0..corpus.files()).map(key).collect();
        let in_use = InUse::begin(folder, &keys);
        let store = Store {
            copied: token_bytes < COPIED,
            verify: token_bytes <= self.verified,
            ..self.store.clone()
        };
        let token_files = Build {
            store: &store,
            corpus: &corpus,
            vocabulary: &vocabulary,
            keys: &keys,
            watch,
        }
        .all()?;
        self.store.evict(self.limit);
        let is_missing = |file: usize| token_files[file].is_none() && !corpus.text(file).is_empty();
        if kind == TokenKind::Bpe && (0..corpus.files()).any(is_missing) {
            return uncached();
        }
        Ok(text.with_tokens(CachedTokens::new(folder, token_files, in_use)))
    }
}
