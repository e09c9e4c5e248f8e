//! A byte-level BPE tokenizer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use regex::Regex;
use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{Model, NormalizerWrapper, Tokenizer};

use super::alphabet::{bytes_of, character, written};
use super::pieces::for_each_piece;
use crate::error::{Error, Result};

const HELP: &str = "train a tokenizer on your text: `wlstm vocab TEXT --tokens bpe --size 8000 --out tokenizer.json`";

/// The largest id of a token.
pub(super) const MAX_ID: u32 = 1 << 24;

/// The number of pieces whose tokens a cache keeps.
const CACHED: usize = 1 << 16;

/// A byte-level BPE tokenizer of the `tokenizers` library. It has a token for every byte, so no text is unknown to it.
pub struct Bpe {
    tokenizer: Tokenizer,
    /// The file `tokenizer.json`.
    json: Vec<u8>,
    /// Whether this module splits lines into pieces: faster than the library, with the same tokens, except that pieces of more than
    /// 4,096 bytes are cut.
    splits: bool,
    /// Finds tokens that were added to those of BPE, such as `<|endoftext|>`, in a text. `None` if there are none.
    added: Option<Regex>,
    /// Tokens of pieces, one cache for each active thread.
    caches: Mutex<Vec<Cache>>,
    /// The number of lines that the library failed to encode.
    failed: AtomicU64,
}

/// Lines with the characters that tokenizers treat specially, in NFC.
const PROBES: [&str; 4] = [
    "The cat  walks home.\tIt's 3.14, 1,000 -- \u{c9}LAN; na\u{ef}ve (a_b) #1 \"x\" @y! <z> [w] {v} ~ | / \\ ^ & * + = % $ ` ? ",
    " \u{a0}x\u{3000}\u{200b}y \u{65e5}\u{672c}\u{8a9e}\u{ff0c}\u{d55c}\u{ad6d} \u{5e9}\u{5dc} \u{928}\u{92e} \u{661f}\u{3002} 12345 \u{661}\u{bd}",
    "\u{1f44d}\u{1f3fd} \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{2026}\u{201c}q\u{201d} \t ",
    "the",
];

/// A cache of the tokens of pieces.
type Cache = HashMap<Box<str>, Box<[u32]>>;

impl std::fmt::Debug for Bpe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bpe({} tokens)", self.len())
    }
}

/// Why a tokenizer with another normalizer is refused.
const OTHER_NORMALIZER: &str = "its normalizer changes text; NFC or none can be used";

/// The parts of a file that encode text, as JSON. `None` if its normalizer is not supported. The other parts are left out, because
/// the library panics on some of their values.
fn used_parts(json: &[u8]) -> serde_json::Result<Option<Vec<u8>>> {
    let mut document: serde_json::Value = serde_json::from_slice(json)?;
    if let Some(parts) = document.as_object_mut() {
        let normalizer = parts.get("normalizer").filter(|found| !found.is_null());
        let kind = normalizer.map(|found| found.get("type").and_then(|kind| kind.as_str()));
        if !matches!(kind, None | Some(Some("NFC" | "ByteLevel"))) {
            return Ok(None);
        }
        for unused in ["decoder", "post_processor", "truncation", "padding"] {
            parts.insert(unused.to_owned(), serde_json::Value::Null);
        }
    }
    serde_json::to_vec(&document).map(Some)
}

impl Bpe {
    /// Reads a file `tokenizer.json`. `origin` names it in errors.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it is not a tokenizer of the library, or its model is not a byte-level BPE with
    /// a token for every byte.
    pub fn from_json(json: &[u8], origin: &str) -> Result<Bpe> {
        let refused = || {
            Error::data(format!(
                "`{origin}` is not a tokenizer of the `tokenizers` library"
            ))
            .help(HELP)
        };
        let used = used_parts(json).map_err(|error| refused().because(error))?;
        let Some(used) = used else {
            return Err(Error::data(format!(
                "the tokenizer `{origin}` cannot be used: {OTHER_NORMALIZER}"
            ))
            .help(HELP));
        };
        let tokenizer =
            Tokenizer::from_bytes(used).map_err(|error| refused().because(error.to_string()))?;
        Bpe::new(tokenizer, json.to_vec(), origin)
    }

    /// Checks a tokenizer.
    pub(super) fn new(mut tokenizer: Tokenizer, json: Vec<u8>, origin: &str) -> Result<Bpe> {
        let refused = |what: &str| {
            Err(Error::data(format!("the tokenizer `{origin}` cannot be used: {what}")).help(HELP))
        };
        let ModelWrapper::BPE(model) = tokenizer.get_model() else {
            let name = match tokenizer.get_model() {
                ModelWrapper::WordPiece(_) => "WordPiece",
                ModelWrapper::WordLevel(_) => "WordLevel",
                _ => "Unigram",
            };
            return refused(&format!(
                "its model is {name}, and `data.tokens = \"bpe\"` is byte-level BPE"
            ));
        };
        let is_plain = model.continuing_subword_prefix.is_none()
            && model.end_of_word_suffix.is_none()
            && !model.byte_fallback;
        if !matches!(
            tokenizer.get_normalizer(),
            None | Some(NormalizerWrapper::NFC(_) | NormalizerWrapper::ByteLevel(_))
        ) {
            return refused(OTHER_NORMALIZER);
        }
        let by_normalizer = matches!(
            tokenizer.get_normalizer(),
            Some(NormalizerWrapper::ByteLevel(_))
        );
        if !is_plain || !(by_normalizer || is_byte_level(tokenizer.get_pre_tokenizer())) {
            return refused("its BPE is not byte-level");
        }
        if let Some(byte) = (0..=255).find(|byte| {
            tokenizer
                .token_to_id(&character(*byte).to_string())
                .is_none()
        }) {
            return refused(&format!("it has no token for the byte {byte}"));
        }
        let last = tokenizer.get_vocab(true).into_values().max();
        if let Some(id) = last.filter(|id| *id > MAX_ID) {
            return refused(&format!(
                "it has a token with the id {id}, and ids are at most {MAX_ID}"
            ));
        }
        let mut model: BPE = model.clone();
        model.dropout = None;
        model.resize_cache(0);
        let splits = tokenizer.get_normalizer().is_none()
            && matches!(tokenizer.get_pre_tokenizer(),
                Some(PreTokenizerWrapper::ByteLevel(rule)) if rule.use_regex && !rule.add_prefix_space);
        tokenizer.with_model(model);
        tokenizer.with_padding(None);
        let unlimited = tokenizer.with_truncation(None).map(|_| ());
        unlimited.map_err(|error| {
            Error::data(format!("the tokenizer `{origin}` cannot be used")).because(error)
        })?;
        let mut names: Vec<String> = tokenizer
            .get_added_vocabulary()
            .get_vocab()
            .keys()
            .filter(|name| !name.is_empty())
            .map(|name| regex::escape(name))
            .collect();
        names.sort();
        let added = (!names.is_empty())
            .then(|| Regex::new(&names.join("|")))
            .transpose();
        Ok(Bpe {
            added: added.map_err(|error| {
                Error::data(format!("the tokenizer `{origin}` cannot be used"))
                    .because(error)
                    .help(HELP)
            })?,
            tokenizer,
            json,
            splits,
            caches: Mutex::default(),
            failed: AtomicU64::new(0),
        })
    }

    /// Checks that no character is lost or added: the tokens of a text are its bytes. `origin` names the tokenizer in errors.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if its pre-tokenizer changes text.
    pub fn check_lossless(&self, origin: &str) -> Result<()> {
        let refused = |what: String| {
            Error::data(format!("the tokenizer `{origin}` cannot be used: {what}")).help(
                "use a `ByteLevel` pre-tokenizer with `add_prefix_space` false, alone or after a `Split` whose behavior is not `Removed`; \
                 or train a tokenizer on your text: `wlstm vocab TEXT --tokens bpe --size 8000 --out tokenizer.json`",
            )
        };
        if let Some(rule) = self.removing_rule() {
            return Err(refused(format!(
                "its pre-tokenizer `{rule}` removes characters from a text"
            )));
        }
        let names: HashMap<u32, String> = self.tokens().into_iter().collect();
        for probe in PROBES {
            let mut ids = Vec::new();
            self.encode(probe, &mut ids);
            let bytes = ids
                .iter()
                .flat_map(|id| names.get(id).map(|name| bytes_of(name)));
            let bytes: Vec<u8> = bytes.flatten().collect();
            if bytes != probe.as_bytes() {
                return Err(refused(format!(
                    "its pre-tokenizer changes text: `{probe}` becomes `{}`",
                    String::from_utf8_lossy(&bytes)
                )));
            }
        }
        Ok(())
    }

    /// The type of a pre-tokenizer that removes what it splits at.
    fn removing_rule(&self) -> Option<String> {
        fn find(rule: &serde_json::Value) -> Option<String> {
            let text = |key: &str| rule.get(key).and_then(|value| value.as_str());
            let kind = text("type").unwrap_or_default();
            if text("behavior") == Some("Removed") || kind == "CharDelimiterSplit" {
                return Some(kind.to_owned());
            }
            let rules = rule.get("pretokenizers").and_then(|rules| rules.as_array());
            rules?.iter().find_map(find)
        }
        let document: serde_json::Value = serde_json::from_slice(&self.json).ok()?;
        find(document.get("pre_tokenizer")?)
    }

    /// Warns that a line cannot be encoded by the rules of the tokenizer: of the 1st, 10th, 100th such line and so on.
    #[cold]
    fn warn_of_failure(&self) {
        let count = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if count == 10_u64.pow(count.ilog10()) {
            tracing::warn!(
                "the tokenizer failed on a line, whose tokens are therefore single bytes ({count} so far): use another tokenizer"
            );
        }
    }

    /// The file `tokenizer.json`.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Its tokens in the byte alphabet, by ascending id of the library. Ids without a token are left out.
    pub fn tokens(&self) -> Vec<(u32, String)> {
        let mut tokens: Vec<(u32, String)> = self
            .tokenizer
            .get_vocab(true)
            .into_iter()
            .map(|(token, id)| (id, token))
            .collect();
        tokens.sort();
        tokens
    }

    /// The number of its tokens.
    pub fn len(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Never true: there is a token for every byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id of a token in the library.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Appends the library's ids of the tokens of a line to `ids`.
    pub fn encode(&self, line: &str, ids: &mut Vec<u32>) {
        let has_added = || {
            self.added
                .as_ref()
                .is_some_and(|added| added.is_match(line))
        };
        if !self.splits || has_added() {
            match self.tokenizer.encode_fast(line, false) {
                Ok(encoding) => ids.extend_from_slice(encoding.get_ids()),
                Err(_) => {
                    self.warn_of_failure();
                    ids.extend(
                        line.bytes()
                            .filter_map(|byte| self.id(character(byte).encode_utf8(&mut [0; 4]))),
                    );
                }
            }
            return;
        }
        let lock = || self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cache = lock().pop().unwrap_or_default();
        for_each_piece(line, |piece| {
            if let Some(known) = cache.get(piece) {
                ids.extend_from_slice(known);
                return;
            }
            let tokens = self
                .tokenizer
                .get_model()
                .tokenize(&written(piece.as_bytes()));
            let tokens: Box<[u32]> = tokens
                .unwrap_or_default()
                .iter()
                .map(|token| token.id)
                .collect();
            ids.extend_from_slice(&tokens);
            if cache.len() >= CACHED {
                cache.clear();
            }
            if piece.len() <= 64 {
                cache.insert(piece.into(), tokens);
            }
        });
        lock().push(cache);
    }
}

/// Whether a pre-tokenizer converts text to the byte alphabet.
fn is_byte_level(rule: Option<&PreTokenizerWrapper>) -> bool {
    match rule {
        Some(PreTokenizerWrapper::ByteLevel(_)) => true,
        Some(PreTokenizerWrapper::Sequence(rules)) => {
            rules.as_ref().iter().any(|rule| is_byte_level(Some(rule)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn parts_on_which_the_library_panics_are_refused() {
        for json in [
            r#"{"version":"1.0","decoder":{"type":"ByteLevel",u"x":true},"model":{"type":"BPE","vocab":{},"merges":[]}}"#,
            r#"{"version":"1.0","decoder":{"type":7},"model":{"type":"BPE","vocab":{},"merges":[]}}"#,
            r#"{"version":"1.0","normalizer":{"type":"Precompiled","precompiled_charsmap":7},"model":{}}"#,
            r#"{"normalizer":[]}"#,
            "[]",
            "",
        ] {
            let error = Bpe::from_json(json.as_bytes(), "t.json").err();
            assert_eq!(error.map(|error| error.kind()), Some(Kind::Data), "{json}");
        }
    }
}
