use std::path::Path;

use super::key::{Key, Resume};
use super::reference::reference;
use super::resolved::{Config, ENTRIES, keys};

/// Configurations in which every key has an effect in at least one.
const BASES: [&[&str]; 5] = [
    &["model.cell=lstmp", "model.embedding=1024"],
    &["model.cell=flstm"],
    &["model.cell=glstm"],
    &["train.schedule=cosine", "data.vocab=words.txt"],
    &["train.schedule=exponential", "softmax.kind=full"],
];

fn parse(base: &[&str], more: Option<String>) -> crate::error::Result<Config> {
    let first = ["data.train=a.txt", "data.valid=v.txt"];
    let sets = first.iter().chain(base).map(|set| set.to_string());
    let sets: Vec<String> = sets.chain(more).collect();
    Config::parse("", "test.toml", Path::new("/base"), &sets)
}

/// A configuration in which a key is written, and others in which it has another allowed value.
fn changes(key: &Key) -> (Config, Vec<Config>) {
    let entry = ENTRIES
        .iter()
        .find(|entry| entry.key.path() == key.path())
        .expect("an entry of the key");
    let mut candidates: Vec<String> = key
        .values
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    let plain = "true false 0 0.25 0.5 1 2 3 4 16 512 8192 \"b.txt\"";
    candidates.extend(plain.split(' ').map(str::to_owned));
    for base in BASES {
        let before = parse(base, None).expect("a base that parses");
        if entry.value(&before).is_none() && key.path() != "data.vocab" {
            continue;
        }
        let changed = candidates
            .iter()
            .filter_map(|value| parse(base, Some(format!("{}={value}", key.path()))).ok())
            .filter(|config| entry.value(config) != entry.value(&before));
        return (before.clone(), changed.collect());
    }
    panic!("no base has `{}`", key.path());
}

#[test]
fn every_key_can_change_and_is_written() {
    for key in keys() {
        let (before, changed) = changes(key);
        assert!(!changed.is_empty(), "{}", key.path());
        for now in changed {
            assert_ne!(now, before, "{}", key.path());
            assert_ne!(now.digest(), before.digest(), "{}", key.path());
            let again = Config::parse(&now.to_toml(), "again", Path::new("/elsewhere"), &[]);
            assert_eq!(again.expect("its own text"), now, "{}", key.path());
        }
    }
}

#[test]
fn keys_that_must_stay_are_refused_on_resume_and_no_others() {
    for key in keys() {
        let (before, changed) = changes(key);
        assert!(before.resume_conflicts(&before).is_empty());
        for now in changed {
            let conflicts = now.resume_conflicts(&before);
            let named = format!("`{}`", key.path());
            let is_named = conflicts
                .iter()
                .any(|conflict| conflict.starts_with(&named));
            assert_eq!(
                is_named,
                key.resume == Resume::MustStay,
                "{named}: {conflicts:?}"
            );
            if key.resume != Resume::MustStay {
                assert!(conflicts.is_empty(), "{named}: {conflicts:?}");
            }
        }
    }
}

#[test]
fn a_built_vocabulary_with_a_minimum_is_not_that_of_a_file() {
    let before = parse(&["data.min_count=3"], None).expect("a configuration");
    let now = parse(&["data.vocab=words.txt"], None).expect("a configuration");
    assert_eq!(
        now.resume_conflicts(&before),
        ["`data.min_count` was 3 and is 1"]
    );
    assert_eq!(
        before.resume_conflicts(&now),
        ["`data.min_count` was 1 and is 3"]
    );
    let all = parse(&[], None).expect("a configuration");
    assert!(now.resume_conflicts(&all).is_empty());
}

#[test]
fn the_reference_has_every_key_and_is_a_configuration() {
    let text = reference();
    for key in keys() {
        let line = format!("\n{} = {}", key.name, key.default);
        assert!(text.contains(&line), "{}", key.path());
        assert!(!key.doc.is_empty(), "{}", key.path());
        for (name, doc) in &key.values {
            assert!(!doc.is_empty(), "{}: {name}", key.path());
        }
    }
    let train = ["data.train=a.txt".to_owned()];
    let folder = Path::new("/base");
    assert_eq!(
        Config::parse(&text, "reference", folder, &train).expect("a configuration"),
        Config::parse("", "nothing", folder, &train).expect("the defaults")
    );
    assert!(text.lines().all(|line| line.chars().count() <= 100));
}
