//! Checks that the words of a vocabulary can occur in the texts of a configuration.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::str;

use super::special::is_special;
use super::words::Vocabulary;
use crate::config::{DataConfig, Tokens};
use crate::corpus::files::Corpus;
use crate::corpus::tokens::Item;
use crate::corpus::words::is_word_of_earlier_rule;
use crate::error::{Error, Result};

/// The number of samples of a text.
const SAMPLES: usize = 64;

/// Bytes of a sample.
const SAMPLE: usize = 1 << 16;

/// The maximum relative difference between the count of the most common word and its estimate from a sample of the same text.
const SAME_TEXT: f64 = 0.25;

impl Vocabulary {
    /// Checks the words of a vocabulary from a file against how a configuration splits text. Warns about words that cannot occur.
    /// `origin` names the vocabulary.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if a word is not in the form of `data.normalization`, or if the vocabulary was
    /// built by an earlier version of `data.tokens = "words"`.
    pub fn check_words(&self, data: &DataConfig, origin: &str) -> Result<()> {
        let is_whole = |word: &str| data.tokens.split(word).nth(1).is_none();
        let mut first_split = None;
        let mut count = 0;
        for id in 0..self.len() as u32 {
            let word = self.word(id);
            if data.normalization.apply(word) != word {
                return Err(Error::data(format!(
                    "{origin}:{}: `{word}` is not in the form of `data.normalization = \"{}\"`, so it cannot occur in a text",
                    id + 1,
                    data.normalization
                ))
                .help(format!(
                    "build the vocabulary from a normalized text: `wlstm vocab TEXT --out FILE --normalization {}`",
                    data.normalization
                )));
            }
            if data.tokens != Tokens::Words || is_special(word) || is_whole(word) {
                continue;
            }
            if is_word_of_earlier_rule(word) {
                let parts: Vec<String> = data
                    .tokens
                    .split(word)
                    .take(4)
                    .map(|part| format!("`{part}`"))
                    .collect();
                return Err(of_earlier_rule(&format!(
                    "{origin}:{}: the vocabulary is of an earlier version of `data.tokens = \"words\"`: `{word}` is now split into {}",
                    id + 1,
                    parts.join(", ")
                )));
            }
            first_split.get_or_insert(word);
            count += 1;
        }
        if let Some(word) = first_split {
            tracing::warn!(
                "{count} words of `{origin}`, for example `{word}`, cannot occur in a text with `data.tokens = \"words\"`, which \
                 splits them: use \"whitespace\" for text whose words are separated by spaces, or build a vocabulary with `wlstm vocab --tokens words`"
            );
        }
        Ok(())
    }
}

impl Vocabulary {
    /// Checks a vocabulary from a file against a sample of the training text: whether an earlier version of `data.tokens = "words"`
    /// built it, which split `3.14` and `U.S.A`. `origin` names the vocabulary.
    ///
    /// A vocabulary that has no such word, although the sample has one more often than the rarest word of the vocabulary, is not of
    /// this version if it was counted on this text. Warns if it was counted on another text, as its counts show.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it is of an earlier version, or the text was truncated.
    pub fn check_rule(&self, corpus: &Corpus, data: &DataConfig, origin: &str) -> Result<()> {
        let words = || {
            let ids = 0..self.len() as u32;
            ids.filter(|id| !is_special(self.word(*id)))
        };
        if data.tokens != Tokens::Words || words().any(|id| parts(self.word(id)).is_some()) {
            return Ok(());
        }
        let rarest = words().map(|id| self.count(id)).min().unwrap_or(0);
        let is_letters = |id: &u32| self.word(*id).chars().all(char::is_alphabetic);
        let common = words()
            .filter(is_letters)
            .min_by_key(|id| Reverse(self.count(*id)));
        let (mut bytes, mut of_common) = (0, 0);
        let (mut tokens, mut missing) = (0, BTreeMap::<&str, u64>::new());
        for mut sample in corpus.samples(SAMPLES, SAMPLE)? {
            corpus.check_file(sample.file)?;
            let most = sample.range.start + 4 * SAMPLE;
            sample.range.end = sample.range.end.min(most);
            bytes += sample.range.len();
            // Text that is not UTF-8 is reported when it is read.
            let _ = corpus.for_each_item(&sample, Tokens::Words, |text, item| {
                if let Item::Token(range) = item {
                    tokens += 1;
                    let word = str::from_utf8(&text[range]).unwrap_or_default();
                    of_common += u64::from(common.is_some() && self.get(word) == common);
                    let is_missing = |parts: Vec<&str>| {
                        self.get(word).is_none()
                            && parts.iter().all(|part| self.get(part).is_some())
                    };
                    if parts(word).is_some_and(is_missing) {
                        *missing.entry(word).or_default() += 1;
                    }
                }
                Ok(())
            });
        }
        let all: u64 = missing.values().sum();
        let most = missing.into_iter().max_by_key(|(_, count)| *count);
        let Some((word, _)) = most.filter(|(_, count)| *count > rarest && 1000 * all >= tokens)
        else {
            return Ok(());
        };
        let names = parts(word).unwrap_or_default();
        let names: Vec<String> = names.iter().map(|part| format!("`{part}`")).collect();
        let names = names.join(", ");
        let counted = common.map_or(0.0, |id| self.count(id) as f64);
        let expected = of_common as f64 * corpus.bytes() as f64 / bytes.max(1) as f64;
        if (expected - counted).abs() > SAME_TEXT * counted {
            tracing::warn!(
                "`{origin}` has {names}, but not `{word}`, which is one word: if an earlier version of wlstm made it, rebuild it with \
                 `wlstm vocab TEXT --out FILE --tokens words`"
            );
            return Ok(());
        }
        Err(of_earlier_rule(&format!(
            "`{origin}`: the vocabulary is of an earlier version of `data.tokens = \"words\"`: it has {names}, but not `{word}`, which is \
             now one word"
        )))
    }
}

/// The words of the earlier rule in a word that it split at periods, commas and other marks. `None` for other words.
fn parts(word: &str) -> Option<Vec<&str>> {
    let is_mark = |c: char| matches!(c, '.' | ',' | ':' | ';' | '_');
    if !word.contains(is_mark) || !word.contains(char::is_alphanumeric) {
        return None;
    }
    let mut parts = Vec::new();
    for part in word.split_inclusive(is_mark) {
        let mark = part.len() - usize::from(part.ends_with(is_mark));
        let (before, mark) = part.split_at(mark);
        parts.extend([before, mark].into_iter().filter(|part| !part.is_empty()));
    }
    (parts.len() > 1).then_some(parts)
}

/// The error for a vocabulary of the earlier rule.
fn of_earlier_rule(what: &str) -> Error {
    Error::data(what).help(
        "rebuild it with `wlstm vocab TEXT --out FILE --tokens words`; for text whose words are separated by spaces, set `data.tokens = \
         \"whitespace\"`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::corpus::Order;

    fn check(words: &str, sets: &[&str]) -> Result<()> {
        let sets: Vec<String> = ["data.train=text"]
            .iter()
            .chain(sets)
            .map(|set| (*set).to_owned())
            .collect();
        let config = Config::parse("", "test", std::path::Path::new("/"), &sets).unwrap();
        let text = format!("<S> 1\n<UNK> 1\n{words}");
        let vocabulary =
            Vocabulary::from_bytes(text.as_bytes(), Order::Sentences, "v.txt").unwrap();
        vocabulary.check_words(&config.data, "v.txt")
    }

    #[test]
    fn words_that_cannot_occur_are_found() {
        let words = "data.tokens=words";
        assert!(check("well-known 1\n, 1\n<pad> 1\n... 1\n日 1\n", &[words]).is_ok());
        assert!(check("日本 1\n", &[]).is_ok());
        let error = check("a 1\n日本 1\n", &[words]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("v.txt:4: the vocabulary is of an earlier version"),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .ends_with("`日本` is now split into `日`, `本`"),
            "{error}"
        );
        let nfc = "data.normalization=nfc";
        assert!(check("é 1\n", &[nfc]).is_ok());
        assert!(check("e\u{301} 1\n", &[]).is_ok());
        let error = check("e\u{301} 1\n", &[nfc]).unwrap_err();
        assert!(error.to_string().starts_with("v.txt:3: "), "{error}");
    }

    #[test]
    fn vocabularies_of_the_earlier_rule_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let check = |text: &str, words: &str, tokens: &str| {
            std::fs::write(&path, text).unwrap();
            let corpus = Corpus::open(&[&path]).unwrap();
            let sets = [
                "data.train=text".to_owned(),
                format!("data.tokens={tokens}"),
            ];
            let config = Config::parse("", "test", std::path::Path::new("/"), &sets).unwrap();
            let all = format!("<S> 9\n<UNK> 0\n{words}");
            let vocabulary =
                Vocabulary::from_bytes(all.as_bytes(), Order::Sentences, "v.txt").unwrap();
            vocabulary.check_rule(&corpus, &config.data, "v.txt")
        };
        let text = "It is 3.14 or 1,000 in the U.S.A. of a_b\n".repeat(9);
        let old = ". 45\n3 9\n14 9\nIt 9\nis 9\nor 9\n1 9\n, 9\n000 9\nU 9\nS 9\nA 9\n";
        let with_rare = format!("{old}rare 1\n");
        let error = check(&text, &with_rare, "words").unwrap_err();
        assert!(error.to_string().contains("an earlier version"), "{error}");
        assert!(error.to_string().contains("it has `"), "{error}");
        assert!(check(&text, old, "whitespace").is_ok());
        // A vocabulary of this version has a number or an abbreviation, unless they are rarer than all of its words.
        assert!(check(&text, &format!("{old}2.5 9\n"), "words").is_ok());
        assert!(check(&text, old, "words").is_ok());
        assert!(check("It is\n", &with_rare, "words").is_ok());
        // Counts of another text, and no counts.
        for count in ["1", "0", "900"] {
            let other = with_rare.replace(" 9", &format!(" {count}"));
            assert!(check(&text, &other, "words").is_ok(), "{count}");
        }
        assert_eq!(parts("3.14"), Some(vec!["3", ".", "14"]));
        assert_eq!(parts("U.S.A"), Some(vec!["U", ".", "S", ".", "A"]));
        assert_eq!(
            (parts("..."), parts("don't"), parts(".")),
            (None, None, None)
        );
    }
}
