//! Batches and positions with a cache are those of the text.

use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use wlstm::corpus::{
    BatchOptions, Batches, Corpus, Order, Text, TokenCache, TokenKind, Vocabulary,
    VocabularyBuilder,
};
use wlstm::error::{Kind, Result};

use super::tools::{KINDS, TestCorpus, all, files, open, options, round_trip};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn text_and_cache_give_the_same_batches_and_positions(
        files in files(), kind in 0..3_usize, batch in 1..5_usize, unroll in 1..8_usize, shuffle: bool, seed: u64,
    ) {
        let test = TestCorpus::new(&files);
        let kind = KINDS[kind];
        for order in [Order::Sentences, Order::Contiguous] {
            let Some(words) = test.words(order, kind) else { return Ok(()) };
            let text = Text::new(test.corpus(), words.clone(), kind);
            let cached = test.cache().open(test.corpus(), words, kind, &|_, _| {}).unwrap();
            prop_assert_eq!((text.cached_files(), cached.cached_files()), (0, files.len()));
            match (all(Batches::evaluation(&text, batch, unroll)), all(Batches::evaluation(&cached, batch, unroll))) {
                (Ok(text), Ok(cached)) => prop_assert_eq!(text, cached),
                (Err(text), Err(cached)) => prop_assert_eq!(text.to_string(), cached.to_string()),
                _ => prop_assert!(false, "only one of text and cache fails"),
            }
            let options = BatchOptions { shuffle, seed, ..options(batch, unroll, 3) };
            let (from_text, from_cache) = (Batches::training(&text, &options), Batches::training(&cached, &options));
            let (from_text, from_cache) = match (from_text, from_cache) {
                (Err(text), Err(cached)) => {
                    prop_assert_eq!(text.to_string(), cached.to_string());
                    continue;
                }
                (text, cached) => (text.unwrap(), cached.unwrap()),
            };
            prop_assert_eq!(from_text.epoch_steps().unwrap(), from_cache.epoch_steps().unwrap());
            let expected = from_text.collect::<Result<Vec<_>>>().unwrap();
            prop_assert_eq!(&from_cache.collect::<Result<Vec<_>>>().unwrap(), &expected);
            // Both resume from any position of the other.
            for (k, batch) in expected.iter().enumerate() {
                let position = round_trip(&batch.position);
                let many = if k % 5 == 0 { usize::MAX } else { 2 };
                for text in [&text, &cached] {
                    let rest = Batches::resume(text, &options, &position).unwrap().take(many);
                    let rest = rest.collect::<Result<Vec<_>>>().unwrap();
                    let wanted = &expected[k + 1..];
                    prop_assert_eq!(&rest[..], &wanted[..many.min(wanted.len())]);
                }
            }
        }
    }
}
#[test]
fn only_new_or_changed_text_is_parsed() {
    let line = "a b c d e\n";
    let test = TestCorpus::new(&[line.repeat(10), line.repeat(20), line.repeat(30)]);
    let words = test.words(Order::Sentences, TokenKind::Whitespace).unwrap();
    let bytes = |lines: u64| lines * line.len() as u64;
    let parsed = || open(&test.cache(), test.corpus(), &words).1;
    assert_eq!(parsed(), bytes(60));
    assert_eq!(test.names(".tokens").len(), 3);
    assert_eq!(parsed(), 0);
    // One word of one file changes. The length stays the same.
    test.write(1, format!("e{}", &line.repeat(20)[1..]));
    assert_eq!(parsed(), bytes(20));
    // With the old content, the old token file is valid again.
    test.write(1, line.repeat(20));
    assert_eq!(parsed(), 0);
    // The same text in a second file.
    test.write(7, line.repeat(30));
    assert_eq!(parsed(), 0);
    // The same words with other ids.
    let other = Vocabulary::from_bytes(
        b"b 9\na 9\nc 9\nd 9\ne 9\n<S> 1\n<UNK> 0\n",
        Order::Sentences,
        "here",
    );
    let parsed = open(&test.cache(), test.corpus(), &Arc::new(other.unwrap())).1;
    // The text that exists twice is parsed once, or twice at the same time.
    assert!(parsed >= bytes(60), "{parsed}");
    // Counts do not matter.
    let counted = words.to_bytes();
    let counted = String::from_utf8(counted)
        .unwrap()
        .replace(" 60\n", " 61\n");
    let words = Vocabulary::from_bytes(counted.as_bytes(), Order::Sentences, "here").unwrap();
    assert_eq!(open(&test.cache(), test.corpus(), &Arc::new(words)).1, 0);
}

#[test]
fn invalid_utf8_is_reported_with_file_and_line() {
    let good = "good line\n".repeat(300_000);
    let bad = [good.as_bytes(), b"a b\xe9d line\n", good.as_bytes()].concat();
    let test = TestCorpus::new(&[good.as_bytes(), &bad, &bad]);
    let first = Arc::new(Corpus::open(&[test.folder.path().join("text/part-00")]).unwrap());
    for order in [Order::Sentences, Order::Contiguous] {
        for kind in KINDS {
            let words = VocabularyBuilder::new(order, kind).build(&first).unwrap();
            let text = test
                .cache()
                .open(test.corpus(), Arc::new(words), kind, &|_, _| {});
            let error = text.unwrap_err();
            assert_eq!(error.kind(), Kind::Data);
            let message = error.to_string();
            assert!(message.contains("part-01:300001: not UTF-8"), "{message}");
        }
    }
    assert!(test.names("").iter().all(|name| !name.contains("partial")));
}

#[test]
fn a_run_does_not_resume_on_a_changed_text() {
    let files = ["a b c\nd e f\n".repeat(30_000), "g h i\n".repeat(30_000)];
    let test = TestCorpus::new(&files);
    let words = test.words(Order::Sentences, TokenKind::Whitespace).unwrap();
    let (text, _) = open(&test.cache(), test.corpus(), &words);
    let options = options(2, 3, 0);
    let position = Batches::training(&text, &options)
        .unwrap()
        .nth(7)
        .unwrap()
        .unwrap()
        .position;
    assert!(Batches::resume(&text, &options, &position).is_ok());
    // One changed letter in the middle.
    let mut changed = files[0].clone().into_bytes();
    changed[123_450] = b'z';
    test.write(0, changed);
    let (text, _) = open(&test.cache(), test.corpus(), &words);
    let error = Batches::resume(&text, &options, &position).unwrap_err();
    assert!(error.to_string().contains("not the same text"), "{error}");
}

/// The folders of the One Billion Word benchmark as its archive unpacks, with few sentences in each file.
#[test]
fn the_billion_word_benchmark_as_it_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder
        .path()
        .join("1-billion-word-language-modeling-benchmark-r13output");
    let (training, heldout) = (
        root.join("training-monolingual.tokenized.shuffled"),
        root.join("heldout-monolingual.tokenized.shuffled"),
    );
    fs::create_dir_all(&training).unwrap();
    fs::create_dir_all(&heldout).unwrap();
    fs::write(
        root.join("README.perplexity_and_such"),
        "no text of the corpus\n",
    )
    .unwrap();
    let mut sentences = 0;
    for file in 1..100 {
        let lines = 3 + file % 5;
        let line = |line| format!("w{file} is in line {line} of file {file} .\n");
        let text: String = (0..lines).map(line).collect();
        sentences += lines;
        fs::write(training.join(format!("news.en-{file:05}-of-00100")), text).unwrap();
    }
    for file in 0..50 {
        let path = heldout.join(format!("news.en.heldout-{file:05}-of-00050"));
        fs::write(path, format!("w{file} is unseen .\n")).unwrap();
    }
    let corpus = Arc::new(Corpus::open(&[training.join("*")]).unwrap());
    assert_eq!(corpus.files(), 99);
    let by_name = Corpus::open(&[&training]).unwrap();
    assert_eq!((by_name.files(), by_name.digest()), (99, corpus.digest()));
    assert_eq!(Corpus::open(&[&heldout]).unwrap().files(), 50);
    // The folder that contains both is refused: it would train on the held-out text.
    assert!(Corpus::open(&[&root]).is_err());

    let kind = TokenKind::Whitespace;
    let words = VocabularyBuilder::new(Order::Sentences, kind)
        .build(&corpus)
        .unwrap();
    let words = Arc::new(words);
    let cache = TokenCache::in_folder(folder.path().join("tokens")).min_bytes(0);
    let cached = cache
        .open(corpus.clone(), words.clone(), kind, &|_, _| {})
        .unwrap();
    assert_eq!(cached.cached_files(), 99);
    let text = Text::new(corpus, words, kind);
    let epochs = 3;
    let options = options(5, 4, epochs);
    let batches = all(Batches::training(&cached, &options)).unwrap();
    // Ten pairs a sentence. At the end, each stream has at most one unfinished sentence.
    let (pairs, given) = (10 * sentences * epochs as usize, 20 * batches.len());
    assert!(
        given <= pairs && pairs < given + 20 + 50,
        "{given} of {pairs}"
    );
    // Each epoch contains all files, in another order. Training resumes after any batch, from text and from cache.
    let file_words = |epoch| {
        let mut found = Vec::new();
        for batch in batches.iter().filter(|batch| batch.epoch == epoch) {
            for &id in &batch.targets {
                let word = text.vocabulary().word(id);
                if word.starts_with('w') && !found.contains(&word) {
                    found.push(word);
                }
            }
        }
        found
    };
    let (first, second) = (file_words(1), file_words(2));
    assert!(first.len() >= 98 && second.len() >= 98);
    assert_ne!(first, second);
    for (k, batch) in batches.iter().enumerate() {
        let text = if k % 2 == 0 { &text } else { &cached };
        let mut rest = Batches::resume(text, &options, &round_trip(&batch.position)).unwrap();
        for expected in batches[k + 1..].iter().take(3) {
            assert_eq!(&rest.next().unwrap().unwrap(), expected);
        }
    }
}
