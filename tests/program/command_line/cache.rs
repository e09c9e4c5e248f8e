//! The token cache, which runs of the program share.

use std::path::{Path, PathBuf};

use predicates::prelude::*;
use serde_json::Value;

use super::tools::{Tiny, metrics, text};

/// A text that is large enough to be cached, and a configuration.
fn large() -> Tiny {
    let tiny = Tiny::new("sentences");
    let text = text(4, 110_000);
    assert!(text.len() > 2 << 20);
    tiny.write("train.txt", text);
    tiny
}

/// The arguments of a training of some steps.
fn line<'a>(out: &'a str, steps: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let line = ["train", "tiny.toml", "--out", out, "--device", "cpu"];
    [&line[..], &["--steps", steps], more].concat()
}

fn train(tiny: &Tiny, cache: impl AsRef<Path>, line: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = tiny.wlstm();
    command.env("WLSTM_CACHE", cache.as_ref());
    command.args(line).assert()
}

fn losses(tiny: &Tiny, out: &str) -> Vec<Value> {
    let steps = metrics(&tiny.path(out), "step");
    let mut losses: Vec<_> = steps
        .iter()
        .map(|step| (step["step"].as_u64(), step["loss"].clone()))
        .collect();
    losses.sort_by_key(|(step, _)| *step);
    losses.into_iter().map(|(_, loss)| loss).collect()
}

/// The files of tokens in a cache.
fn tokens(cache: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(cache.join("tokens")) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "tokens"))
        .collect()
}

#[test]
fn runs_have_the_same_bits_with_and_without_it() {
    let tiny = large();
    let cache = tiny.path("cache");
    train(&tiny, "", &line("text", "20", &[])).success();
    assert!(tokens(&cache).is_empty());
    train(&tiny, &cache, &line("cached", "20", &[])).success();
    let files = tokens(&cache);
    assert_eq!(files.len(), 1);
    let made = std::fs::read(&files[0]).unwrap();
    train(&tiny, &cache, &line("again", "20", &[])).success();
    assert_eq!(tokens(&cache), files);
    assert_eq!(std::fs::read(&files[0]).unwrap(), made);
    let expected = losses(&tiny, "text");
    assert_eq!(expected.len(), 20);
    assert_eq!(losses(&tiny, "cached"), expected);
    assert_eq!(losses(&tiny, "again"), expected);
    // A run with the cache resumes one without, and the reverse.
    for (out, first, then) in [
        ("one", Path::new(""), &*cache),
        ("two", &cache, Path::new("")),
    ] {
        train(&tiny, first, &line(out, "8", &[])).success();
        train(&tiny, then, &line(out, "20", &["--resume"])).success();
        assert_eq!(losses(&tiny, out), expected, "{out}");
    }
    // Not after a change of the text that keeps its length.
    let mut text = std::fs::read(tiny.path("train.txt")).unwrap();
    let place = text.len() / 3;
    text[place..place + 2].copy_from_slice(b"zz");
    tiny.write("train.txt", text);
    for cache in [Path::new(""), &cache] {
        let failed = train(&tiny, cache, &line("one", "30", &["--resume"])).code(3);
        failed.stderr(predicate::str::contains("is not the same text"));
    }
}

#[test]
fn unwritable_folders_are_a_warning() {
    let tiny = large();
    tiny.write("file", "");
    let output = train(&tiny, tiny.path("file"), &line("run", "2", &[])).success();
    output.stderr(predicate::str::contains("are not cached"));
}

#[test]
fn runs_at_the_same_time_share_it() {
    let tiny = large();
    let cache = tiny.path("cache");
    let start = |out| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wlstm"));
        command.env("WLSTM_CACHE", &cache).args(line(out, "5", &[]));
        command.current_dir(tiny.path("."));
        command.spawn().unwrap()
    };
    for child in ["a", "b", "c"].map(start) {
        assert!({ child }.wait().unwrap().success());
    }
    assert_eq!(losses(&tiny, "a"), losses(&tiny, "b"));
    assert_eq!(losses(&tiny, "a"), losses(&tiny, "c"));
    assert_eq!(tokens(&cache).len(), 1);
    let entries = std::fs::read_dir(cache.join("tokens")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let rest: Vec<String> = names.filter(|name| !name.ends_with(".tokens")).collect();
    assert!(rest.iter().all(|name| name == "digests.json"), "{rest:?}");
}

/// A bad disk or another program has changed tokens, and all of them are valid ids.
#[test]
fn damaged_tokens_are_built_again() {
    let tiny = large();
    let cache = tiny.path("cache");
    train(&tiny, &cache, &line("before", "20", &[])).success();
    let files = tokens(&cache);
    let good = std::fs::read(&files[0]).unwrap();
    let mut damaged = good.clone();
    damaged[1000..801_000].fill(0);
    std::fs::write(&files[0], damaged).unwrap();
    let output = train(&tiny, &cache, &line("after", "20", &[])).success();
    let errors = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    let told = errors.matches("they are built again from the text").count();
    assert_eq!(told, 1, "{errors}");
    assert_eq!(losses(&tiny, "after"), losses(&tiny, "before"));
    assert_eq!(std::fs::read(&files[0]).unwrap(), good);
    let output = train(&tiny, &cache, &line("again", "2", &[])).success();
    output.stderr(predicate::str::contains("built again").not());
}
