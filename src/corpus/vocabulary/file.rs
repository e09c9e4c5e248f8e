//! Vocabulary files: one `word count` per line. The id of a word is its line number, counted from 0.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

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
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = memchr::memchr_iter(b'\n', before).count();
            bad_line(line, "not UTF-8".to_owned())
        })?;
        if text.is_empty() {
            return Err(Error::data(format!("the vocabulary `{origin}` is empty")).help(HELP));
        }
        let mut vocabulary = Vocabulary::empty(order);
        let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        for (number, line) in lines.enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let parsed = line.rsplit_once([' ', '\t']).and_then(|(word, count)| {
                // In a vocabulary of characters, white space can be a word.
                let trimmed = word.trim();
                let word = if trimmed.is_empty() { word } else { trimmed };
                Some((word, count.parse::<u64>().ok()?)).filter(|(word, _)| !word.is_empty())
            });
            let Some((word, count)) = parsed else {
                return Err(bad_line(number, format!("`{line}` is not `word count`")));
            };
            if let Some(first) = vocabulary.push(word, count)? {
                return Err(bad_line(
                    number,
                    format!("`{word}` occurs twice, first in line {}", first + 1),
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
    /// Same as [`Vocabulary::load`] and [`Bpe::from_json`], and if the vocabulary has no tokenizer.
    pub fn load_subwords(path: &Path, order: Order) -> Result<Vocabulary> {
        let origin = path.display().to_string();
        let bytes = read(path)?;
        if bytes.trim_ascii_start().starts_with(b"{") {
            let tokenizer = Bpe::from_json(&bytes, &origin)?;
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
        for (id, count) in self.counts.iter().enumerate() {
            bytes.extend_from_slice(self.word(id as u32).as_bytes());
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
        ] {
            let error = parse(text, Order::Sentences).unwrap_err();
            assert_eq!(error.to_string(), says);
            assert_eq!(error.kind(), Kind::Data);
        }
        let error = parse("<unk> 1\n<S> 1\n", Order::Contiguous).unwrap_err();
        assert_eq!(error.to_string(), "`v.txt` has no `<eos>`");
        let bytes = b"<S> 1\n<UNK> 2\n\xff 1\n";
        let error = Vocabulary::from_bytes(bytes, Order::Sentences, "v.txt").unwrap_err();
        assert_eq!(error.to_string(), "v.txt:3: not UTF-8");
        let error = Vocabulary::load(Path::new("no/such/file"), Order::Sentences).unwrap_err();
        assert!(error.to_string().contains("no/such/file"));
    }
}
