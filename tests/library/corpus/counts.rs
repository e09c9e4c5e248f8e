//! Counts, estimates and distributions.

use std::sync::Arc;

use wlstm::config::Normalization;
use wlstm::corpus::{
    Batch, BatchOptions, Batches, CandidateSampler, Corpus, IGNORE, Order, Text, TokenKind,
    Vocabulary,
};
use wlstm::error::Result;
use wlstm::random::{Purpose, Stream};

use super::tools::{Folder, options};

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

/// The first candidate has the distribution P(k), and an id is among the candidates with the frequency Q(k),
/// up to the error of Q, which treats the number of tries as fixed.
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

/// A large text that must be normalized is read from a temporary file, with the same result as the normalized text.
#[test]
fn a_text_is_normalized_when_it_is_opened() {
    let line = "Cafe\u{301} e\u{323}\u{302} x\n";
    let large = line.repeat((65 << 20) / line.len());
    let folder = Folder::new(&[&large]);
    let open = |form| Corpus::open_as(&[folder.path().join("*.txt")], form).unwrap();
    let normal = Folder::new(&[Normalization::Nfc.apply(&large).into_owned()]);
    let (raw, nfc) = (open(Normalization::None), open(Normalization::Nfc));
    assert_eq!(nfc.digest(), normal.corpus().digest());
    assert_ne!(nfc.digest(), raw.digest());
    assert_eq!(nfc.sources(), raw.sources());
    let bad = Folder::new(&[&b"e\xcc\x81\n\xff\n"[..]]);
    let error = Corpus::open_as(&[bad.path().join("*.txt")], Normalization::Nfc).unwrap_err();
    assert!(
        error.to_string().contains("part-00.txt:2: not UTF-8"),
        "{error}"
    );
}
