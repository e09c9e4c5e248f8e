//! Evaluations on a subset of the targets sample them from the whole text.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;
use wlstm::corpus::{Batch, Batches, IGNORE, Order, Text};

use super::tools::{Folder, build, files};

/// A text of unique words, ten per line.
fn unique_words(order: Order, words: usize) -> (Folder, Text) {
    let words: Vec<String> = (0..words).map(|k| format!("w{k:06}")).collect();
    let lines: Vec<String> = words.chunks(10).map(|line| line.join(" ")).collect();
    let (first, second) = lines.split_at(lines.len() / 3);
    let folder = Folder::new(&[first.join("\n"), second.join("\n")]);
    let text = folder.text(order);
    (folder, text)
}

fn batches(text: &Text, batch: usize, unroll: usize, targets: u64) -> Vec<Batch> {
    let batches = Batches::spread(text, batch, unroll, targets).unwrap();
    batches.map(Result::unwrap).collect()
}

/// The numbers of the words among the targets. Line ends have none.
fn numbers(text: &Text, batches: &[Batch]) -> Vec<usize> {
    let targets = batches.iter().flat_map(|batch| &batch.targets);
    let words = targets.filter(|target| **target != IGNORE);
    let number = |&id: &u32| text.vocabulary().word(id).strip_prefix('w')?.parse().ok();
    words.filter_map(number).collect()
}

#[test]
fn targets_come_from_the_whole_text() {
    const WORDS: usize = 50_000;
    for order in [Order::Sentences, Order::Contiguous] {
        let (_folder, text) = unique_words(order, WORDS);
        for (batch, unroll, targets) in [(4, 20, 2_000), (1, 64, 3_000), (32, 20, 8_000)] {
            let found = batches(&text, batch, unroll, targets);
            let what = format!("{order:?}, {batch} streams, {targets} targets");
            let numbers = numbers(&text, &found);
            let distinct: BTreeSet<usize> = numbers.iter().copied().collect();
            assert_eq!(
                distinct.len(),
                numbers.len(),
                "{what}: a target counts once"
            );
            // Each tenth of the text has about a tenth of the targets.
            for tenth in 0..10 {
                let part = tenth * WORDS / 10..(tenth + 1) * WORDS / 10;
                let count = distinct.range(part).count() as f64;
                let share = count / numbers.len() as f64;
                assert!((0.06..0.14).contains(&share), "{what}: {tenth}: {share}");
            }
            assert_eq!(batches(&text, batch, unroll, targets), found, "{what}");
        }
    }
}

/// Each word and each line end has the bytes from the end of the previous token. Words are unique, so the expected bytes of a word
/// are found in the text.
#[test]
fn sampled_targets_have_their_bytes() {
    // Words of several lengths in bytes, with different white space before them.
    let word = |k: usize| format!("{}{k:05}", ["w", "wé", "w€€", ""][k % 4]);
    let space = |k: usize| [" ", "  ", "\t", "\u{a0}", "\u{3000} "][k % 5];
    let (mut text, mut expected) = (String::new(), HashMap::new());
    for k in 0..20_000 {
        let before = match k % 9 {
            0 => ["", "\n", " \n \r\n", ""][k % 4].to_owned() + space(k / 9),
            _ => space(k).to_owned(),
        };
        // Blank lines are not part of the line after them.
        let (_, own) = before.rsplit_once('\n').unwrap_or(("", &before));
        expected.insert(word(k), own.len() + word(k).len());
        text += &(before + &word(k));
        text += if k % 9 == 8 { " \r\n" } else { "" };
    }
    let folder = Folder::new(&[text + "\n"]);
    for order in [Order::Sentences, Order::Contiguous] {
        let text = folder.text(order);
        for (batch, unroll, targets) in [(4, 20, 2_000), (1, 64, 3_000), (7, 11, 5_001)] {
            let mut words = 0;
            for batch in batches(&text, batch, unroll, targets) {
                assert_eq!(batch.bytes.len(), batch.targets.len());
                for (id, bytes) in batch.targets.iter().zip(&batch.bytes) {
                    match (*id != IGNORE).then(|| text.vocabulary().word(*id)) {
                        None => assert_eq!(*bytes, 0),
                        Some(word) => match expected.get(word) {
                            Some(expected) => {
                                words += 1;
                                assert_eq!(*bytes, *expected as u64, "{order:?} {word}");
                            }
                            // A line end: "\n", " \n", " \r\n" or "\r\n".
                            None => assert!((1..=3).contains(bytes), "{order:?} {word} {bytes}"),
                        },
                    }
                }
            }
            assert!(words > targets * 3 / 4, "{words} of {targets}");
        }
    }
}

/// In contiguous order the model reads 64 tokens before a window.
#[test]
fn windows_have_context() {
    let (_folder, text) = unique_words(Order::Contiguous, 50_000);
    let found = batches(&text, 4, 16, 4_096);
    let resets = found.iter().filter(|batch| batch.reset).count();
    assert_eq!(
        resets, 8,
        "4096 targets in 4 streams are 8 windows of 128 each"
    );
    let counted: usize = found.iter().map(|batch| batch.words).sum();
    assert_eq!(counted, 4_096);
    assert_eq!(found.len(), 8 * (64 + 128) / 16);
    // Stream 0 begins at the start of the text, where there is no context, the others after 64 tokens.
    for (t, row) in found[0].targets.chunks(4).enumerate() {
        assert!(
            row[0] != IGNORE && row[1..].iter().all(|target| *target == IGNORE),
            "{t}"
        );
    }
    let first = &found[64 / 16];
    assert!(first.targets[1..4].iter().all(|target| *target != IGNORE));
    // The input before the first target of stream 1 is the token before it.
    let word = |id: u32| text.vocabulary().word(id).to_owned();
    let (input, target) = (word(first.inputs[1]), word(first.targets[1]));
    let is_next = input == "<eos>" || target == "<eos>" || input < target;
    assert!(is_next, "{input} {target}");
}

/// The bytes of all targets: without blank lines, or without the first token.
fn bytes_of_targets(files: &[String], order: Order) -> usize {
    let is_blank = |line: &&str| line.trim().is_empty();
    let lines = || files.iter().flat_map(|file| file.split_inclusive('\n'));
    match order {
        Order::Sentences => lines().filter(|line| !is_blank(line)).map(str::len).sum(),
        Order::Contiguous => {
            let first = lines().next().unwrap();
            let word = first.trim_start();
            let given = match word.split(char::is_whitespace).next() {
                Some(token) if !token.is_empty() => first.len() - word.len() + token.len(),
                _ => first.len(),
            };
            files.iter().map(String::len).sum::<usize>() - given
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn as_many_targets_as_asked_or_all(files in files(), batch in 1..5_usize, unroll in 1..8_usize, share in 0.0..1.5_f64) {
        for order in [Order::Sentences, Order::Contiguous] {
            let Some((_folder, text)) = build(&files, order) else { return Ok(()) };
            let Ok(whole) = Batches::evaluation(&text, batch, unroll) else { continue };
            let whole: Vec<Batch> = whole.map(Result::unwrap).collect();
            let all: usize = whole.iter().map(|batch| batch.words).sum();
            prop_assert_eq!(text.targets().unwrap(), all as u64);
            let bytes = bytes_of_targets(&files, order) as u64;
            prop_assert_eq!(text.target_bytes().unwrap(), bytes);
            let targets = (share * all as f64) as u64;
            let found = batches(&text, batch, unroll, targets);
            let counted: usize = found.iter().map(|batch| batch.words).sum();
            let sampled: u64 = found.iter().flat_map(|batch| &batch.bytes).sum();
            prop_assert!(sampled <= bytes);
            if targets == 0 || targets >= all as u64 {
                // All targets, by the same batches as without a limit.
                prop_assert_eq!(found, whole);
            } else if order == Order::Contiguous {
                prop_assert_eq!(counted as u64, targets);
            } else {
                // Sentences are evaluated as a whole, so the last one can exceed the number of targets.
                prop_assert!(counted as u64 >= targets);
            }
        }
    }
}
