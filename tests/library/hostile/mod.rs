//! Untrusted files: a valid checkpoint is changed in one or more places, and every way to open it is tried. None may panic, and
//! none may accept an inconsistent file.
//!
//! `WLSTM_MUTATIONS=N` sets the number of files, `WLSTM_MUTATIONS_SEED=S` the seed. A failure prints both the seed of the file
//! and the changes. `WLSTM_MUTATIONS=1 WLSTM_MUTATIONS_SEED=S` reproduces it.

mod expected;
mod file;
mod mutate;
mod open;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::file::HostileFile;
use self::mutate::mutate;
use self::open::{Bench, Opened};
use crate::common::dice::Dice;

/// The default number of files.
const FILES: u64 = 1500;

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn changed_checkpoints_are_refused_or_consistent() {
    let bench = Bench::new();
    let (files, seed) = (
        setting("WLSTM_MUTATIONS", FILES),
        setting("WLSTM_MUTATIONS_SEED", 1),
    );
    let (mut opened, mut failed) = (0_u64, Vec::new());
    for seed in seed..seed + files {
        let mut dice = Dice(seed);
        let which = dice.below(bench.samples());
        let mut file = bench.sample(which).clone();
        let mut changes = Vec::new();
        for _ in 0..1 + dice.below(2) {
            changes.push(mutate(&mut file, &mut dice));
        }
        let tried = catch_unwind(AssertUnwindSafe(|| bench.try_all(&file, which, seed)));
        match tried {
            Ok(Opened { as_model: true }) => {
                opened += 1;
                if let Err(what) = expected::check(&file) {
                    failed.push(format!("seed {seed}: {changes:?} was accepted: {what}"));
                }
            }
            Ok(_) => {}
            Err(panic) => {
                let text = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                failed.push(format!(
                    "seed {seed}: {changes:?} panicked: {}",
                    text.unwrap_or_default()
                ));
            }
        }
        if failed.len() >= 20 {
            break;
        }
    }
    assert!(
        failed.is_empty(),
        "{} failed\n{}",
        failed.len(),
        failed.join("\n")
    );
    // Files stay valid after changes of values, and of keys that do not affect shapes.
    assert!(opened > files / 20, "only {opened} of {files} opened");
}

/// The original files are valid. A file with a configuration of other sizes is refused by every way to open it, and by the
/// check of accepted files.
#[test]
fn the_samples_are_valid() {
    let bench = Bench::new();
    for k in 0..bench.samples() {
        let file: &HostileFile = bench.sample(k);
        expected::check(file).expect("a consistent sample");
        assert!(bench.try_all(file, k, 0).as_model, "sample {k}");
        let mut wrong = file.clone();
        let config = wrong.metadata["config"].as_str().expect("a text");
        let wider = config.replace("\nhidden = 8\n", "\nhidden = 16\n");
        assert_ne!(config, wider);
        wrong.metadata.insert("config".to_owned(), wider.into());
        expected::check(&wrong).expect_err("other sizes");
        assert!(!bench.try_all(&wrong, k, 0).as_model, "sample {k}");
    }
}
