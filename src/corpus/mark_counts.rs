//! Counts the literal marks and unknown words of a text, and warns about them.

use std::collections::BTreeMap;

use super::files::Corpus;
use super::marks::{MARKS, UNKNOWN, attached_mark, ignored_mark, word_at};
use super::tokens::TokenKind;
use super::vocabulary::Vocabulary;
use crate::error::Result;

/// The number of bytes of a text that are searched, in evenly spaced samples.
const SEARCHED: usize = 64 << 20;

/// Bytes of a sample.
const SAMPLE: usize = 1 << 16;

/// The literal marks and unknown words of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Marks that are ignored.
    ignored: BTreeMap<&'static str, u64>,
    /// Marks inside lines.
    inside: BTreeMap<&'static str, u64>,
    /// Marks at starts and ends of lines without white space between them and a word.
    attached: BTreeMap<&'static str, u64>,
    /// Unknown words by how they are written.
    unknown: BTreeMap<&'static str, u64>,
    /// Whether the counts are estimated from samples.
    is_estimate: bool,
}

impl Marks {
    /// Counts the marks of a corpus, or estimates the counts if it has more than 64 MB.
    ///
    /// # Errors
    ///
    /// If a file is mapped and was truncated.
    pub fn of(corpus: &Corpus) -> Result<Marks> {
        let mut marks = Marks::default();
        let samples = corpus.samples(SEARCHED / SAMPLE, SAMPLE)?;
        let mut searched = 0;
        for sample in &samples {
            corpus.check_file(sample.file)?;
            let range = sample.range.start..sample.range.end.min(sample.range.start + SEARCHED);
            searched += range.len() as u64;
            corpus.note_read(range.len());
            marks.add(&corpus.text(sample.file)[range]);
        }
        if searched < corpus.bytes() {
            marks.is_estimate = true;
            let factor = corpus.bytes() as f64 / searched.max(1) as f64;
            let counts = [
                &mut marks.ignored,
                &mut marks.inside,
                &mut marks.attached,
                &mut marks.unknown,
            ];
            for count in counts.into_iter().flat_map(BTreeMap::values_mut) {
                *count = (*count as f64 * factor) as u64;
            }
        }
        Ok(marks)
    }

    /// Adds the marks of whole lines.
    pub fn add(&mut self, text: &[u8]) {
        for at in memchr::memchr3_iter(b'<', b'[', b'@', text) {
            if let Some((word, _)) = word_at(text, at, &UNKNOWN) {
                *self.unknown.entry(word).or_default() += 1;
            } else if let Some((mark, _)) = word_at(text, at, &MARKS) {
                let counts = match ignored_mark(text, at) {
                    Some(_) => &mut self.ignored,
                    None => &mut self.inside,
                };
                *counts.entry(mark).or_default() += 1;
            } else if let Some(mark) = attached_mark(text, at) {
                *self.attached.entry(mark).or_default() += 1;
            }
        }
    }

    /// Warnings about the text `what`, which is read with this vocabulary, one sentence each.
    pub fn warnings(&self, what: &str, vocabulary: &Vocabulary, kind: TokenKind) -> Vec<String> {
        let mut warnings = self.mark_warnings(what, vocabulary, kind);
        warnings.extend(self.unknown_warnings(what, vocabulary, kind));
        warnings
    }

    /// The warnings about marks, without those about unknown words.
    pub fn mark_warnings(
        &self,
        what: &str,
        vocabulary: &Vocabulary,
        kind: TokenKind,
    ) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.ignored.is_empty() {
            warnings.push(format!(
                "the {what} has {} at starts or ends of lines: they are ignored, because line ends are already targets",
                self.names(&self.ignored)
            ));
        }
        for (mark, count) in &self.inside {
            warnings.push(format!(
                "the {what} has {} inside lines: each is {}",
                self.name(mark, *count),
                read_as(mark, vocabulary, kind)
            ));
        }
        if !self.attached.is_empty() {
            warnings.push(format!(
                "the {what} has {} at starts or ends of lines without white space between them and a word: they are read as text; \
                 remove them or put a space there",
                self.names(&self.attached)
            ));
        }
        warnings
    }

    fn name(&self, word: &str, count: u64) -> String {
        let about = if self.is_estimate { "about " } else { "" };
        format!("{about}{count} `{word}`")
    }

    fn names(&self, counts: &BTreeMap<&'static str, u64>) -> String {
        let names = counts.iter().map(|(word, count)| self.name(word, *count));
        names.collect::<Vec<_>>().join(", ")
    }

    /// Warnings about unknown words that are not written as in the vocabulary.
    fn unknown_warnings(
        &self,
        what: &str,
        vocabulary: &Vocabulary,
        kind: TokenKind,
    ) -> Vec<String> {
        let mut warnings = Vec::new();
        let unknown = vocabulary.word(vocabulary.unknown());
        match kind {
            TokenKind::Whitespace => {
                let others = self.unknown.iter().filter(|(word, _)| **word != unknown);
                warnings.extend(others.map(|one| {
                    let read_as = read_as(one.0, vocabulary, kind);
                    format!(
                        "the {what} has {}, but the unknown word of the vocabulary is `{unknown}`: it is {read_as}; replace it in all texts if \
                         it stands for unknown words",
                        self.name(one.0, *one.1)
                    )
                }));
            }
            _ => {
                let mut split = self.unknown.clone();
                split.retain(|word, _| read_as(word, vocabulary, kind) == SPLIT);
                if !split.is_empty() {
                    warnings.push(format!(
                        "the {what} has {}, which `data.tokens = \"{kind}\"` splits into several tokens: if the text is tokenized, use \
                         \"whitespace\"",
                        self.names(&split)
                    ));
                }
            }
        }
        warnings
    }
}

/// How a mark is read that is not one token.
const SPLIT: &str = "split into several tokens";

/// How a mark inside a line is read.
fn read_as(mark: &str, vocabulary: &Vocabulary, kind: TokenKind) -> &'static str {
    let mut ids = Vec::new();
    match kind {
        TokenKind::Whitespace => ids.push(vocabulary.encode(mark)),
        TokenKind::Bpe => vocabulary.encode_segment(mark, &mut ids),
        TokenKind::Words | TokenKind::Characters => {}
    }
    match ids[..] {
        [id] if id == vocabulary.mark() => "read as a line end",
        [_] if vocabulary.get(mark).is_none() => "read as a word outside the vocabulary",
        [_] => "read as an ordinary word",
        _ => SPLIT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Order;

    #[test]
    fn what_is_done_is_told() {
        let bytes = b"<eos> 3\n<unk> 2\n<UNK> 1\na 1\n";
        let vocabulary = Vocabulary::from_bytes(bytes, Order::Contiguous, "v.txt").unwrap();
        let mut marks = Marks::default();
        marks.add(b"a <unk> <eos>\n<UNK> a <UNK> <eos>\na <eos> [UNK] <eos>\n");
        let found = marks.warnings("text", &vocabulary, TokenKind::Whitespace);
        let expected = [
            "the text has 3 `<eos>` at starts or ends of lines: they are ignored",
            "the text has 1 `<eos>` inside lines: each is read as a line end",
            "the text has 2 `<UNK>`, but the unknown word of the vocabulary is `<unk>`: it is read as an ordinary word",
            "the text has 1 `[UNK]`, but the unknown word of the vocabulary is `<unk>`: it is read as a word outside",
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
        let found = marks.warnings("text", &vocabulary, TokenKind::Words);
        assert!(
            found[1].ends_with("each is split into several tokens"),
            "{found:?}"
        );
        assert!(found[2].contains("splits into several tokens"), "{found:?}");
        let mut marks = Marks::default();
        marks.add("<s>a <eos> b </s>\u{a0}\na <eos> x </s> b\na </s> b</s>\n".as_bytes());
        let texts = |kind| marks.warnings("text", &vocabulary, kind);
        let found = texts(TokenKind::Whitespace);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].starts_with("the text has 1 `</s>` at starts or ends"));
        assert!(
            found[1]
                .ends_with("2 `</s>` inside lines: each is read as a word outside the vocabulary")
        );
        assert!(found[2].ends_with("2 `<eos>` inside lines: each is read as a line end"));
        assert!(found[3].starts_with(
            "the text has 1 `</s>`, 1 `<s>` at starts or ends of lines without white space"
        ));
        for kind in [TokenKind::Words, TokenKind::Characters] {
            let found = texts(kind);
            assert_eq!(found.len(), 4, "{found:?}");
            for (number, mark) in [(1, "</s>"), (2, "<eos>")] {
                let says = format!("2 `{mark}` inside lines: each is split into several tokens");
                assert!(found[number].ends_with(&says), "{found:?}");
            }
        }
        let mut marks = Marks::default();
        marks.add(b"a <unk> b <eosx>\n");
        assert!(
            marks
                .warnings("text", &vocabulary, TokenKind::Whitespace)
                .is_empty()
        );
    }
}
