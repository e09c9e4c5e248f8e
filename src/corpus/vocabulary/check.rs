//! Checks that the words of a vocabulary can occur in the texts of a configuration.

use super::special::is_special;
use super::words::Vocabulary;
use crate::config::{DataConfig, Tokens};
use crate::corpus::words::is_word_of_earlier_rule;
use crate::error::{Error, Result};

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
                return Err(Error::data(format!(
                    "{origin}:{}: the vocabulary is of an earlier version of `data.tokens = \"words\"`: `{word}` is now split into {}",
                    id + 1,
                    parts.join(", ")
                ))
                .help(
                    "rebuild it with `wlstm vocab TEXT --out FILE --tokens words`; for text whose words are separated by spaces, set \
                     `data.tokens = \"whitespace\"`",
                ));
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
}
