//! Vocabulary files: one `word count` per line. The id of a word is its line number, counted from 0.
//!
//! After the words of a tokenizer, a blank line and its `tokenizer.json` follow. If one of its tokens cannot be written as it is, for
//! example one that contains a line end, then all words are written as JSON strings.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde::de::IgnoredAny;

use super::special::with_special_words;
use super::words::{Order, Vocabulary};
use crate::config::Tokens;
use crate::corpus::bpe::Bpe;
use crate::error::{Error, Kind, Result};
use crate::files::{self, Output};

const HELP: &str =
    "make one with `wlstm vocab`, or omit `data.vocab` to build one from the training text";

impl Vocabulary {
    /// Reads a vocabulary file.
    ///
    /// # Errors
    ///
    /// With file and line: if the file is missing, empty or not UTF-8, a line is not `word count`, a word occurs twice, or a
    /// special word of the order is missing (`<S>` and `<UNK>`, or `<eos>` and one of `<unk>` and `<UNK>`).
    pub fn load(path: &Path, order: Order) -> Result<Vocabulary> {
        let origin = path.display().to_string();
        let bytes = read(path)?;
        files::check_encoding(&bytes, &origin, Kind::Data)?;
        files::check_line_ends(&bytes, &origin)?;
        // An editor may have added a byte order mark.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        Vocabulary::from_bytes(bytes, order, &origin)
    }

    /// Reads a vocabulary from the bytes of a vocabulary file. `origin` names it in errors.
    ///
    /// # Errors
    ///
    /// Same as [`Vocabulary::load`].
    pub fn from_bytes(bytes: &[u8], order: Order, origin: &str) -> Result<Vocabulary> {
        // With a tokenizer, a blank line and the tokenizer follow the words.
        let found = memchr::memmem::find(bytes, b"\n\n{");
        let (bytes, json) = match found {
            Some(at) => (&bytes[..at + 1], Some(&bytes[at + 2..])),
            None => (bytes, None),
        };
        let bad_line = |line: usize, what: String| {
            Error::data(format!("{origin}:{}: {what}", line + 1))
                .help("a line of a vocabulary is a word, a space and its count")
        };
        if bytes.trim_ascii_start().starts_with(b"{")
            && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
        {
            return Err(Error::data(format!(
                "`{origin}` is a JSON file, not a vocabulary of `word count` lines"
            ))
            .help("if it is a tokenizer.json of the `tokenizers` library, set `data.tokens = \"bpe\"`"));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = memchr::memchr_iter(b'\n', before).count();
            bad_line(line, "not UTF-8".to_owned())
        })?;
        if text.is_empty() {
            return Err(Error::data(format!("the vocabulary `{origin}` is empty")).help(HELP));
        }
        let mut vocabulary = Vocabulary::empty(order);
        let lines = || text.strip_suffix('\n').unwrap_or(text).split('\n');
        // Without quotes, some tokens do not start with `"`: there is one for every byte.
        let is_quoted = json.is_some() && lines().all(|line| line.starts_with('"'));
        for (number, line) in lines().enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let parsed = line.rsplit_once([' ', '\t']).and_then(|(word, count)| {
                let word = if is_quoted {
                    serde_json::from_str(word).ok().map(Cow::Owned)
                } else {
                    plain_word(word).map(Cow::Borrowed)
                };
                Some((word?, count.parse::<u64>().ok()?))
            });
            let Some((word, count)) = parsed else {
                return Err(bad_line(
                    number,
                    format!("`{}` is not `word count`", shortened(line)),
                ));
            };
            if let Some(first) = vocabulary.push(&word, count)? {
                return Err(bad_line(
                    number,
                    format!(
                        "`{}` occurs twice, first in line {}",
                        shortened(&word),
                        first + 1
                    ),
                ));
            }
        }
        if let Some(json) = json {
            let tokenizer = Arc::new(Bpe::from_json(json, origin)?);
            vocabulary = vocabulary.with_tokenizer(tokenizer, origin)?;
        }
        with_special_words(vocabulary, origin)
    }

    /// Reads the file that `data.vocab` names with `data.tokens = "bpe"`: a `tokenizer.json`, or a vocabulary with a tokenizer that
    /// `wlstm vocab RUN --out FILE` has written. The words of a `tokenizer.json` have no counts.
    ///
    /// # Errors
    ///
    /// Same as [`Vocabulary::load`], [`Bpe::from_json`] and [`Bpe::check_lossless`], and if the vocabulary has no tokenizer.
    pub fn load_subwords(path: &Path, order: Order) -> Result<Vocabulary> {
        let origin = path.display().to_string();
        let bytes = read(path)?;
        if bytes.trim_ascii_start().starts_with(b"{") {
            let tokenizer = Bpe::from_json(&bytes, &origin)?;
            tokenizer.check_lossless(&origin)?;
            return Vocabulary::uncounted(Arc::new(tokenizer), order);
        }
        let vocabulary = Vocabulary::load(path, order)?;
        vocabulary.check_tokenizer(Tokens::Bpe, &origin)?;
        Ok(vocabulary)
    }

    /// Checks that a vocabulary has a tokenizer, if `tokens` need one.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it has none.
    pub fn check_tokenizer(&self, tokens: Tokens, origin: &str) -> Result<()> {
        if tokens != Tokens::Bpe || self.tokenizer().is_some() {
            return Ok(());
        }
        Err(Error::data(format!(
            "the vocabulary `{origin}` has no tokenizer, which `data.tokens = \"bpe\"` needs"
        ))
        .help("give a tokenizer.json: `wlstm vocab TEXT --tokens bpe --size 8000 --out tokenizer.json`; or set `data.tokens` to the kind of \
               tokens of this vocabulary"))
    }

    /// The bytes of a vocabulary file, as [`Vocabulary::from_bytes`] reads them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let words = || (0..self.len() as u32).map(|id| self.word(id));
        let is_quoted = self.tokenizer().is_some() && !words().all(is_plain);
        for (word, count) in words().zip(&self.counts) {
            if is_quoted {
                bytes.extend_from_slice(serde_json::Value::from(word).to_string().as_bytes());
            } else {
                bytes.extend_from_slice(word.as_bytes());
            }
            bytes.extend_from_slice(format!(" {count}\n").as_bytes());
        }
        if let Some(tokenizer) = self.tokenizer() {
            bytes.push(b'\n');
            bytes.extend_from_slice(tokenizer.json().trim_ascii_start());
        }
        bytes
    }

    /// Writes a vocabulary file atomically. Replaces a file with the same name.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let refused = |error: Error| {
            error.context(format!("cannot write the vocabulary `{}`", path.display()))
        };
        self.write(&Output::named(path).map_err(refused)?)
    }

    /// Writes the content of a vocabulary file to an output.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, output: &Output) -> Result<()> {
        write(output, &self.to_bytes())
    }

    /// Writes the tokenizer as a `tokenizer.json` or, without a tokenizer, the vocabulary.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write_tokenizer(&self, output: &Output) -> Result<()> {
        match self.tokenizer() {
            Some(tokenizer) => write(output, tokenizer.json()),
            None => self.write(output),
        }
    }
}

/// The word of a line, without the white space around it. In a vocabulary of characters, white space can be a word.
fn plain_word(word: &str) -> Option<&str> {
    let trimmed = word.trim();
    let word = if trimmed.is_empty() { word } else { trimmed };
    (!word.is_empty()).then_some(word)
}

/// Whether a word is read again from a line that has it as it is.
fn is_plain(word: &str) -> bool {
    plain_word(word) == Some(word) && !word.contains(['\n', '\r', '\0'])
}

/// The start of a text, for an error.
fn shortened(text: &str) -> Cow<'_, str> {
    /// Characters of a line that an error shows.
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{} ...", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

fn write(output: &Output, bytes: &[u8]) -> Result<()> {
    let path = output.path();
    let written = output.write(|file| {
        file.write_all(bytes)
            .map_err(|error| files::cannot_write(path, error))
    });
    let context = || format!("cannot write the vocabulary `{}`", path.display());
    written.map_err(|error| error.context(context()))
}

/// The bytes of a file.
fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = files::open_regular(path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.map_err(|error| {
        Error::data(format!("cannot read the vocabulary `{}`", path.display()))
            .because(error)
            .help(HELP)
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, order: Order) -> Result<Vocabulary> {
        Vocabulary::from_bytes(text.as_bytes(), order, "v.txt")
    }

    #[test]
    fn ids_are_line_numbers() {
        let text = "the 5\n<S> 3\n<UNK> 1\ncat 1\n";
        let vocabulary = parse(text, Order::Sentences).unwrap();
        assert_eq!((vocabulary.mark(), vocabulary.unknown()), (1, 2));
        assert_eq!((vocabulary.get("cat"), vocabulary.count(0)), (Some(3), 5));
        assert_eq!((vocabulary.get("dog"), vocabulary.encode("dog")), (None, 2));
        assert_eq!(vocabulary.to_bytes(), text.as_bytes());
        assert!(vocabulary.is_sorted());
    }

    #[test]
    fn windows_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.txt");
        let text = "<eos>\t3\r\n  12\r\n<unk> 0\r\n<UNK> 1";
        std::fs::write(&path, format!("\u{feff}{text}")).unwrap();
        let windows = Vocabulary::load(&path, Order::Contiguous).unwrap();
        assert_eq!((windows.get(" "), windows.unknown()), (Some(1), 2));
        assert!(!windows.is_sorted());
        // In a saved vocabulary, a byte order mark is a character like others.
        let text = "\u{feff} 9\n<eos> 3\n<unk> 1\n";
        let characters = parse(text, Order::Contiguous).unwrap();
        assert_eq!(characters.get("\u{feff}"), Some(0));
        assert_eq!(characters.to_bytes(), text.as_bytes());
    }

    #[test]
    fn errors_name_the_line() {
        for (text, says) in [
            ("", "the vocabulary `v.txt` is empty"),
            ("<S> 1\nword\n", "v.txt:2: `word` is not `word count`"),
            ("<S> 1\n\n<UNK> 1\n", "v.txt:2: `` is not `word count`"),
            ("<S> 1\nword -1\n", "v.txt:2: `word -1` is not `word count`"),
            (
                "<S> 1\na 1\na 1\n",
                "v.txt:3: `a` occurs twice, first in line 2",
            ),
            ("<S> 1\na 1\n", "`v.txt` has no `<UNK>`"),
            ("<S> 1\n<unk> 1\n", "`v.txt` has no `<UNK>`"),
            ("<UNK> 1\na 1\n", "`v.txt` has no `<S>`"),
            (
                "{\n  \"version\": \"1.0\",\n  \"model\": {}\n}\n",
                "`v.txt` is a JSON file, not a vocabulary of `word count` lines",
            ),
        ] {
            let error = parse(text, Order::Sentences).unwrap_err();
            assert_eq!(error.to_string(), says);
            assert_eq!(error.kind(), Kind::Data);
        }
        let error = parse(&"é".repeat(5000), Order::Sentences).unwrap_err();
        assert!(error.to_string().len() < 200, "{error}");
        let error = parse("<unk> 1\n<S> 1\n", Order::Contiguous).unwrap_err();
        assert_eq!(error.to_string(), "`v.txt` has no `<eos>`");
        let bytes = b"<S> 1\n<UNK> 2\n\xff 1\n";
        let error = Vocabulary::from_bytes(bytes, Order::Sentences, "v.txt").unwrap_err();
        assert_eq!(error.to_string(), "v.txt:3: not UTF-8");
        let error = Vocabulary::load(Path::new("no/such/file"), Order::Sentences).unwrap_err();
        assert!(error.to_string().contains("no/such/file"));
    }
}
