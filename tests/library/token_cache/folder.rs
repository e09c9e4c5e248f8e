//! The folder of the cache.

use std::fs;
use std::sync::Arc;

use wlstm::corpus::{Batches, Order, Text, TokenCache, TokenKind, VocabularyBuilder};
use wlstm::error::Kind;

use super::tools::{TestCorpus, age, all, open, options};

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
        let (text, parsed) = open(&test.cache(), test.corpus(), &words);
        assert_eq!(parsed, whole, "{damage}");
        let found = all(Batches::training(&text, &options(2, 3, 1))).unwrap();
        assert_eq!(found, expected, "{damage}");
    }
    // Without verification, as of large texts, an invalid id is an error when it is read.
    for name in test.names(".tokens") {
        let path = test.tokens().join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[..4].fill(0x77);
        fs::write(path, bytes).unwrap();
    }
    let cache = test.cache().verify_up_to(0);
    let (text, parsed) = open(&cache, test.corpus(), &words);
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
