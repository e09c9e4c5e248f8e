//! A folder of token files: text is parsed once, by whichever run meets it first, and mapped into memory from then on.
//!
//! There is one file for each file of text, named by all that decides its tokens: the digest of the text, the words of the
//! vocabulary and their ids, order, kind of tokens, version of the format. So a file is right for as long as it is there,
//! whatever becomes of the text; nothing ever writes into it.
//!
//! Invariants:
//!
//! - Files appear whole or not at all ([`files`]). Runs that parse the same text at once make the same file, and the last one
//!   stays. What a killed run has left of a file is removed once nobody has written to it for an hour.
//! - The folder is bounded: beyond its limit, the files go that were not used for longest. Those that another run reads stay:
//!   a run lists its files in one of its own, `use-*`, and holds a lock on that, which ends with its process.
//! - A cache never stops a run. Files of text that have no file of tokens (the folder cannot be written, the disk is full, a
//!   file is damaged and stays so) are read as text, and give the same batches.
//!
//! `digests.json` remembers the digests of texts by their stamps (length, times and place of the file), so that a text that
//! did not change is not read at all. Whoever writes last wins; what is lost is computed again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::files::{Corpus, Resident};
use super::text::Text;
use super::token_file::{Failure, Key, TokenFile, write};
use super::tokens::TokenKind;
use super::vocabulary::Vocabulary;
use crate::error::{Error, Result};
use crate::files;

/// Texts of fewer bytes are parsed each time: one core takes some 20 ms for so many, which a file to open hardly beats.
const SMALLEST: u64 = 2 << 20;

/// The bytes that the folder may have, if nothing else is said.
const LIMIT: u64 = 32_000_000_000;

/// How long nobody has written to a partial file before it is taken for abandoned.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Files that are parsed at once: while one is flushed to the disk, all cores work at the other.
const AT_ONCE: usize = 2;

/// The texts whose digests are remembered.
const REMEMBERED: usize = 20_000;

const DIGESTS: &str = "digests.json";
const USE: &str = "use-";

/// A folder of token files, and what may be in it.
#[derive(Clone, Debug)]
pub struct TokenCache {
    folder: PathBuf,
    limit: u64,
    smallest: u64,
    verify: bool,
}

impl TokenCache {
    /// The folder `tokens` in that of the user ([`files::cache_folder`]). `WLSTM_CACHE_LIMIT` is its limit in GB, 32 if it is
    /// not set; with `WLSTM_CACHE_VERIFY=1` all bytes of the files are checked when they are opened. Nothing if there is no
    /// such folder, or the limit is 0.
    pub fn of_user() -> Option<TokenCache> {
        let mut cache = TokenCache::in_folder(files::cache_folder()?.join("tokens"));
        if let Some(limit) = std::env::var_os("WLSTM_CACHE_LIMIT") {
            let number = limit.to_str().and_then(|text| text.parse::<f64>().ok());
            match number.filter(|number| *number >= 0.0) {
                Some(number) => cache.limit = (number * 1e9) as u64,
                None => tracing::warn!("WLSTM_CACHE_LIMIT is {limit:?}, not a number of GB"),
            }
        }
        cache.verify = std::env::var_os("WLSTM_CACHE_VERIFY").is_some_and(|value| value == "1");
        (cache.limit > 0).then_some(cache)
    }

    /// A folder, which is made when it is needed.
    pub fn in_folder(folder: impl Into<PathBuf>) -> TokenCache {
        TokenCache {
            folder: folder.into(),
            limit: LIMIT,
            smallest: SMALLEST,
            verify: false,
        }
    }

    /// The bytes that the folder may have, but for what runs use at the time.
    pub fn limit(self, limit: u64) -> TokenCache {
        TokenCache { limit, ..self }
    }

    /// Corpora of fewer bytes are not kept.
    pub fn smallest(self, smallest: u64) -> TokenCache {
        TokenCache { smallest, ..self }
    }

    /// Whether all bytes of files are checked when they are opened, and not only their size and footer.
    pub fn verify(self, verify: bool) -> TokenCache {
        TokenCache { verify, ..self }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A text whose tokens come from the folder; what is not there yet is parsed now. `watch` hears, from any thread, how many
    /// bytes of how many are parsed, if any must be.
    ///
    /// # Errors
    ///
    /// Only if the text is not UTF-8 (with file and line). Where the folder cannot be used, a warning says so, and the
    /// tokens come from the text.
    pub fn open(
        &self,
        corpus: Arc<Corpus>,
        vocabulary: Arc<Vocabulary>,
        kind: TokenKind,
        watch: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Text> {
        let text = Text::new(corpus.clone(), vocabulary.clone(), kind);
        if corpus.bytes() < self.smallest {
            return Ok(text);
        }
        // A word has about as many bytes in text as its token has, a character fewer.
        let each = if kind == TokenKind::Characters { 4 } else { 1 };
        if corpus.bytes().saturating_mul(each) > self.limit {
            tracing::warn!(
                "the tokens of {} bytes of text are not kept: the limit of `{}` is {} bytes (WLSTM_CACHE_LIMIT, in GB)",
                corpus.bytes(),
                self.folder.display(),
                self.limit
            );
            return Ok(text);
        }
        let made = fs::create_dir_all(&self.folder);
        if let Err(error) = made.map_err(|error| files::cannot_write(&self.folder, error)) {
            warn(&error);
            return Ok(text);
        }
        Digests::read(&self.folder).tell(&corpus);
        // Reads the texts that nobody knew, all cores at it.
        corpus.digest();
        Digests::read(&self.folder).learn(&corpus, &self.folder);

        let digest = vocabulary.digest();
        let key = |file| Key::new(&corpus, file, &vocabulary, digest, kind);
        let keys: Vec<Key> = (0..corpus.files()).map(key).collect();
        let in_use = InUse::begin(&self.folder, &keys);
        let made = Making {
            cache: self,
            corpus: &corpus,
            vocabulary: &vocabulary,
            keys: &keys,
            watch,
        }
        .all()?;
        self.tidy();
        Ok(text.with_tokens(Tokens {
            folder: self.folder.clone(),
            files: made,
            resident: Resident::default(),
            _in_use: in_use,
        }))
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(key.name())
    }

    /// The file of a key, if it is there and as it should be.
    fn find(&self, key: &Key) -> Option<TokenFile> {
        let path = self.path(key);
        let found = TokenFile::open(&path, key).and_then(|found| match found {
            Some(file) if self.verify && !file.is_whole() => {
                Err("its bytes are not those that were written".to_owned())
            }
            found => Ok(found),
        });
        match found {
            Ok(found) => {
                let file = found?;
                // What was used last goes last; where that cannot be noted, it goes earlier.
                let used = File::options().append(true).open(&path);
                let _ = used.and_then(|file| file.set_modified(SystemTime::now()));
                Some(file)
            }
            Err(what) => {
                tracing::warn!("`{}` is made again: {what}", path.display());
                None
            }
        }
    }

    /// Removes what killed runs have left, and the files that were not used for longest, as far as the limit asks. Whatever
    /// cannot be done is left to the next run.
    fn tidy(&self) {
        if let Err(error) = files::sweep_older(&self.folder, ABANDONED) {
            tracing::debug!("{}", error.chain());
        }
        let mut total = 0;
        let mut found: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for path in files::entries(&self.folder).unwrap_or_default() {
            let is_ours = path.extension().is_some_and(|end| end == "tokens");
            if let Some(metadata) = path.metadata().ok().filter(|_| is_ours)
                && let Ok(used) = metadata.modified()
            {
                total += metadata.len();
                found.push((used, metadata.len(), path));
            }
        }
        let used = in_use(&self.folder);
        found.sort();
        for (_, bytes, path) in found {
            if total <= self.limit {
                break;
            }
            let name = path.file_name().map(|name| name.to_string_lossy());
            if name.is_some_and(|name| used.contains(&*name)) {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => total -= bytes,
                Err(error) => tracing::debug!(%error, "cannot remove `{}`", path.display()),
            }
        }
    }
}

fn warn(error: &Error) {
    tracing::warn!(
        "the tokens of the text are not kept, and it is parsed as it is read: {}",
        error.chain()
    );
}

/// The work of [`TokenCache::open`] on files.
struct Making<'a> {
    cache: &'a TokenCache,
    corpus: &'a Corpus,
    vocabulary: &'a Vocabulary,
    keys: &'a [Key],
    watch: &'a (dyn Fn(u64, u64) + Sync),
}

impl Making<'_> {
    /// The files of all keys; nothing where one could not be made.
    fn all(&self) -> Result<Vec<Option<TokenFile>>> {
        let mut made: Vec<Option<TokenFile>> = self
            .keys
            .par_iter()
            .map(|key| self.cache.find(key))
            .collect();
        // An empty text needs no tokens.
        let missing = |file: &usize| made[*file].is_none() && !self.corpus.text(*file).is_empty();
        let mut missing: Vec<usize> = (0..self.keys.len()).filter(missing).collect();
        if missing.is_empty() {
            return Ok(made);
        }
        // Processes that begin together begin with different files, and find those that others have made.
        let first = std::process::id() as usize % missing.len();
        missing.rotate_left(first);
        let bytes = |file: &usize| self.corpus.text(*file).len() as u64;
        let total: u64 = missing.iter().map(bytes).sum();
        // The first file that fails is the one to hear of, whichever fails first.
        let (next, done, failed) = (
            AtomicUsize::new(0),
            AtomicU64::new(0),
            AtomicUsize::new(usize::MAX),
        );
        (self.watch)(0, total);
        let watch = |bytes: usize| {
            let before = done.fetch_add(bytes as u64, Ordering::Relaxed);
            (self.watch)(before + bytes as u64, total);
        };
        let results = Mutex::new(BTreeMap::new());
        let work = || {
            while let Some(&file) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                if file > failed.load(Ordering::Relaxed) {
                    continue;
                }
                let result = match self.cache.find(&self.keys[file]) {
                    Some(tokens) => {
                        watch(self.corpus.text(file).len());
                        Ok(Some(tokens))
                    }
                    None => self.one(file, &watch),
                };
                if result.is_err() {
                    failed.fetch_min(file, Ordering::Relaxed);
                }
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results.insert(file, result);
            }
        };
        thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(missing.len()) {
                scope.spawn(work);
            }
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut warned = false;
        for (file, result) in results {
            match result {
                Ok(tokens) => made[file] = tokens,
                Err(Failure::Text(error)) => return Err(error),
                Err(Failure::Disk(error)) => {
                    if !warned {
                        warn(&error);
                    }
                    warned = true;
                }
            }
        }
        Ok(made)
    }

    /// Makes the file of tokens of one file of text.
    fn one(
        &self,
        file: usize,
        watch: &(dyn Fn(usize) + Sync),
    ) -> Result<Option<TokenFile>, Failure> {
        let (key, path) = (&self.keys[file], self.cache.path(&self.keys[file]));
        // Another run may have been here since.
        if path.exists()
            && let Some(found) = self.cache.find(key)
        {
            watch(self.corpus.text(file).len());
            return Ok(Some(found));
        }
        let written = write(&path, key, self.corpus, file, self.vocabulary, watch);
        // Some systems do not replace a file that another run has mapped; but then it is there.
        match (self.cache.find(key), written) {
            (Some(found), _) => Ok(Some(found)),
            (None, written) => written.map(|()| None),
        }
    }
}

/// The token files of a corpus.
#[derive(Debug)]
pub(crate) struct Tokens {
    folder: PathBuf,
    files: Vec<Option<TokenFile>>,
    resident: Resident,
    _in_use: Option<InUse>,
}

impl Tokens {
    /// The token file of a file of text, if there is one.
    #[inline]
    pub(super) fn file(&self, file: usize) -> Option<&TokenFile> {
        self.files[file].as_ref()
    }

    /// Where they are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Notes that about this many bytes were read, see [`Resident`].
    pub(super) fn touched(&self, bytes: usize) {
        let maps = self.files.iter().flatten().map(TokenFile::map);
        self.resident.touched(bytes, maps);
    }

    /// Notes that a few bytes of a file were read somewhere.
    pub(super) fn touched_somewhere(&self, file: usize) {
        let length = self.file(file).map_or(0, TokenFile::bytes);
        let maps = self.files.iter().flatten().map(TokenFile::map);
        self.resident.touched_somewhere(length, maps);
    }
}

/// The list of files that this process uses, locked for as long as it does. Dropping it removes the list.
#[derive(Debug)]
struct InUse {
    _list: NamedTempFile,
}

impl InUse {
    /// Nothing where the list cannot be written: then the files may go while they are used, which costs the next run the
    /// parsing and this one nothing.
    fn begin(folder: &Path, keys: &[Key]) -> Option<InUse> {
        let names: Vec<String> = keys.iter().map(Key::name).collect();
        let list = || {
            let mut list = tempfile::Builder::new().prefix(USE).tempfile_in(folder)?;
            list.write_all(names.join("\n").as_bytes())?;
            list.as_file().lock_shared()?;
            Ok::<_, std::io::Error>(InUse { _list: list })
        };
        list()
            .inspect_err(|error| tracing::debug!(%error, "cannot list the files in use"))
            .ok()
    }
}

/// The names of the files that processes use. Lists of processes that have ended are removed.
fn in_use(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files::entries(folder).unwrap_or_default() {
        let is_list = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(USE.as_bytes()));
        let Some(file) = is_list.then(|| File::open(&path).ok()).flatten() else {
            continue;
        };
        // A list that is not locked yet was written just now.
        let age = file
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        let is_old = age.is_some_and(|age| age > Duration::from_secs(10));
        match file.try_lock() {
            Ok(()) if is_old => {
                drop(file);
                let _ = fs::remove_file(&path);
            }
            Ok(()) | Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {
                let _ = file.unlock();
                let text = fs::read_to_string(&path).unwrap_or_default();
                names.extend(text.lines().map(str::to_owned));
            }
        }
    }
    names
}

/// The digests of texts by their paths.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Digests(BTreeMap<String, Known>);

/// What was computed of a text when it had this stamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    stamp: String,
    digest: u64,
}

impl Digests {
    /// What is remembered; nothing where the file cannot be read.
    fn read(folder: &Path) -> Digests {
        let bytes = fs::read(folder.join(DIGESTS)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Tells a corpus what is remembered of its files.
    fn tell(&self, corpus: &Corpus) {
        for file in 0..corpus.files() {
            if let Some(known) = self.0.get(&name(corpus, file)) {
                corpus.remember(file, &known.stamp, known.digest);
            }
        }
    }

    /// Remembers the files of a corpus.
    fn learn(mut self, corpus: &Corpus, folder: &Path) {
        let mut news = false;
        let mut ours = BTreeSet::new();
        for file in 0..corpus.files() {
            let Some(stamp) = corpus.stamp(file) else {
                continue;
            };
            let known = Known {
                stamp: stamp.to_owned(),
                digest: corpus.file_digest(file),
            };
            let name = name(corpus, file);
            ours.insert(name.clone());
            news |= self.0.insert(name, known.clone()) != Some(known);
        }
        if !news {
            return;
        }
        if self.0.len() > REMEMBERED {
            self.0.retain(|name, _| ours.contains(name));
        }
        let path = folder.join(DIGESTS);
        let written = files::write_atomically(&path, |out| {
            let text = serde_json::to_vec(&self).expect("names and numbers");
            out.write_all(&text)
                .map_err(|error| files::cannot_write(&path, error))
        });
        if let Err(error) = written {
            tracing::debug!("{}", error.chain());
        }
    }
}

/// What a file of text is to [`Digests`].
fn name(corpus: &Corpus, file: usize) -> String {
    let path = corpus.path(file);
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole.to_string_lossy().into_owned()
}
