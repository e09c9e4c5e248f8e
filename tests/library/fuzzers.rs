//! Runs the functions of the fuzzers in `tests/fuzz` on their seed inputs and on regression inputs.

use std::panic::catch_unwind;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::common::dice::Dice;
use crate::common::hostile::mutate::{mutate, mutate_lines};
use crate::common::hostile::{READERS, checkpoint};

/// Held while files in the scratch folder of the readers are in use: another test would change them.
static SCRATCH: Mutex<()> = Mutex::new(());

fn scratch_lock() -> MutexGuard<'static, ()> {
    SCRATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The seed inputs of the fuzzers, and inputs that once failed. They are only in the repository: a published crate contains no
/// folders of other crates.
#[test]
fn inputs_of_the_fuzzers() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    if !fuzz.is_dir() {
        return;
    }
    let _lock = scratch_lock();
    for (name, read) in READERS {
        let entries =
            std::fs::read_dir(fuzz.join("corpus").join(name)).expect("a folder of inputs");
        let paths: Vec<_> = entries
            .map(|entry| entry.expect("an input").path())
            .collect();
        assert!(!paths.is_empty(), "no inputs for `{name}`");
        for path in paths {
            let bytes = std::fs::read(&path).expect("an input");
            let done = catch_unwind(|| read(&bytes));
            assert!(done.is_ok(), "see above: {}", path.display());
        }
    }
}

/// Repeated mutations, as in the fuzzers, do not panic on any input.
#[test]
fn changes_of_changes() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let mut bytes = checkpoint::valid()[seed as usize % 3].clone();
        for _ in 0..30 {
            bytes = mutate(&bytes, &mut dice);
            bytes.truncate(1 << 16);
        }
        let _ = mutate_lines(&bytes, &mut dice);
    }
    mutate(&[], &mut Dice(1));
}

/// Valid checkpoints pass all uses that are tried with hostile ones.
#[test]
fn unchanged_checkpoints_can_be_used() {
    let _lock = scratch_lock();
    for bytes in checkpoint::valid() {
        checkpoint::read_valid(bytes);
    }
}
