//! Compares the corpus with naive implementations: vocabularies, batches of both orders, positions, the sampler.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use wlstm::corpus::{
    Batch, BatchOptions, Batches, CandidateSampler, Corpus, IGNORE, Loader, Order, Position, Text,
    TokenKind, Vocabulary, VocabularyBuilder,
};
use wlstm::error::{Kind, Result};
use wlstm::random::{Purpose, Stream};

/// A corpus on disk, removed with this value.
struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new(files: &[impl AsRef<[u8]>]) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        for (k, file) in files.iter().enumerate() {
            fs::write(folder.path().join(format!("part-{k:02}.txt")), file).unwrap();
        }
        Folder { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn corpus(&self) -> Corpus {
        Corpus::open(&[self.path().join("*.txt")]).unwrap()
    }

    fn text(&self, order: Order) -> Text {
        let corpus = self.corpus();
        let kind = TokenKind::Whitespace;
        let vocabulary = VocabularyBuilder::new(order, kind).build(&corpus).unwrap();
        Text::new(Arc::new(corpus), Arc::new(vocabulary), kind)
    }
}

/// The lines of all files, as words.
fn lines_of(files: &[String]) -> Vec<Vec<&str>> {
    let lines = files
        .iter()
        .flat_map(|file| file.strip_suffix('\n').unwrap_or(file).split('\n'));
    let empty = files.iter().filter(|file| file.is_empty()).count();
    assert_eq!(empty, 0, "this helper does not support empty files");
    lines
        .map(|line| line.split_whitespace().collect())
        .collect()
}

fn ids(text: &Text, words: &[&str]) -> Vec<u32> {
    words
        .iter()
        .map(|word| text.vocabulary().encode(word))
        .collect()
}

/// `[<S> w1 .. wn] -> [w1 .. wn <S>]` of every sentence.
fn sentence_pairs(text: &Text, files: &[String]) -> Vec<Vec<(u32, u32)>> {
    let sentences = lines_of(files).into_iter().filter(|line| !line.is_empty());
    sentences
        .map(|words| {
            let mark = [text.vocabulary().mark()];
            let around = [&mark[..], &ids(text, &words), &mark].concat();
            around.windows(2).map(|pair| (pair[0], pair[1])).collect()
        })
        .collect()
}

/// One sequence with `<eos>` after each line.
fn sequence(text: &Text, files: &[String]) -> Vec<u32> {
    let line = |words: Vec<&str>| [ids(text, &words), vec![text.vocabulary().mark()]].concat();
    lines_of(files).into_iter().flat_map(line).collect()
}

type Grid = (Vec<u32>, Vec<u32>);

fn padding(batch: usize, unroll: usize) -> Grid {
    (vec![0; batch * unroll], vec![IGNORE; batch * unroll])
}

/// The batches of `sentences` order, directly from their definition.
fn naive_sentences(
    pairs: &[Vec<(u32, u32)>],
    batch: usize,
    unroll: usize,
    epochs: usize,
    pads: bool,
) -> Vec<Grid> {
    let mut queue: VecDeque<_> = (0..epochs).flat_map(|_| pairs.iter().cloned()).collect();
    let mut rows = vec![VecDeque::new(); batch];
    let mut batches = Vec::new();
    loop {
        let (mut inputs, mut targets) = padding(batch, unroll);
        for (b, row) in rows.iter_mut().enumerate() {
            while row.len() < unroll {
                match queue.pop_front() {
                    Some(sentence) => row.extend(sentence),
                    None if pads => break,
                    None => return batches,
                }
            }
            for t in 0..unroll.min(row.len()) {
                (inputs[t * batch + b], targets[t * batch + b]) = row.pop_front().unwrap();
            }
        }
        if targets.iter().all(|&target| target == IGNORE) {
            return batches;
        }
        batches.push((inputs, targets));
    }
}

fn naive_contiguous(tokens: &[u32], batch: usize, unroll: usize, epochs: usize) -> Vec<Grid> {
    let length = tokens.len() / batch;
    let mut batches = Vec::new();
    for _ in 0..epochs {
        let pairs = length.saturating_sub(1);
        let mut start = 0;
        while start < pairs && unroll <= pairs {
            let (mut inputs, mut targets) = padding(batch, unroll);
            for t in 0..unroll.min(pairs - start) {
                for b in 0..batch {
                    let i = b * length + start + t;
                    inputs[t * batch + b] = tokens[i];
                    targets[t * batch + b] = tokens[i + 1];
                }
            }
            batches.push((inputs, targets));
            start += unroll;
        }
    }
    batches
}

fn naive_evaluation(tokens: &[u32], batch: usize, unroll: usize) -> Vec<Grid> {
    let pairs: Vec<_> = tokens.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let mut columns: Vec<VecDeque<(u32, u32)>> = vec![VecDeque::new(); batch];
    let mut rest = &pairs[..];
    for (b, column) in columns.iter_mut().enumerate() {
        let (mine, others) = rest.split_at(rest.len().div_ceil(batch - b));
        column.extend(mine.iter().copied());
        rest = others;
    }
    let mut batches = Vec::new();
    while columns.iter().any(|column| !column.is_empty()) {
        let (mut inputs, mut targets) = padding(batch, unroll);
        for (b, column) in columns.iter_mut().enumerate() {
            for t in 0..unroll.min(column.len()) {
                (inputs[t * batch + b], targets[t * batch + b]) = column.pop_front().unwrap();
            }
        }
        batches.push((inputs, targets));
    }
    batches
}

fn grids(batches: Batches) -> Vec<Grid> {
    batches
        .map(|batch| batch.unwrap())
        .map(|batch| (batch.inputs, batch.targets))
        .collect()
}

fn options(batch: usize, unroll: usize, epochs: u64) -> BatchOptions {
    BatchOptions {
        batch,
        unroll,
        shuffle: false,
        seed: 3,
        epochs,
    }
}

/// One to four files of up to thirty lines, with blank lines, spaces around words, both kinds of line ends, and maybe no line feed
/// at the end.
fn files() -> impl Strategy<Value = Vec<String>> {
    let word = prop::sample::select(vec![
        "a",
        "b",
        "cc",
        "d'd",
        "é",
        "<unk>",
        "<UNK>",
        "long-word",
    ]);
    let words = prop::collection::vec(word, 0..9);
    let line = (words, prop::sample::select(vec![" ", "  ", "\t", "\u{a0}"]))
        .prop_map(|(words, space)| words.join(space));
    let end = prop::sample::select(vec!["\n", "\r\n", " \n"]);
    let lines = prop::collection::vec((line, end), 1..30);
    let file = (lines, any::<bool>()).prop_map(|(lines, open)| {
        let mut file: String = lines
            .into_iter()
            .flat_map(|(line, end)| [line, end.to_owned()])
            .collect();
        if open {
            file.push_str("the end");
        }
        file
    });
    prop::collection::vec(file, 1..5)
}

/// The batches, or `None` if the text is too short.
fn training(text: &Text, options: &BatchOptions) -> Option<Batches> {
    match Batches::training(text, options) {
        Ok(batches) => Some(batches),
        Err(error) => {
            let message = error.to_string();
            assert!(
                message.contains("shorter than a batch") || message.contains("no sentence"),
                "{message}"
            );
            assert_eq!(error.kind(), Kind::Data);
            None
        }
    }
}

fn build(files: &[String], order: Order) -> Option<(Folder, Text)> {
    let folder = Folder::new(files);
    let any_word = lines_of(files).iter().any(|line| !line.is_empty());
    any_word.then(|| {
        let text = folder.text(order);
        (folder, text)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn sentence_batches_match_the_naive_ones(files in files(), batch in 1..5_usize, unroll in 1..8_usize, epochs in 1..4_u64) {
        let Some((_folder, text)) = build(&files, Order::Sentences) else { return Ok(()) };
        let pairs = sentence_pairs(&text, &files);
        let one = naive_sentences(&pairs, batch, unroll, 1, false);
        let Some(batches) = training(&text, &options(batch, unroll, epochs)) else {
            prop_assert!(one.is_empty());
            return Ok(());
        };
        prop_assert!(!one.is_empty());
        let expected_steps = pairs.iter().map(Vec::len).sum::<usize>() / (batch * unroll);
        prop_assert_eq!(batches.epoch_steps().unwrap(), expected_steps as u64);
        prop_assert_eq!(grids(batches), naive_sentences(&pairs, batch, unroll, epochs as usize, false));
    }

    #[test]
    fn contiguous_batches_match_the_naive_ones(files in files(), batch in 1..5_usize, unroll in 1..8_usize, epochs in 1..4_u64) {
        let Some((_folder, text)) = build(&files, Order::Contiguous) else { return Ok(()) };
        let tokens = sequence(&text, &files);
        let expected = naive_contiguous(&tokens, batch, unroll, epochs as usize);
        let Some(batches) = training(&text, &options(batch, unroll, epochs)) else {
            prop_assert!(expected.is_empty());
            return Ok(());
        };
        prop_assert_eq!(batches.epoch_steps().unwrap() * epochs, expected.len() as u64);
        prop_assert_eq!(grids(batches), expected);
    }

    #[test]
    fn an_evaluation_covers_every_target_once(files in files(), batch in 1..9_usize, unroll in 1..40_usize) {
        for order in [Order::Sentences, Order::Contiguous] {
            let Some((_folder, text)) = build(&files, order) else { return Ok(()) };
            let (one_stream, expected) = match order {
                Order::Sentences => {
                    let pairs = sentence_pairs(&text, &files);
                    (pairs.concat(), naive_sentences(&pairs, batch, unroll, 1, true))
                }
                Order::Contiguous => {
                    let tokens = sequence(&text, &files);
                    let pairs = tokens.windows(2).map(|pair| (pair[0], pair[1])).collect();
                    (pairs, naive_evaluation(&tokens, batch, unroll))
                }
            };
            prop_assume!(!one_stream.is_empty());
            let batches: Vec<_> = Batches::evaluation(&text, batch, unroll).unwrap().map(Result::unwrap).collect();
            prop_assert_eq!(batches.iter().map(|batch| batch.words).sum::<usize>(), one_stream.len());
            prop_assert!(batches.iter().enumerate().all(|(k, batch)| batch.reset == (k == 0)));
            let found: Vec<_> = batches.into_iter().map(|batch| (batch.inputs, batch.targets)).collect();
            prop_assert_eq!(found, expected);
            // With one stream, the sequence does not depend on the unroll.
            let mut alone = Vec::new();
            for batch in Batches::evaluation(&text, 1, unroll).unwrap() {
                let batch = batch.unwrap();
                alone.extend(batch.inputs.into_iter().zip(batch.targets).filter(|(_, target)| *target != IGNORE));
            }
            prop_assert_eq!(alone, one_stream);
        }
    }

    #[test]
    fn training_resumes_after_any_batch(files in files(), batch in 1..4_usize, unroll in 1..6_usize, shuffle: bool, seed: u64) {
        for order in [Order::Sentences, Order::Contiguous] {
            let Some((_folder, text)) = build(&files, order) else { return Ok(()) };
            let options = BatchOptions { shuffle, seed, ..options(batch, unroll, 3) };
            let Some(batches) = training(&text, &options) else { return Ok(()) };
            let all: Vec<Batch> = batches.map(Result::unwrap).collect();
            for (k, batch) in all.iter().enumerate() {
                // As a checkpoint stores it.
                let kept = serde_json::to_string(&batch.position).unwrap();
                let position: Position = serde_json::from_str(&kept).unwrap();
                let mut rest = Batches::resume(&text, &options, &position).unwrap();
                // Checks the next batches, and for some positions all of them.
                let checked = if k % 7 == 0 { all.len() } else { 3 };
                for expected in all[k + 1..].iter().take(checked) {
                    prop_assert_eq!(&rest.next().unwrap().unwrap(), expected);
                }
                if k + 1 + checked > all.len() {
                    prop_assert!(rest.next().is_none());
                }
            }
        }
    }

    #[test]
    fn a_shuffled_epoch_contains_every_sentence_once(lines in prop::collection::vec(1..200_usize, 1..5), seed: u64) {
        // Every sentence is one unique word.
        let mut files = Vec::new();
        let mut all = BTreeSet::new();
        for (k, &count) in lines.iter().enumerate() {
            let words: Vec<_> = (0..count).map(|line| format!("w{k}-{line}")).collect();
            files.push(words.join("\n\n"));
            all.extend(words);
        }
        let folder = Folder::new(&files);
        let text = folder.text(Order::Sentences);
        let options = BatchOptions { shuffle: true, seed, ..options(1, 2, 3) };
        let mut epochs: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for batch in Batches::training(&text, &options).unwrap() {
            let batch = batch.unwrap();
            let word = text.vocabulary().word(batch.targets[0]).to_owned();
            epochs.entry(batch.epoch).or_default().push(word);
        }
        prop_assert_eq!(epochs.len(), 3);
        for order in epochs.values() {
            prop_assert_eq!(order.len(), all.len());
            prop_assert_eq!(&order.iter().cloned().collect::<BTreeSet<_>>(), &all);
        }
        if all.len() > 20 {
            prop_assert_ne!(&epochs[&1], &epochs[&2]);
        }
    }

    #[test]
    fn vocabularies_match_the_counts_of_a_map(files in files(), size in 3..12_usize, min_count in 0..5_u64, on_disk: bool) {
        for order in [Order::Sentences, Order::Contiguous] {
            let folder = Folder::new(&files);
            let lines = lines_of(&files);
            let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
            for word in lines.iter().flatten() {
                *counts.entry(word).or_default() += 1;
            }
            let builder = VocabularyBuilder::new(order, TokenKind::Whitespace);
            let builder = if on_disk { builder.budget(0) } else { builder };
            let built = builder.size(size).min_count(min_count).build(&folder.corpus());
            if counts.is_empty() {
                prop_assert!(built.unwrap_err().to_string().contains("no word"));
                return Ok(());
            }
            let built = built.unwrap();
            let (mark, unknown, marks) = match order {
                Order::Sentences => ("<S>", "<UNK>", lines.iter().filter(|line| !line.is_empty()).count()),
                Order::Contiguous if counts.contains_key("<unk>") => ("<eos>", "<unk>", lines.len()),
                Order::Contiguous => ("<eos>", "<UNK>", lines.len()),
            };
            let mut unknowns = counts.remove(unknown).unwrap_or(0);
            let mut sorted: Vec<_> = counts.into_iter().collect();
            // A stable sort: words with the same count stay in byte order.
            sorted.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
            let kept = sorted.iter().filter(|word| word.1 >= min_count).count().min(size - 2);
            unknowns += sorted.drain(kept..).map(|word| word.1).sum::<u64>();
            sorted.extend([(mark, marks as u64), (unknown, unknowns)]);
            sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
            let expected: String = sorted.iter().map(|(word, count)| format!("{word} {count}\n")).collect();
            prop_assert_eq!(String::from_utf8(built.to_bytes()).unwrap(), expected);
            prop_assert_eq!(built.word(built.unknown()), unknown);
            prop_assert_eq!(built.word(built.mark()), mark);
        }
    }

    #[test]
    fn vocabulary_files_round_trip_any_token(text in "[\\PC \t\r\n]{1,200}") {
        let folder = Folder::new(&[&text]);
        for kind in [TokenKind::Characters, TokenKind::Words, TokenKind::Whitespace] {
            let Ok(built) = VocabularyBuilder::new(Order::Contiguous, kind).build(&folder.corpus()) else {
                return Ok(());
            };
            let path = folder.path().join("vocabulary");
            built.save(&path).unwrap();
            let loaded = Vocabulary::load(&path, Order::Contiguous).unwrap();
            prop_assert_eq!(loaded.to_bytes(), built.to_bytes());
            for id in 0..built.len() as u32 {
                prop_assert_eq!(loaded.get(built.word(id)), Some(id));
            }
            for line in text.split('\n') {
                for token in kind.split(line) {
                    prop_assert!(token == "\r" || loaded.get(token).is_some(), "{:?}", token);
                }
            }
        }
    }
}

#[test]
fn batches_of_a_small_text() {
    let folder = Folder::new(&["a b\nc\n", "d e f\n"]);
    let text = folder.text(Order::Sentences);
    let mut batches = Batches::training(&text, &options(2, 2, 0)).unwrap();
    let words = |ids: &[u32]| -> String {
        let words: Vec<_> = ids.iter().map(|&id| text.vocabulary().word(id)).collect();
        words.join(" ")
    };
    // Stream 0 takes `a b` and stream 1 takes `c`. Then stream 0 has the end of `a b` left and takes `d e f`.
    for (inputs, targets, reset, epoch) in [
        ("<S> <S> a c", "a c b <S>", true, 1),
        ("b <S> <S> a", "<S> a d b", false, 2),
    ] {
        let batch = batches.next().unwrap().unwrap();
        assert_eq!(
            (words(&batch.inputs), words(&batch.targets)),
            (inputs.to_owned(), targets.to_owned())
        );
        assert_eq!((batch.reset, batch.epoch, batch.words), (reset, epoch, 4));
    }
    let text = folder.text(Order::Contiguous);
    let batches = Batches::training(&text, &options(2, 2, 2)).unwrap();
    // Streams of four tokens: two pairs, then one.
    let found: Vec<_> = batches
        .map(|batch| batch.unwrap())
        .map(|batch| (batch.reset, batch.words))
        .collect();
    assert_eq!(found, [(true, 4), (false, 2), (true, 4), (false, 2)]);
}

#[test]
fn unknown_words_are_counted() {
    let folder = Folder::new(&["known strange <UNK> known\nnew\n"]);
    let vocabulary = b"known 2\n<UNK> 1\n<S> 1\n";
    let vocabulary = Vocabulary::from_bytes(vocabulary, Order::Sentences, "here").unwrap();
    let text = Text::new(
        Arc::new(folder.corpus()),
        Arc::new(vocabulary),
        TokenKind::Whitespace,
    );
    let batches: Vec<_> = Batches::evaluation(&text, 2, 3)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let sum = |count: fn(&Batch) -> usize| batches.iter().map(count).sum::<usize>();
    assert_eq!(sum(|batch| batch.words), 7);
    assert_eq!(sum(|batch| batch.unknown), 3);
}

#[test]
fn all_readers_report_invalid_utf8_with_its_line() {
    let mut file = "good line\n".repeat(40).into_bytes();
    file.extend_from_slice(b"a b\xe9d line\n");
    file.extend_from_slice("good line\n".repeat(40).as_bytes());
    let folder = Folder::new(&[b"good line\n".to_vec(), file]);
    let good = Folder::new(&["good line\n"]);
    for order in [Order::Sentences, Order::Contiguous] {
        for kind in [
            TokenKind::Whitespace,
            TokenKind::Words,
            TokenKind::Characters,
        ] {
            let builder = VocabularyBuilder::new(order, kind);
            let vocabulary = Arc::new(builder.build(&good.corpus()).unwrap());
            let text = Text::new(Arc::new(folder.corpus()), vocabulary, kind);
            let mut errors = vec![builder.build(text.corpus()).unwrap_err()];
            let all =
                |batches: Result<Batches>| batches.and_then(Iterator::collect::<Result<Vec<_>>>);
            errors.push(all(Batches::evaluation(&text, 3, 2)).unwrap_err());
            for shuffle in [false, true] {
                let options = BatchOptions {
                    shuffle,
                    ..options(2, 2, 1)
                };
                errors.push(all(Batches::training(&text, &options)).unwrap_err());
            }
            for error in errors {
                assert_eq!(error.kind(), Kind::Data);
                let message = error.to_string();
                assert!(
                    message.contains("part-01.txt:41: not UTF-8"),
                    "{kind:?} {message}"
                );
            }
        }
    }
}

#[test]
fn texts_without_words_or_too_short_are_refused() {
    let blank = Folder::new(&["\n \n\n"]);
    let corpus = blank.corpus();
    for order in [Order::Sentences, Order::Contiguous] {
        let built = VocabularyBuilder::new(order, TokenKind::Whitespace).build(&corpus);
        assert!(
            built
                .unwrap_err()
                .to_string()
                .contains("there is no word in")
        );
    }
    let vocabulary = Vocabulary::from_bytes(b"<S> 1\n<UNK> 0\n", Order::Sentences, "here").unwrap();
    let text = Text::new(
        Arc::new(corpus),
        Arc::new(vocabulary),
        TokenKind::Whitespace,
    );
    for batches in [
        Batches::evaluation(&text, 1, 1),
        Batches::training(&text, &options(1, 1, 0)),
    ] {
        assert!(
            batches
                .unwrap_err()
                .to_string()
                .contains("there is no sentence in")
        );
    }
    let short = Folder::new(&["one two\nthree\n"]);
    let refused = |order, batch, unroll| {
        let error = Batches::training(&short.text(order), &options(batch, unroll, 0)).unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        error.to_string()
    };
    let message = refused(Order::Sentences, 3, 1);
    assert!(
        message.contains(
            "shorter than a batch: 3 streams of 1 steps need more than the 2 sentences, 5 pairs"
        ),
        "{message}"
    );
    let message = refused(Order::Contiguous, 2, 2);
    assert!(
        message.contains("2 streams of 2 steps need more than the 5 tokens"),
        "{message}"
    );
    let line = Folder::new(&["\n"]);
    let vocabulary =
        Vocabulary::from_bytes(b"<eos> 1\n<UNK> 0\n", Order::Contiguous, "here").unwrap();
    let text = Text::new(
        Arc::new(line.corpus()),
        Arc::new(vocabulary),
        TokenKind::Whitespace,
    );
    assert!(
        Batches::evaluation(&text, 1, 1)
            .unwrap_err()
            .to_string()
            .contains("nothing to predict")
    );
}

#[test]
fn positions_that_do_not_fit_are_refused() {
    let folder = Folder::new(&["a b c d e f g h\ni j k l m n o p\n"]);
    for order in [Order::Sentences, Order::Contiguous] {
        let text = folder.text(order);
        let options = options(2, 2, 0);
        let position = Batches::training(&text, &options)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .position;
        let refused_as = |says: &str, change: &dyn Fn(&mut Position)| {
            let mut changed = position.clone();
            change(&mut changed);
            let error = Batches::resume(&text, &options, &changed).unwrap_err();
            assert_eq!(error.kind(), Kind::Data);
            assert!(error.to_string().contains(says), "{error}");
        };
        let refused = |change: &dyn Fn(&mut Position)| refused_as("data position", change);
        refused_as("not the training text of the run", &|position| {
            position.bytes += 1;
        });
        refused_as("not the same text", &|position| position.digest ^= 1);
        refused(&|position| position.batch = 1);
        refused(&|position| position.unroll = 3);
        refused(&|position| position.epoch = 0);
        match order {
            Order::Contiguous => refused(&|position| position.step = 99),
            Order::Sentences => {
                refused(&|position| position.rows.truncate(1));
                refused(&|position| position.rows[0].as_mut().unwrap().file = 1);
                refused(&|position| position.rows[0].as_mut().unwrap().line = 99);
                refused(&|position| position.rows[0].as_mut().unwrap().pairs = 99);
                // Positions beyond the end only end the epoch.
                let far = Position {
                    files: 9,
                    lines: u64::MAX,
                    ..position.clone()
                };
                assert!(
                    Batches::resume(&text, &options, &far)
                        .unwrap()
                        .next()
                        .unwrap()
                        .is_ok()
                );
            }
        }
    }
}

#[test]
fn one_very_long_line_is_streamed() {
    let words: Vec<_> = (0..400_000).map(|k| format!("w{}", k % 1000)).collect();
    let files = [words.join(" ")];
    for order in [Order::Sentences, Order::Contiguous] {
        let folder = Folder::new(&files);
        let text = folder.text(order);
        let count = |batch| -> usize {
            Batches::evaluation(&text, batch, 500)
                .unwrap()
                .map(|batch| batch.unwrap().words)
                .sum()
        };
        let expected = if order == Order::Sentences {
            400_001
        } else {
            400_000
        };
        assert_eq!(count(1), expected);
        assert_eq!(count(8), expected);
    }
}

#[test]
fn a_loader_returns_the_same_batches() {
    let folder = Folder::new(&["a b c\nd e\nf\n".repeat(30)]);
    let text = folder.text(Order::Sentences);
    let options = BatchOptions {
        shuffle: true,
        ..options(3, 4, 2)
    };
    let batches = || Batches::training(&text, &options).unwrap();
    let loader = Loader::spawn(batches(), |batch| batch).unwrap();
    let loaded: Vec<_> = loader.map(Result::unwrap).collect();
    assert!(loaded.len() > 20);
    assert_eq!(loaded, batches().map(Result::unwrap).collect::<Vec<_>>());
}

/// The first candidate has the distribution P(k), and an id is among the candidates with the frequency Q(k), up to the error of Q,
/// which treats the number of tries as fixed.
#[test]
fn candidates_have_the_documented_distribution() {
    let (vocabulary, samples, runs) = (50, 10, 40_000);
    let mut sampler = CandidateSampler::new(vocabulary, samples).unwrap();
    let mut first = vec![0.0; vocabulary];
    let mut present = vec![0.0; vocabulary];
    let mut expected = vec![0.0; vocabulary];
    for run in 0..runs {
        let drawn = sampler.draw(&mut Stream::new(11, Purpose::Candidates, run));
        first[drawn.ids[0] as usize] += 1.0;
        for id in drawn.ids {
            present[id as usize] += 1.0;
        }
        for (id, sum) in expected.iter_mut().enumerate() {
            *sum += sampler.log_expected_count(id as u32, drawn.tries).exp();
        }
    }
    let runs = runs as f64;
    for id in 0..vocabulary {
        let p = sampler.probability(id as u32);
        let deviation = (first[id] - runs * p).abs() / (runs * p * (1.0 - p)).sqrt();
        assert!(deviation < 5.0, "{id}: {deviation} standard deviations");
        // Q is an approximation: the number of tries depends on the ids that were drawn.
        let (found, expected): (f64, f64) = (present[id] / runs, expected[id] / runs);
        assert!((found - expected).abs() < 0.035, "{id}: {found} {expected}");
    }
    let ids: Vec<u32> = (0..vocabulary as u32).chain([IGNORE]).collect();
    let many = sampler.log_expected_counts(&ids, 17);
    assert_eq!(many[3], sampler.log_expected_count(3, 17));
    assert_eq!(many[vocabulary], 0.0);
}

#[test]
fn the_length_of_an_epoch_is_estimated_from_samples() {
    // 9 MB in two files, with longer lines in the second half.
    let files = [
        "some short words\n".repeat(200_000),
        "a longer line of words , twice as long\n".repeat(140_000),
    ];
    let folder = Folder::new(&files);
    let text = folder.text(Order::Sentences);
    let options = BatchOptions {
        shuffle: true,
        ..options(7, 11, 1)
    };
    let batches = Batches::training(&text, &options).unwrap();
    let estimate = batches.epoch_steps().unwrap() as f64;
    let ratio = batches.count() as f64 / estimate;
    assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
}

#[test]
fn bad_vocabulary_sizes_and_paths_are_refused() {
    let folder = Folder::new(&["a b\n"]);
    let builder = VocabularyBuilder::new(Order::Sentences, TokenKind::Whitespace);
    for size in [1, 2] {
        let error = builder.size(size).build(&folder.corpus()).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
    }
    let vocabulary = builder.size(3).build(&folder.corpus()).unwrap();
    assert_eq!(vocabulary.to_bytes(), b"<S> 1\n<UNK> 1\na 1\n");
    for path in [
        folder.path().to_owned(),
        folder.path().join("none/vocabulary.txt"),
    ] {
        let error = vocabulary.save(&path).unwrap_err();
        assert!(
            error.to_string().contains("cannot write the vocabulary"),
            "{error}"
        );
    }
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1, "no partial file is left");
}
