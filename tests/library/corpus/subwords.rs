//! Subwords: `data.tokens = "bpe"`.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use wlstm::config::Tokens;
use wlstm::corpus::{
    Batch, Batches, Bpe, Marks, Order, Text, TokenCache, Vocabulary, VocabularyBuilder, detokenise,
};
use wlstm::error::{Kind, Result};

use super::tools::{Folder, options};

/// A tokenizer of the Python library, and its tokens for some lines. `tests/interchange/tokenizer.py --store` writes both.
const TOKENIZER: &str = include_str!("../../interchange/tokenizer.json");
const TOKENS: &str = include_str!("../../interchange/tokens.json");

/// Another tokenizer, with several rules and their tokens for some lines.
const RULES: &str = include_str!("../../interchange/rules.json");

fn tokenizer() -> Arc<Bpe> {
    Arc::new(Bpe::from_json(TOKENIZER.as_bytes(), "tokenizer.json").unwrap())
}

/// A text of words with decreasing frequencies, in several scripts.
fn play() -> String {
    let text = include_str!("../../../configs/shakespeare/train.txt");
    text[..60_000].to_owned()
        + "\nÉlan, naïve: 日本語 e\u{301} 👨\u{200d}👩\u{200d}👧.\n\n  indented\t\n"
}

#[test]
fn tokens_are_those_of_the_library() {
    let vocabulary = Vocabulary::uncounted(tokenizer(), Order::Contiguous).unwrap();
    let lines: Vec<Value> = serde_json::from_str(TOKENS).unwrap();
    assert!(lines.len() > 40);
    for line in lines {
        let text = line["line"].as_str().unwrap();
        let found = vocabulary.tokens(text, Tokens::Bpe);
        assert_eq!(json!(found), line["tokens"], "{text:?}");
        // The ids of the library can be recovered.
        let ids = vocabulary.encode_text(text, Tokens::Bpe);
        for (token, id) in found.iter().zip(ids) {
            assert_eq!(vocabulary.word(id), token);
            assert!(tokenizer().id(token).is_some());
        }
    }
}

/// The tokenizer with other parts.
fn with_rules(rules: &Value) -> Bpe {
    changed(serde_json::from_str(TOKENIZER).unwrap(), rules)
}

fn changed(mut changed: Value, rules: &Value) -> Bpe {
    for (part, rule) in rules.as_object().unwrap() {
        changed[part] = rule.clone();
    }
    Bpe::from_json(changed.to_string().as_bytes(), "t.json").unwrap()
}

#[test]
fn tokens_of_other_rules_are_those_of_the_library() {
    let all: Value = serde_json::from_str(RULES).unwrap();
    let mut before = Vec::new();
    for rules in all["rules"].as_array().unwrap() {
        let name = &rules["name"];
        let tokenizer = changed(all["tokenizer"].clone(), &rules["rules"]);
        tokenizer.check_lossless("t.json").unwrap();
        let words = Vocabulary::uncounted(Arc::new(tokenizer), Order::Contiguous).unwrap();
        let lines = rules["lines"].as_array().unwrap();
        for line in lines {
            let text = line["line"].as_str().unwrap();
            let found = words.tokens(text, Tokens::Bpe);
            assert_eq!(json!(found), line["tokens"], "{name}: {text:?}");
        }
        // Without a pre-tokenizer, a line is one piece as with `whole lines`.
        let is_own = !before.contains(&lines);
        assert!(
            is_own || name == "normalizer",
            "{name} has the tokens of another rule"
        );
        before.push(lines);
    }
    assert_eq!(before.len(), 6);
}

/// A pre-tokenizer must neither remove nor add characters.
#[test]
fn tokenizers_that_change_text_are_refused() {
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let after = |rule: Value| json!({"type": "Sequence", "pretokenizers": [rule, bytes]});
    let split = |regex: &str, behavior: &str| {
        after(
            json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": false}),
        )
    };
    let mut prefix = bytes.clone();
    prefix["add_prefix_space"] = json!(true);
    for (rule, says) in [
        (
            after(json!({"type": "Whitespace"})),
            "changes text: `The cat  walks",
        ),
        (
            after(json!({"type": "WhitespaceSplit"})),
            "becomes `Thecatwalks",
        ),
        (after(json!({"type": "BertPreTokenizer"})), "changes text"),
        (
            after(json!({"type": "CharDelimiterSplit", "delimiter": "q"})),
            "`CharDelimiterSplit` removes",
        ),
        (
            after(json!({"type": "Punctuation", "behavior": "Removed"})),
            "`Punctuation` removes",
        ),
        (split(" ", "Removed"), "`Split` removes"),
        (split("xyz", "Removed"), "`Split` removes"),
        (prefix, "becomes ` The cat"),
    ] {
        let tokenizer = with_rules(&json!({"pre_tokenizer": rule}));
        let error = tokenizer.check_lossless("t.json").unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        assert!(error.to_string().contains(says), "{error}, not {says}");
        // A file of such a tokenizer is refused.
        let folder = Folder::new(&["text"]);
        let path = folder.path().join("t.json");
        std::fs::write(&path, tokenizer.json()).unwrap();
        assert!(Vocabulary::load_subwords(&path, Order::Contiguous).is_err());
    }
    for behavior in [
        "Isolated",
        "MergedWithNext",
        "MergedWithPrevious",
        "Contiguous",
    ] {
        let tokenizer = with_rules(&json!({"pre_tokenizer": split("[ x]", behavior)}));
        tokenizer.check_lossless("t.json").unwrap();
    }
}

/// A size that the text cannot fill needs no memory.
#[test]
fn large_sizes_are_limited_by_the_text() {
    let folder = Folder::new(&["the cat sat on the mat\n".repeat(100)]);
    let built = |size| {
        let builder = VocabularyBuilder::new(Order::Contiguous, Tokens::Bpe).size(size);
        builder.build(&folder.corpus()).unwrap().to_bytes()
    };
    assert_eq!(built(2_000_000_000), built(1000));
    assert_eq!(built(usize::MAX), built(1000));
}

#[test]
fn ids_are_in_order_of_falling_frequency() {
    let folder = Folder::new(&[play()]);
    for order in [Order::Sentences, Order::Contiguous] {
        let builder = VocabularyBuilder::new(order, Tokens::Bpe).size(600);
        let corpus = folder.corpus();
        let built = builder.build(&corpus).unwrap();
        assert!(built.is_sorted());
        assert_eq!(built.len(), 600);
        assert_eq!(built.count(built.unknown()), 0);
        let lines = play()
            .lines()
            .filter(|line| order == Order::Contiguous || !line.is_empty())
            .count();
        assert_eq!(built.count(built.mark()), lines as u64);
        let mut counts = vec![0; built.len()];
        for line in play().lines() {
            for id in built.encode_text(line, Tokens::Bpe) {
                counts[id as usize] += 1;
            }
        }
        counts[built.mark() as usize] = lines as u64;
        let stored: Vec<u64> = (0..600).map(|id| built.count(id)).collect();
        assert_eq!(stored, counts);
        // The same text gives the same tokenizer with any number of threads. Saving does not change it.
        assert_eq!(builder.build(&corpus).unwrap().to_bytes(), built.to_bytes());
        let loaded = Vocabulary::from_bytes(&built.to_bytes(), order, "saved").unwrap();
        assert_eq!(loaded.to_bytes(), built.to_bytes());
        let line = "Before we proceed any further, hear me speak.";
        let encode = |words: &Vocabulary| words.encode_text(line, Tokens::Bpe);
        assert_eq!(encode(&loaded), encode(&built));
        // With the tokenizer alone, the ids follow from the counts of a text.
        let json = built.tokenizer().unwrap().json();
        let tokenizer = Arc::new(Bpe::from_json(json, "own").unwrap());
        let counted = Vocabulary::of_tokenizer(tokenizer, &corpus, order, &|_, _| {}).unwrap();
        assert_eq!(counted.to_bytes(), built.to_bytes());
    }
}

/// The tokens of a text are the same in memory and in the cache, and are those of its lines.
#[test]
fn texts_are_the_tokens_of_their_lines() {
    let folder = Folder::new(&[
        play(),
        "<s> marked line </s>\r\nand a last line <eos>".to_owned(),
    ]);
    for order in [Order::Sentences, Order::Contiguous] {
        let corpus = Arc::new(folder.corpus());
        let words = VocabularyBuilder::new(order, Tokens::Bpe)
            .size(400)
            .build(&corpus)
            .unwrap();
        let words = Arc::new(words);
        let mut expected = Vec::new();
        let lines = play() + "marked line\nand a last line";
        for line in lines
            .lines()
            .filter(|line| order == Order::Contiguous || !line.is_empty())
        {
            expected.extend(words.encode_text(line, Tokens::Bpe));
            expected.push(words.mark());
        }
        let uncached = TokenCache::uncached(corpus.clone(), words.clone(), &|_, _| {}).unwrap();
        let cache = TokenCache::in_folder(folder.path().join("tokens")).min_bytes(0);
        let cached = cache
            .open(corpus.clone(), words.clone(), Tokens::Bpe, &|_, _| {})
            .unwrap();
        assert_eq!(cached.cached_files(), 2);
        let batches = |text: &Text| -> Vec<Batch> {
            Batches::evaluation(text, 1, 16)
                .unwrap()
                .collect::<Result<_>>()
                .unwrap()
        };
        let found = batches(&uncached);
        assert_eq!(batches(&cached), found);
        let targets = found
            .iter()
            .flat_map(|batch| &batch.targets[..batch.words])
            .copied();
        let first = usize::from(order == Order::Contiguous);
        assert_eq!(targets.collect::<Vec<_>>(), expected[first..]);
        assert_eq!(uncached.targets().unwrap(), (expected.len() - first) as u64);
        let training = Batches::training(&cached, &options(2, 5, 2)).unwrap();
        let all = training.collect::<Result<Vec<_>>>().unwrap();
        let middle = &all[all.len() / 2];
        let rest = Batches::resume(&uncached, &options(2, 5, 2), &middle.position).unwrap();
        let rest = rest.collect::<Result<Vec<_>>>().unwrap();
        assert_eq!(rest, all[all.len() / 2 + 1..]);
        // Without its tokens a text of subwords cannot be read.
        let text = Text::new(corpus, words, Tokens::Bpe);
        assert!(Batches::training(&text, &options(2, 5, 2)).is_err());
    }
}

/// A line of any length is read in parts.
#[test]
fn long_lines_are_read() {
    let text = ["word and ", "é", "x"]
        .map(|part| part.repeat(300_000))
        .join("\n");
    let folder = Folder::new(&[&text]);
    let corpus = Arc::new(folder.corpus());
    let words = Vocabulary::of_tokenizer(tokenizer(), &corpus, Order::Contiguous, &|_, _| {});
    let words = Arc::new(words.unwrap());
    let text = TokenCache::uncached(corpus, words.clone(), &|_, _| {}).unwrap();
    let mut bytes = 0;
    for batch in Batches::evaluation(&text, 1, 4096).unwrap() {
        let batch = batch.unwrap();
        let tokens = batch.targets[..batch.words]
            .iter()
            .map(|id| words.word(*id));
        bytes += detokenise(tokens.filter(|token| *token != "<eos>"), Tokens::Bpe)
            .chars()
            .count();
    }
    // The first token is not a target.
    assert!(
        (9 * 300_000 + 600_000 - 10..=9 * 300_000 + 600_000).contains(&bytes),
        "{bytes}"
    );
}

/// The `<unk>` of a tokenizer stands for its own text only.
#[test]
fn no_subword_is_unknown() {
    let folder = Folder::new(&["a <unk> b\n".repeat(20)]);
    let corpus = Arc::new(folder.corpus());
    let tokenizer = with_added(&["<unk>".to_owned()]);
    let words = Vocabulary::of_tokenizer(tokenizer, &corpus, Order::Contiguous, &|_, _| {});
    let words = Arc::new(words.unwrap());
    let unknown = words.get("<unk>");
    assert_eq!(unknown, Some(words.unknown()));
    let marks = Marks::of(&corpus).unwrap();
    assert!(marks.warnings("text", &words, Tokens::Bpe).is_empty());
    let text = TokenCache::uncached(corpus, words, &|_, _| {}).unwrap();
    let mut count = 0;
    for batch in Batches::evaluation(&text, 1, 16).unwrap() {
        let batch = batch.unwrap();
        assert_eq!(batch.unknown, 0);
        count += batch
            .targets
            .iter()
            .filter(|id| Some(**id) == unknown)
            .count();
    }
    assert_eq!(count, 20);
}

#[test]
fn other_tokenizers_are_refused() {
    let valid: Value = serde_json::from_str(TOKENIZER).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = valid.clone();
        change(&mut changed);
        changed.to_string()
    };
    for (text, says) in [
        (
            "{".to_owned(),
            "`t.json` is not a tokenizer of the `tokenizers` library",
        ),
        ("[1]".to_owned(), "is not a tokenizer"),
        ("{\"words\": 3}".to_owned(), "is not a tokenizer"),
        (
            with(&|all| {
                all["model"] = json!({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"})
            }),
            "its model is WordLevel",
        ),
        (
            with(&|all| all["pre_tokenizer"] = json!({"type": "Whitespace"})),
            "its BPE is not byte-level",
        ),
        (
            with(&|all| all["pre_tokenizer"] = Value::Null),
            "its BPE is not byte-level",
        ),
        (
            with(&|all| all["normalizer"] = json!({"type": "Lowercase"})),
            "its normalizer changes text",
        ),
        (
            with(&|all| {
                all["model"]["merges"] = json!([]);
                all["model"]["vocab"]
                    .as_object_mut()
                    .unwrap()
                    .retain(|token, _| token != "Ċ");
            }),
            "it has no token for the byte 10",
        ),
        (
            with(&|all| all["model"]["vocab"]["far"] = json!(4_000_000_000_u32)),
            "the id 4000000000",
        ),
    ] {
        let error = Bpe::from_json(text.as_bytes(), "t.json").unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        assert!(error.to_string().contains(says), "{error}, not {says}");
        assert!(
            error
                .chain()
                .to_string()
                .contains("help: train a tokenizer on your text")
        );
    }
    // Truncation and padding do not apply to texts.
    let limited = with(&|all| {
        all["truncation"] =
            json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    });
    let limited = Bpe::from_json(limited.as_bytes(), "t.json").unwrap();
    let mut ids = Vec::new();
    limited.encode("a long line of words", &mut ids);
    assert!(ids.len() > 2);
}

/// The tokenizer with other added tokens.
fn with_added(tokens: &[String]) -> Arc<Bpe> {
    let mut changed: Value = serde_json::from_str(TOKENIZER).unwrap();
    let first = changed["model"]["vocab"].as_object().unwrap().len();
    let added = changed["added_tokens"].as_array_mut().unwrap();
    for (k, token) in tokens.iter().enumerate() {
        added.push(json!({
            "id": first + k, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false
        }));
    }
    Arc::new(Bpe::from_json(changed.to_string().as_bytes(), "t.json").unwrap())
}

/// Whether a vocabulary with these added tokens has the same words after it was saved.
fn is_saved(tokens: &[String]) -> bool {
    let vocabulary = Vocabulary::uncounted(with_added(tokens), Order::Contiguous).unwrap();
    let has_all = tokens
        .iter()
        .all(|token| token.is_empty() || vocabulary.get(token).is_some());
    let bytes = vocabulary.to_bytes();
    let loaded = Vocabulary::from_bytes(&bytes, Order::Contiguous, "saved").unwrap();
    has_all && loaded.same_words(&vocabulary) && loaded.to_bytes() == bytes
}

#[test]
fn added_tokens_with_white_space_are_saved() {
    for token in [
        " hello", "\n", "a\nb", "x\t", "\u{a0}x", "  ", "\r\n", "a\rb", "\n\n{", "\"", "\\n", "\0",
        "7 7\n", "\" 3\n\"",
    ] {
        assert!(is_saved(&[token.to_owned()]), "{token:?}");
    }
    // All other vocabularies keep their form.
    let plain = Vocabulary::uncounted(with_added(&["<|x|>".to_owned()]), Order::Contiguous);
    let bytes = plain.unwrap().to_bytes();
    assert!(bytes.windows(9).any(|line| line == b"\n<|x|> 0\n"));
    // A file that was saved trains and is read again.
    let folder = Folder::new(&["the cat hello\n".repeat(20)]);
    let tokens = [" hello".to_owned(), "a\nb".to_owned()];
    let corpus = folder.corpus();
    let counted =
        Vocabulary::of_tokenizer(with_added(&tokens), &corpus, Order::Contiguous, &|_, _| {});
    let counted = counted.unwrap();
    let path = folder.path().join("vocab.txt");
    counted.save(&path).unwrap();
    let loaded = Vocabulary::load_subwords(&path, Order::Contiguous).unwrap();
    assert!(loaded.same_words(&counted));
    let hello = loaded.get(" hello").unwrap();
    assert_eq!(loaded.count(hello), 20);
    assert_eq!(
        loaded.encode_text("the cat hello", Tokens::Bpe).last(),
        Some(&hello)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Saving keeps all words, whatever tokens were added.
    #[test]
    fn any_added_tokens_are_saved(tokens in prop::collection::vec("(\\PC|[ \t\r\n\u{1}\u{85}\u{a0}\u{2028}\"\\\\{]|[0-9]){1,5}", 1..4)) {
        prop_assert!(is_saved(&tokens));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// No text is unknown, and joining the tokens restores it.
    #[test]
    fn texts_come_back(text in "(\\PC|[ \t\u{1}\u{7f}]|[a-z']|<\\|end\\|>){0,60}") {
        let words = Vocabulary::uncounted(tokenizer(), Order::Contiguous).unwrap();
        let ids = words.encode_text(&text, Tokens::Bpe);
        prop_assert!(ids.iter().all(|id| *id != words.unknown() && *id != words.mark()));
        let back = detokenise(ids.iter().map(|id| words.word(*id)), Tokens::Bpe);
        prop_assert_eq!(back, text);
    }
}
