//! Run folders.

use std::collections::BTreeMap;
use std::path::Path;

use wlstm::checkpoint::{
    Dtype, Entry, RunFolder, RunRecord, SavedCheckpoint, Status, Which, find, run_name, write,
};

use super::tools::{names_in, refused, write_sample};

fn record(best: Option<SavedCheckpoint>) -> RunRecord {
    RunRecord {
        version: "0.1.0".into(),
        config: "shakespeare".into(),
        devices: vec!["cpu (2 threads)".into()],
        seed: u64::MAX,
        status: Status::Running,
        best,
        last: Some(SavedCheckpoint::new(12, Some(f64::INFINITY))),
    }
}

#[test]
fn an_existing_folder_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/run");
    let run = RunFolder::create(&path).unwrap();
    run.write_record(&record(None)).unwrap();
    run.write_config("[model]\n").unwrap();
    write_sample(&run.checkpoint_path(12)).unwrap();
    drop(run);
    let before = std::fs::read(path.join("run.json")).unwrap();
    refused(
        RunFolder::create(&path),
        &["already contains a run", "--resume", "--out"],
    );
    assert_eq!(std::fs::read(path.join("run.json")).unwrap(), before);
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    assert!(
        RunFolder::create(&other).is_ok(),
        "an empty folder is accepted"
    );
    let full = folder.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("thesis.txt"), "words").unwrap();
    refused(RunFolder::create(&full), &["is not empty", "--out"]);
    assert_eq!(names_in(&full), ["thesis.txt"]);
    refused(
        RunFolder::create(&full.join("thesis.txt")),
        &["is not a folder"],
    );
    refused(
        RunFolder::create(&full.join("thesis.txt/run")),
        &["cannot create the folder"],
    );
    refused(RunFolder::resume(&full), &["no run to resume"]);
    refused(
        RunFolder::resume(&folder.path().join("none")),
        &["no run to resume"],
    );
}

#[test]
fn runs_without_a_name_are_numbered() {
    let folder = tempfile::tempdir().unwrap();
    let name = run_name(Path::new("configs/shakespeare.toml"));
    let newest = || RunFolder::newest_numbered(folder.path(), &name).unwrap();
    assert_eq!(newest(), None);
    // A folder without a record is removed again.
    drop(RunFolder::reserve_numbered(folder.path(), &name).unwrap());
    assert_eq!(newest(), None);
    let runs = folder.path().join("runs");
    // Names that are not numbered folders of this configuration.
    for other in ["shakespeare-02", "shakespeare-x", "shakespeares", "other-7"] {
        std::fs::create_dir_all(runs.join(other)).unwrap();
    }
    for (expected, gone) in [
        ("shakespeare", None),
        ("shakespeare-2", None),
        ("shakespeare-3", Some("shakespeare")),
        // A gap is not filled: the newest run has the highest number.
        ("shakespeare-4", Some("shakespeare-3")),
    ] {
        let run = RunFolder::reserve_numbered(folder.path(), &name).unwrap();
        assert_eq!(run.path(), runs.join(expected));
        run.write_record(&record(None)).unwrap();
        assert_eq!(newest().as_deref(), Some(run.path()));
        if let Some(gone) = gone {
            std::fs::remove_dir_all(runs.join(gone)).unwrap();
        }
    }
}

#[test]
fn a_failed_start_leaves_a_usable_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("given");
    std::fs::create_dir(&path).unwrap();
    drop(RunFolder::create(&path).unwrap());
    assert!(names_in(&path).is_empty(), "an existing folder stays empty");
    // The files of a process that was killed before its first record.
    std::fs::write(path.join(".lock"), "").unwrap();
    std::fs::create_dir(path.join("checkpoints")).unwrap();
    let run = RunFolder::create(&path).unwrap();
    refused(
        RunFolder::create(&path),
        &["another process is training in"],
    );
    drop(run);
    // A folder with a checkpoint has a run, also without its record.
    std::fs::create_dir(path.join("checkpoints")).unwrap();
    std::fs::write(path.join("checkpoints/step-00000001.safetensors"), "x").unwrap();
    refused(RunFolder::create(&path), &["already contains a run"]);
}

#[test]
fn only_one_process_uses_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let run = RunFolder::create(&path).unwrap();
    run.write_record(&record(None)).unwrap();
    refused(
        RunFolder::resume(&path),
        &["another process is training in"],
    );
    drop(run);
    let run = RunFolder::resume(&path).unwrap();
    refused(
        RunFolder::resume(&path),
        &["another process is training in"],
    );
    drop(run);
}

#[test]
fn records_round_trip_and_partial_files_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let run = RunFolder::create(&path).unwrap();
    let written = record(Some(SavedCheckpoint::new(1000, Some(35.1))));
    run.write_record(&written).unwrap();
    assert_eq!(RunRecord::read(run.path()).unwrap(), written);
    assert_eq!(written.last.as_ref().unwrap().perplexity, None);
    assert_eq!(
        written.best.as_ref().unwrap().checkpoint,
        "checkpoints/step-00001000.safetensors"
    );
    write_sample(&run.checkpoint_path(7)).unwrap();
    drop(run);
    // A killed process leaves a temporary file with a random name.
    for folder in [path.clone(), path.join("checkpoints")] {
        std::fs::write(folder.join(".wlstm-partial-x8Gd2k"), "half").unwrap();
    }
    let run = RunFolder::resume(&path).unwrap();
    assert_eq!(names_in(&path), [".lock", "checkpoints", "run.json"]);
    assert_eq!(
        names_in(&path.join("checkpoints")),
        ["step-00000007.safetensors"]
    );
    std::fs::write(path.join("run.json"), "{\"version\": 3").unwrap();
    refused(RunRecord::read(run.path()), &["cannot read", "run.json"]);
}

#[test]
fn sweep_removes_the_temporary_file_of_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let one = [Entry::new("w", Dtype::U8, [0])];
    let mut during = Vec::new();
    write(&folder.path().join("a"), &one, &BTreeMap::new(), |_, _| {
        during = names_in(folder.path());
        Ok(())
    })
    .unwrap();
    assert_eq!(during.len(), 1);
    std::fs::write(folder.path().join(&during[0]), "half").unwrap();
    assert_eq!(
        wlstm::files::sweep(folder.path()).unwrap(),
        [folder.path().join(&during[0])]
    );
    assert_eq!(names_in(folder.path()), ["a"]);
}

#[test]
fn pruning_keeps_the_newest_and_given_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run")).unwrap();
    for step in [5, 100_000_000, 20, 10, 15] {
        write_sample(&run.checkpoint_path(step)).unwrap();
    }
    let checkpoints = run.path().join("checkpoints");
    for stranger in ["notes.txt", "step-7.safetensors", "step-x.safetensors"] {
        std::fs::write(checkpoints.join(stranger), "").unwrap();
    }
    assert_eq!(run.steps().unwrap(), [5, 10, 15, 20, 100_000_000]);
    assert!(run.prune(9, &[]).unwrap().is_empty());
    assert_eq!(run.prune(2, &[Some(10), None]).unwrap(), [5, 15]);
    assert_eq!(run.steps().unwrap(), [10, 20, 100_000_000]);
    assert_eq!(run.prune(2, &[Some(20)]).unwrap(), [10]);
    assert!(
        checkpoints.join("notes.txt").exists() && checkpoints.join("step-7.safetensors").exists()
    );
}

#[test]
fn a_checkpoint_is_found_by_its_path_or_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    refused(find(&path, Which::Best), &["no run and no checkpoint"]);
    let run = RunFolder::create(&path).unwrap();
    refused(find(&path, Which::Best), &["no checkpoint in"]);
    refused(find(folder.path(), Which::Last), &["no checkpoint in"]);
    for step in [10, 20, 30] {
        write_sample(&run.checkpoint_path(step)).unwrap();
    }
    let found = |which| find(&path, which).unwrap().checkpoint;
    assert_eq!(
        found(Which::Best),
        run.checkpoint_path(30),
        "no best checkpoint is recorded"
    );
    run.write_record(&record(Some(SavedCheckpoint::new(20, Some(9.0)))))
        .unwrap();
    assert_eq!(found(Which::Best), run.checkpoint_path(20));
    assert_eq!(found(Which::Last), run.checkpoint_path(30));
    let one = find(&run.checkpoint_path(10), Which::Best).unwrap();
    assert_eq!((one.checkpoint, one.run), (run.checkpoint_path(10), None));
    std::fs::remove_file(run.checkpoint_path(20)).unwrap();
    assert_eq!(found(Which::Best), run.checkpoint_path(30));
    std::fs::write(path.join("run.json"), "").unwrap();
    refused(find(&path, Which::Best), &["run.json"]);
}
