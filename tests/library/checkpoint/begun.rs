//! Folders that a killed or failed process has left, and folders from untrusted sources.

use std::fs;
use std::path::Path;

use wlstm::checkpoint::{REPORT_MARK, RunFolder, RunRecord, has_run, lock_folder};
use wlstm::config::WRITTEN;
use wlstm::files::sweep;
use wlstm::metrics::{Writer, read};

use super::tools::{names_in, refused, write_sample};

const START: &str = "{\"kind\":\"start\",\"version\":\"0.1.0\"}\n";

const STEP: &str = "{\"kind\":\"step\",\"step\":1}\n";

const RECORD: &str = "{\"version\":\"0.1.0\",\"config\":\"x\",\"devices\":[],\"seed\":1,\"status\":\"running\",\"best\":null,\"last\":null}";

/// Files that a run can have written before its first step: name and content.
const LEFT: [(&str, &str); 9] = [
    (".lock", ""),
    (".wlstm-partial-abc", "half"),
    ("checkpoints/.wlstm-partial-def", "half"),
    ("config.toml", WRITTEN),
    ("metrics.jsonl", START),
    (
        "tensorboard/events.out.tfevents.0123456789.wlstm.0",
        "events",
    ),
    ("tensorboard/.wlstm-partial-ghi", ""),
    ("run.json", RECORD),
    ("report.html", REPORT_MARK),
];

fn write(run: &Path, name: &str, content: &str) {
    let path = run.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn a_folder_of_a_run_killed_before_its_first_step_is_free() {
    let folder = tempfile::tempdir().unwrap();
    for subset in 0..1 << LEFT.len() {
        let run = folder.path().join(format!("run-{subset}"));
        fs::create_dir(&run).unwrap();
        for (k, (name, content)) in LEFT.iter().enumerate() {
            if subset >> k & 1 == 1 {
                write(&run, name, content);
            }
        }
        assert_eq!(RunFolder::is_begun(&run).unwrap(), subset > 0);
        RunFolder::check_free(&run).unwrap();
        let opened = RunFolder::create(&run).unwrap();
        // The new run may have been started with the configuration in the folder.
        let mut expected = vec![".lock", "checkpoints"];
        expected.extend((subset >> 3 & 1 == 1).then_some("config.toml"));
        expected.extend((subset >> 7 & 1 == 1).then_some("run.json"));
        assert_eq!(names_in(&run), expected, "{subset:b}");
        assert!(names_in(&run.join("checkpoints")).is_empty());
        drop(opened);
        // A process that another test starts at this moment holds the lock until it runs its program.
        let is_free = |wait: u64| {
            std::thread::sleep(std::time::Duration::from_millis(wait));
            RunFolder::create(&run).is_ok()
        };
        assert!((0..20).any(is_free), "{subset:b}");
        fs::remove_dir_all(&run).unwrap();
    }
    // Empty files, which a full disk leaves.
    let run = folder.path().join("run");
    for (name, _) in LEFT {
        write(&run, name, "");
    }
    assert!(RunFolder::create(&run).is_ok());
    fs::remove_dir_all(&run).unwrap();
    // Lines without an end, and those of several processes that trained no step.
    for metrics in [
        "",
        "{\"ki",
        &START[..20],
        &[START, "{\"kind\":\"end\",\"reason\":\"x\"}\n", START].concat(),
    ] {
        let run = folder.path().join("run");
        write(&run, "metrics.jsonl", metrics);
        assert!(RunFolder::create(&run).is_ok(), "{metrics}");
        fs::remove_dir_all(&run).unwrap();
    }
}

#[test]
fn nothing_of_value_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let steps = [START, STEP].concat();
    for (name, content) in [
        ("checkpoints/step-00000001.safetensors", "x"),
        ("checkpoints/mine.safetensors", "x"),
        ("metrics.jsonl", &steps),
        ("metrics.jsonl", STEP),
        ("thesis.txt", "words"),
        ("tensorboard/mine", "x"),
        ("tensorboard/events.out.tfevents.0123456789.other.0", "x"),
        ("config.toml/inside", "x"),
        ("checkpoints/folder/inside", "x"),
        // Files of the user, under the names of files of a run.
        ("config.toml", "[model]\n"),
        ("config.toml", &format!("# Mine.\n{WRITTEN}")),
        ("run.json", "{}"),
        ("run.json", "mine"),
        ("report.html", "<!DOCTYPE html>\n<title>Mine</title>"),
        ("metrics.jsonl", "mine"),
        ("metrics.jsonl", "{\"kind\":\"cat\"}"),
        (".lock", "mine"),
    ] {
        let run = folder.path().join("run");
        for (left, content) in LEFT {
            if !name.starts_with(left) {
                write(&run, left, content);
            }
        }
        write(&run, name, content);
        assert!(!RunFolder::is_begun(&run).unwrap(), "{name}");
        refused(RunFolder::create(&run), &["--out"]);
        assert_eq!(fs::read_to_string(run.join(name)).unwrap(), content);
        if name != "run.json" {
            fs::remove_file(run.join("run.json")).unwrap();
            let is_checkpoint = name.starts_with("checkpoints/step-");
            let says = if is_checkpoint {
                "--resume"
            } else {
                "is not empty"
            };
            refused(RunFolder::create(&run), &[says]);
        }
        assert_eq!(fs::read_to_string(run.join(name)).unwrap(), content);
        fs::remove_dir_all(&run).unwrap();
    }
}

/// The lock of a partial file shows whether its process is running.
#[test]
fn a_partial_file_that_is_being_written_stays() {
    let folder = tempfile::tempdir().unwrap();
    let living = folder.path().join(".wlstm-partial-living");
    let dead = folder.path().join(".wlstm-partial-dead");
    let file = fs::File::create(&living).unwrap();
    file.lock().unwrap();
    fs::write(&dead, "half").unwrap();
    assert_eq!(sweep(folder.path()).unwrap(), [dead]);
    assert!(living.exists());
    drop(file);
    assert_eq!(sweep(folder.path()).unwrap(), [living]);
    // A file is locked while it is written.
    let path = folder.path().join("a");
    wlstm::files::write_atomically(&path, |_| {
        assert!(sweep(folder.path()).unwrap().is_empty());
        Ok(())
    })
    .unwrap();
    assert!(path.exists());
}

/// A run in a folder from an untrusted source must neither overwrite a file outside of it nor block on a pipe.
#[cfg(unix)]
#[test]
fn a_link_or_a_pipe_in_a_run_folder_is_refused() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let mine = outside.join("mine.txt");
    fs::write(&mine, STEP).unwrap();
    for name in [
        "metrics.jsonl",
        "run.json",
        "config.toml",
        "report.html",
        ".lock",
        "checkpoints",
        "tensorboard",
    ] {
        for kind in ["link", "dangling link", "pipe"] {
            let run = folder.path().join("run");
            write(&run, "run.json", "{}");
            write(&run, "checkpoints/step-00000001.safetensors", "x");
            let path = run.join(name);
            if path.is_dir() {
                fs::remove_dir_all(&path).unwrap();
            } else if path.exists() {
                fs::remove_file(&path).unwrap();
            }
            match kind {
                "pipe" => {
                    let made = std::process::Command::new("mkfifo").arg(&path).status();
                    assert!(made.unwrap().success());
                }
                "link" if name == "checkpoints" || name == "tensorboard" => {
                    symlink(&outside, &path).unwrap();
                }
                "link" => symlink(&mine, &path).unwrap(),
                _ => symlink(outside.join("new"), &path).unwrap(),
            }
            refused(RunFolder::resume(&run), &[name]);
            refused(RunFolder::create(&run), &["--out"]);
            if name == "metrics.jsonl" {
                refused(read(&path), &[name]);
                refused(Writer::resume(&path, 1, 0, false), &[name]);
            }
            if name == "run.json" {
                refused(RunRecord::read(&run), &[name]);
            }
            if name == ".lock" {
                refused(lock_folder(&run), &[name]);
            }
            assert_eq!(names_in(&outside), ["mine.txt"], "{name}, {kind}");
            assert_eq!(fs::read_to_string(&mine).unwrap(), STEP);
            fs::remove_dir_all(&run).unwrap();
        }
    }
}

#[test]
fn a_checkpoint_without_its_record_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    fs::create_dir_all(run.join("checkpoints")).unwrap();
    write_sample(&run.join("checkpoints/step-00000000.safetensors")).unwrap();
    refused(
        RunFolder::create(&run),
        &["already contains a run", "--resume"],
    );
    assert_eq!(names_in(&run.join("checkpoints")).len(), 1);
    // It can be resumed.
    assert!(has_run(&run));
    assert_eq!(RunFolder::resume(&run).unwrap().steps().unwrap(), [0]);
}

/// A command that is refused after it has reserved a folder changes nothing in it.
#[test]
fn a_reserved_folder_is_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    LEFT.iter().for_each(|(name, text)| write(&run, name, text));
    let before = (names_in(&run), names_in(&run.join("checkpoints")));
    drop(RunFolder::reserve(&run).unwrap());
    let after = (names_in(&run), names_in(&run.join("checkpoints")));
    assert_eq!(before, after);
    fs::remove_file(run.join(".lock")).unwrap();
    drop(RunFolder::reserve(&run).unwrap());
    assert!(!run.join(".lock").exists());
    // Folders that were created for it are removed with it.
    drop(RunFolder::reserve(&folder.path().join("deep/er/run")).unwrap());
    drop(RunFolder::reserve_numbered(folder.path(), "x").unwrap());
    assert_eq!(names_in(folder.path()), ["run"]);
    // A file that comes in between is kept.
    let reserved = RunFolder::reserve(&run).unwrap();
    write(&run, "metrics.jsonl", STEP);
    refused(reserved.begin().map(|()| reserved), &["already contains"]);
    assert_eq!(fs::read_to_string(run.join("metrics.jsonl")).unwrap(), STEP);
}
