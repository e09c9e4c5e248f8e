//! Texts, positions and vocabularies that cannot be used.

use std::fs;
use std::sync::Arc;

use wlstm::corpus::{
    BatchOptions, Batches, Corpus, Order, Position, Text, TokenCache, TokenKind, Vocabulary,
    VocabularyBuilder,
};
use wlstm::error::{Kind, Result};

use super::tools::{Folder, options};

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

/// A large text is mapped. Reading a part that was truncated would end the process.
#[cfg(unix)]
#[test]
fn a_large_text_that_is_shortened_is_an_error() {
    for order in [Order::Sentences, Order::Contiguous] {
        let large = Folder::new(&["a b c d e f g\n".repeat(5 << 20)]);
        let text = large.text(order);
        let mut batches = Batches::training(&text, &options(2, 4, 1)).unwrap();
        assert!(batches.next().unwrap().is_ok());
        let file = fs::File::options()
            .write(true)
            .open(large.path().join("part-00.txt"));
        file.unwrap().set_len(100).unwrap();
        let error = batches.next().unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        assert!(error.to_string().contains("was truncated"), "{error}");
        assert!(batches.next().is_none());
    }
}

#[cfg(unix)]
#[test]
fn a_shortened_text_is_an_error_where_it_is_counted_parsed_or_evaluated() {
    let large = Folder::new(&["a b c d e f g\n".repeat(5 << 20)]);
    let corpora: [_; 2] = std::array::from_fn(|_| {
        let corpus = Corpus::open(&[large.path().join("part-00.txt")]);
        Arc::new(corpus.unwrap())
    });
    let text = large.text(Order::Sentences);
    let file = fs::File::options()
        .write(true)
        .open(large.path().join("part-00.txt"));
    file.unwrap().set_len(100).unwrap();
    let words = VocabularyBuilder::new(Order::Sentences, TokenKind::Whitespace);
    let counted = words.build(&corpora[0]).map(drop);
    let cache = TokenCache::in_folder(large.path().join("cache"));
    let words = Arc::new(text.vocabulary().clone());
    let parsed = cache.open(corpora[1].clone(), words, TokenKind::Whitespace, &|_, _| {});
    let evaluated =
        parsed.and_then(|text| Batches::evaluation(&text, 2, 4)?.collect::<Result<Vec<_>>>());
    for result in [counted, evaluated.map(drop)] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        assert!(error.to_string().contains("was truncated"), "{error}");
    }
}
