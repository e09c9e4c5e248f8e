//! The token cache: it gives the batches and positions of the text, parses each text once, and never stops a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use wlstm::corpus::{
    Batch, BatchOptions, Batches, Corpus, Order, Position, Text, TokenCache, TokenKind, Vocabulary,
    VocabularyBuilder,
};
use wlstm::error::{Kind, Result};

const KINDS: [TokenKind; 3] = [
    TokenKind::Whitespace,
    TokenKind::Words,
    TokenKind::Characters,
];

/// Text files and a cache folder.
struct TestCorpus {
    folder: tempfile::TempDir,
}

impl TestCorpus {
    fn new(files: &[impl AsRef<[u8]>]) -> TestCorpus {
        let test = TestCorpus {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(test.folder.path().join("text")).unwrap();
        for (k, file) in files.iter().enumerate() {
            test.write(k, file);
        }
        test
    }

    fn write(&self, file: usize, bytes: impl AsRef<[u8]>) {
        let name = format!("text/part-{file:02}");
        fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    fn corpus(&self) -> Arc<Corpus> {
        Arc::new(Corpus::open(&[self.folder.path().join("text")]).unwrap())
    }

    fn tokens(&self) -> PathBuf {
        self.folder.path().join("tokens")
    }

    fn cache(&self) -> TokenCache {
        TokenCache::in_folder(self.tokens()).min_bytes(0)
    }

    fn words(&self, order: Order, kind: TokenKind) -> Option<Arc<Vocabulary>> {
        // With a minimum count, so that there are unknown words.
        let builder = VocabularyBuilder::new(order, kind).min_count(2);
        builder.build(&self.corpus()).ok().map(Arc::new)
    }

    /// Names in the cache folder with this ending.
    fn names(&self, end: &str) -> Vec<String> {
        let names = fs::read_dir(self.tokens()).unwrap();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(end))
            .collect();
        names.sort();
        names
    }
}

/// Opens a text. Returns how many bytes of it were parsed.
fn open(cache: &TokenCache, corpus: Arc<Corpus>, words: &Arc<Vocabulary>) -> (Text, u64) {
    let parsed = AtomicU64::new(0);
    let kind = TokenKind::Whitespace;
    let text = cache.open(corpus, words.clone(), kind, &|done, _| {
        parsed.fetch_max(done, Ordering::SeqCst);
    });
    (text.unwrap(), parsed.into_inner())
}

fn options(batch: usize, unroll: usize, epochs: u64) -> BatchOptions {
    BatchOptions {
        batch,
        unroll,
        shuffle: true,
        seed: 3,
        epochs,
    }
}

fn all(batches: Result<Batches>) -> Result<Vec<Batch>> {
    batches?.collect()
}

fn round_trip(position: &Position) -> Position {
    serde_json::from_str(&serde_json::to_string(position).unwrap()).unwrap()
}

/// One to four files of up to sixty lines, with blank lines, spaces around words, marks in the text, both kinds of line ends, and
/// maybe no line feed at the end.
fn files() -> impl Strategy<Value = Vec<String>> {
    let word = prop::sample::select(vec![
        "a", "b", "cc", "d'd", "é-é", "<unk>", "<UNK>", "<S>", "<eos>", "x.", "rare",
    ]);
    let line = (
        prop::collection::vec(word, 0..7),
        prop::sample::select(vec![" ", "  ", "\t", "\u{a0}"]),
        prop::sample::select(vec!["\n", "\r\n", " \n", "\n\n"]),
    );
    let line = line.prop_map(|(words, space, end)| words.join(space) + end);
    let lines = prop::collection::vec(line, 1..60);
    let file = (lines, any::<bool>()).prop_map(|(lines, open)| {
        let end = if open { "the end" } else { "" };
        lines.concat() + end
    });
    prop::collection::vec(file, 1..5)
}

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
fn damaged_files_are_written_again() {
    let test = TestCorpus::new(&["a b c\nd e f\n".repeat(50), "g h\n".repeat(40)]);
    let words = test.words(Order::Sentences, TokenKind::Whitespace).unwrap();
    let (text, parsed) = open(&test.cache(), test.corpus(), &words);
    let whole = parsed;
    let expected = all(Batches::training(&text, &options(2, 3, 1))).unwrap();
    drop(text);
    for damage in ["truncated", "empty", "longer", "footer", "content"] {
        for name in test.names(".tokens") {
            let path = test.tokens().join(name);
            let mut bytes = fs::read(&path).unwrap();
            match damage {
                "truncated" => bytes.truncate(bytes.len() / 2),
                "empty" => bytes.clear(),
                "longer" => bytes.extend([0; 96]),
                "footer" => *bytes.last_mut().unwrap() ^= 1,
                _ => bytes[0] ^= 1,
            }
            fs::write(path, bytes).unwrap();
        }
        let cache = test.cache().verify(damage == "content");
        let (text, parsed) = open(&cache, test.corpus(), &words);
        assert_eq!(parsed, whole, "{damage}");
        let found = all(Batches::training(&text, &options(2, 3, 1))).unwrap();
        assert_eq!(found, expected, "{damage}");
    }
    // Without verification, an invalid id is an error when it is read.
    for name in test.names(".tokens") {
        let path = test.tokens().join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[..4].fill(0x77);
        fs::write(path, bytes).unwrap();
    }
    let (text, parsed) = open(&test.cache(), test.corpus(), &words);
    assert_eq!(parsed, 0);
    let error = all(Batches::evaluation(&text, 1, 3)).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains("are damaged"), "{error}");
}

#[test]
fn an_unusable_folder_does_not_stop_a_run() {
    let test = TestCorpus::new(&["a b c\nd e f\n".repeat(50), "g h\n".repeat(40)]);
    let words = test.words(Order::Sentences, TokenKind::Whitespace).unwrap();
    let text = Text::new(test.corpus(), words.clone(), TokenKind::Whitespace);
    let expected = all(Batches::training(&text, &options(2, 3, 2))).unwrap();
    let check = |cache: &TokenCache, cached: usize| {
        let (text, _) = open(cache, test.corpus(), &words);
        assert_eq!(text.cached_files(), cached);
        let found = all(Batches::training(&text, &options(2, 3, 2))).unwrap();
        assert_eq!(found, expected);
        let again = Batches::resume(&text, &options(2, 3, 2), &expected[4].position);
        assert_eq!(all(again).unwrap(), expected[5..]);
    };
    // A file in place of the folder.
    let file = test.folder.path().join("file");
    fs::write(&file, "").unwrap();
    check(&TokenCache::in_folder(&file).min_bytes(0), 0);
    check(
        &TokenCache::in_folder(file.join("under it")).min_bytes(0),
        0,
    );
    // Above the limit, and below the minimum size.
    check(&test.cache().limit(100), 0);
    check(&TokenCache::in_folder(test.tokens()), 0);
    check(&test.cache(), 2);
    // A token file that cannot be replaced: its text is read instead.
    let first = test.tokens().join(&test.names(".tokens")[0]);
    fs::remove_file(&first).unwrap();
    fs::create_dir(&first).unwrap();
    fs::write(first.join("inside"), "").unwrap();
    check(&test.cache(), 1);
    fs::remove_dir_all(&first).unwrap();
    check(&test.cache(), 2);
}

#[test]
fn runs_that_start_together_share_the_folder() {
    let test = TestCorpus::new(&["a b c d\n".repeat(5000), "e f g\n\n".repeat(5000)]);
    let words = test.words(Order::Sentences, TokenKind::Whitespace).unwrap();
    let text = Text::new(test.corpus(), words.clone(), TokenKind::Whitespace);
    let expected = all(Batches::training(&text, &options(4, 5, 1))).unwrap();
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let (text, _) = open(&test.cache(), test.corpus(), &words);
                    assert_eq!(text.cached_files(), 2);
                    let found = all(Batches::training(&text, &options(4, 5, 1))).unwrap();
                    assert_eq!(found, expected);
                });
            }
        });
        assert_eq!(test.names(".tokens").len(), 2);
        fs::remove_dir_all(test.tokens()).unwrap();
    }
}

fn age(path: &Path, seconds: u64) {
    let file = fs::File::options().append(true).open(path).unwrap();
    let then = SystemTime::now() - Duration::from_secs(seconds);
    file.set_modified(then).unwrap();
}

#[test]
fn partial_files_of_killed_runs_are_ignored_and_removed() {
    let test = TestCorpus::new(&["a b c\n".repeat(50)]);
    let words = test.words(Order::Sentences, TokenKind::Whitespace).unwrap();
    drop(open(&test.cache(), test.corpus(), &words));
    let name = test.names(".tokens").pop().unwrap();
    let half = fs::read(test.tokens().join(&name)).unwrap();
    let partials =
        [".wlstm-partial-abc", ".wlstm-partial-def"].map(|name| test.tokens().join(name));
    let lists = ["use-abc", "use-def"].map(|name| test.tokens().join(name));
    for path in partials.iter().chain(&lists) {
        fs::write(path, &half[..half.len() / 2]).unwrap();
    }
    age(&partials[0], 2 * 3600);
    age(&lists[0], 60);
    fs::remove_file(test.tokens().join(name)).unwrap();
    let (_text, parsed) = open(&test.cache(), test.corpus(), &words);
    assert!(parsed > 0);
    // Another process may still be writing the younger ones.
    assert!(!partials[0].exists() && partials[1].exists());
    assert!(!lists[0].exists() && lists[1].exists());
}

#[test]
fn the_folder_has_a_limit_and_files_in_use_stay() {
    let test = TestCorpus::new(&["a b c d e f\n".repeat(2000)]);
    let kind = TokenKind::Whitespace;
    let words = |size| {
        let builder = VocabularyBuilder::new(Order::Sentences, kind).size(size);
        Arc::new(builder.build(&test.corpus()).unwrap())
    };
    // Room for two files.
    let cache = test.cache().limit(150_000);
    let create = |size| {
        let before = if test.tokens().exists() {
            test.names(".tokens")
        } else {
            vec![]
        };
        let (text, _) = open(&cache, test.corpus(), &words(size));
        let mut names = test.names(".tokens");
        names.retain(|name| !before.contains(name));
        (text, names.pop())
    };
    let (first_text, first) = create(3);
    let first = test.tokens().join(first.unwrap());
    let second = test.tokens().join(create(4).1.unwrap());
    age(&first, 1000);
    age(&second, 500);
    // The first is older, but in use.
    let third = test.tokens().join(create(5).1.unwrap());
    assert!(first.exists() && !second.exists() && third.exists());
    age(&third, 100);
    let batches = all(Batches::evaluation(&first_text, 3, 4)).unwrap();
    assert_eq!(
        batches.iter().map(|batch| batch.words).sum::<usize>(),
        7 * 2000
    );
    drop(first_text);
    let fourth = test.tokens().join(create(6).1.unwrap());
    assert!(!first.exists() && third.exists() && fourth.exists());
    assert!(test.names("").iter().all(|name| !name.starts_with("use-")));
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
