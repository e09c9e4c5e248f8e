use std::path::Path;

use super::key::{Key, Resume};
use super::reference::reference;
use super::resolved::{Config, ENTRIES, keys};

/// A configuration with overrides.
fn parse<S: AsRef<str>>(sets: &[S]) -> crate::error::Result<Config> {
    let first = ["data.train=a.txt", "data.valid=v.txt"].into_iter();
    let sets = first.chain(sets.iter().map(AsRef::as_ref));
    let sets: Vec<String> = sets.map(str::to_owned).collect();
    Config::parse("", "test.toml", Path::new("/base"), &sets)
}

#[test]
fn paths_are_absolute_for_every_folder() {
    let here = std::env::current_dir().expect("a working directory");
    let file = here.join("Cargo.toml").canonicalize().expect("a file");
    for (folder, path) in [
        ("", "Cargo.toml"),
        (".", "Cargo.toml"),
        ("src", "../Cargo.toml"),
        ("src/config/..", "../Cargo.toml"),
    ] {
        let text = format!("[data]\ntrain = [\"{path}\"]\n");
        let config = Config::parse(&text, "test.toml", Path::new(folder), &[]);
        let config = config.expect("a configuration");
        let found = &config.data.train[0];
        assert!(found.is_absolute(), "{}", found.display());
        assert_eq!(found.canonicalize().expect("a file"), file, "{folder}");
        let again = Config::parse(&config.to_toml(), "again", Path::new("/elsewhere"), &[]);
        assert_eq!(again.expect("a configuration"), config, "{folder}");
    }
}

/// The defaults, then each value that has a name, then no validation text: every key has an effect with one of these overrides.
fn bases() -> impl Iterator<Item = Vec<String>> {
    let named = keys().flat_map(|key| {
        let path = key.path();
        let values = key.values.iter();
        values.map(move |(name, _)| vec![format!("{path}={name}")])
    });
    let no_text = vec!["data.valid=[]".to_owned()];
    std::iter::once(Vec::new()).chain(named).chain([no_text])
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
    for base in bases() {
        // Some values need others with them, such as a full softmax with tables on the host.
        let Ok(before) = parse(&base) else { continue };
        let with = |value: &String| [&base[..], &[format!("{}={value}", key.path())]].concat();
        let changed: Vec<Config> = candidates
            .iter()
            .filter_map(|value| parse(&with(value)).ok())
            .filter(|config| entry.value(config) != entry.value(&before))
            .collect();
        if !changed.is_empty() {
            return (before, changed);
        }
    }
    panic!("`{}` has one value with every override", key.path());
}

#[test]
fn every_key_can_change_and_is_written() {
    for key in keys() {
        let (before, changed) = changes(key);
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
    let before = parse(&["data.min_count=3"]).expect("a configuration");
    let now = parse(&["data.vocab=words.txt"]).expect("a configuration");
    assert_eq!(
        now.resume_conflicts(&before),
        ["`data.min_count` was 3 and is 1"]
    );
    assert_eq!(
        before.resume_conflicts(&now),
        ["`data.min_count` was 1 and is 3"]
    );
    let all = parse::<&str>(&[]).expect("a configuration");
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

#[test]
fn a_narrow_model_has_no_adaptive_softmax() {
    let parsed = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let text =
            "[model]\nprojection = 16\n[softmax]\nkind = \"adaptive\"\n[data]\ntrain = [\"x\"]\n";
        Config::parse(text, "test", &std::env::temp_dir(), &sets)
    };
    for (sets, is_right) in [
        (&["softmax.divide=16"][..], true),
        (&["softmax.divide=17"], false),
        (&["softmax.cutoffs=[3, 5]"], true),
        (&["softmax.cutoffs=[3, 5, 7]"], false),
    ] {
        assert_eq!(parsed(sets).is_ok(), is_right, "{sets:?}");
    }
}
