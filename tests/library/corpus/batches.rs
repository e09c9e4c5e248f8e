//! Batches of both orders equal those of the naive implementations.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use wlstm::corpus::{
    Batch, BatchOptions, Batches, IGNORE, Loader, Order, Position, TokenKind, Vocabulary,
    VocabularyBuilder,
};
use wlstm::error::Result;

use super::naive::{
    grids, lines_of, naive_contiguous, naive_evaluation, naive_sentences, sentence_pairs, sequence,
};
use super::tools::{Folder, build, files, options, training};

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
    fn vocabulary_files_round_trip_any_token(text in "([\\PC \t\n]|\r\n){1,200}") {
        // A text whose lines end in a carriage return without a line feed is refused.
        let text = text + "\n";
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
