//! A full disk causes a single error with help, no old file is lost, and the same command continues once there is space.
//!
//! The disks are file systems in memory, which only root can mount. Without them, only the tests with limits on file sizes run
//! (`ulimit`), which also interrupt a write.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::program::{
    Dice, Ended, Folder, Tensors, checkpoint, checkpoints, losses, program,
};

const CONFIG: &str = r#"
[model]
cell = "lstmp"
layers = 1
embedding = 16
hidden = 32
projection = 16
[softmax]
kind = "full"
[data]
train = ["train.txt"]
valid = ["valid.txt"]
[train]
batch = 4
unroll = 5
optimizer = "adam"
learning_rate = 0.01
validate_every = 10
checkpoint_every = 5
keep = 2
"#;

/// The size of a disk, and the bytes that are left on it: none, less than a checkpoint, one or two checkpoints.
const SIZE: &str = "4m";
const LEFT: [u64; 5] = [0, 1 << 13, 1 << 15, 1 << 16, 1 << 17];

/// A small disk with a text and a configuration.
struct Disk {
    path: PathBuf,
    _folder: Folder,
}

impl Disk {
    /// `None`, with a note, if no disk can be mounted.
    fn mount() -> Option<Disk> {
        let folder = Folder::new();
        let path = folder.path("disk");
        std::fs::create_dir(&path).expect("a folder");
        let size = format!("size={SIZE}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&path)
            .output();
        match mounted {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr);
                eprintln!("left out, as no disk can be mounted here: {}", why.trim());
                return None;
            }
            Err(error) => {
                eprintln!("left out, as no disk can be mounted here: {error}");
                return None;
            }
        }
        write_inputs(&path);
        Some(Disk {
            path,
            _folder: folder,
        })
    }

    /// Fills the disk and leaves this many bytes, in whole pages.
    fn fill(&self, left: u64) {
        let path = self.path.join("ballast");
        let mut file = std::fs::File::create(&path).expect("a file");
        let page = [0; 4096];
        while std::io::Write::write_all(&mut file, &page).is_ok() {}
        let len = file.metadata().expect("a file").len();
        file.set_len(len - left).expect("a shorter file");
    }

    fn free(&self) {
        std::fs::remove_file(self.path.join("ballast")).expect("the ballast");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn write_inputs(folder: &Path) {
    let words: Vec<String> = (0..60).map(|k| format!("w{k}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for (name, bytes) in [
        ("train.txt", Dice(1).text(300, 9, &words)),
        ("valid.txt", Dice(2).text(20, 9, &words)),
        ("tiny.toml", CONFIG.to_owned()),
    ] {
        std::fs::write(folder.join(name), bytes).expect("a file");
    }
}

/// Runs the program in a folder.
fn run(folder: &Path, line: &[&str]) -> Ended {
    let output = program()
        .args(line)
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .stdin(Stdio::null())
        .output();
    output.expect("the program starts").into()
}

#[track_caller]
fn succeeds(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// Exit code 3 and a single error with help.
#[track_caller]
fn is_refused(ended: &Ended, place: &str) {
    let Ended { code, stderr, .. } = ended;
    assert_eq!(*code, Some(3), "{place}: {stderr}");
    let count = |what: &str| stderr.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!(count("error: "), 1, "{place}: {stderr}");
    assert!(count("  help: ") > 0, "{place}: {stderr}");
    assert!(!stderr.contains("panicked"), "{place}: {stderr}");
}

#[track_caller]
fn no_partial_files(folder: &Path, place: &str) {
    let files = crate::common::folder::snapshot(folder).into_keys();
    let mut partial = files.filter(|path| path.to_string_lossy().contains(".wlstm-partial"));
    assert_eq!(partial.next(), None, "{place}");
}

#[track_caller]
fn same(one: &Path, other: &Path, place: &str) {
    assert_eq!(checkpoints(one), checkpoints(other), "{place}");
    let last = *checkpoints(one).last().expect("a checkpoint");
    let (one, other) = [one, other]
        .map(|run| (losses(run), checkpoint(run, last)))
        .into();
    assert_eq!(one.0, other.0, "{place}");
    let tensors = |path: &Path| Tensors::read(path).tensors;
    assert!(tensors(&one.1) == tensors(&other.1), "{place}: other bits");
}

const TRAIN: [&str; 6] = ["train", "tiny.toml", "--out", "run", "--device", "cpu"];

/// Repeats a command after a failure, with --resume if the help of the error says so.
#[track_caller]
fn go_on(folder: &Path, line: &[&str], place: &str) {
    let again = run(folder, line);
    if again.code == Some(0) {
        return;
    }
    let told = again.stderr.contains("--resume");
    assert!(told, "{place}: stuck: {}", again.stderr);
    let resumed = run(folder, &[line, &["--resume"]].concat());
    let both = format!("{}\n{}", again.stderr, resumed.stderr);
    assert_eq!(resumed.code, Some(0), "{place}: {both}");
}

/// The run that is not interrupted.
fn whole(steps: &str) -> (Folder, PathBuf) {
    let folder = Folder::new();
    write_inputs(&folder.path("."));
    succeeds(&run(
        &folder.path("."),
        &[&TRAIN[..], &["--steps", steps]].concat(),
    ));
    let run = folder.path("run");
    (folder, run)
}

#[test]
fn a_run_that_is_continued() {
    let (_folder, whole) = whole("40");
    for left in LEFT {
        let Some(disk) = Disk::mount() else { return };
        let place = format!("{left} bytes left");
        succeeds(&run(&disk.path, &[&TRAIN[..], &["--steps", "10"]].concat()));
        let before: Vec<Vec<u8>> = checkpoints(&disk.path.join("run"))
            .into_iter()
            .map(|step| std::fs::read(checkpoint(&disk.path.join("run"), step)).expect("a file"))
            .collect();
        assert_eq!(before.len(), 2);
        disk.fill(left);
        let more = [&TRAIN[..], &["--steps", "40", "--resume"]].concat();
        let ended = run(&disk.path, &more);
        if ended.code != Some(0) {
            is_refused(&ended, &place);
        } else {
            assert!(left > 0, "the disk was not full");
        }
        no_partial_files(&disk.path, &place);
        // There is a usable checkpoint at all times.
        let last = *checkpoints(&disk.path.join("run"))
            .last()
            .expect("a checkpoint");
        Tensors::read(&checkpoint(&disk.path.join("run"), last));
        disk.free();
        succeeds(&run(&disk.path, &more));
        same(&whole, &disk.path.join("run"), &place);
    }
}

#[test]
fn a_run_that_begins() {
    let (_folder, whole) = whole("20");
    for left in LEFT {
        let Some(disk) = Disk::mount() else { return };
        let place = format!("{left} bytes left");
        disk.fill(left);
        let line = [&TRAIN[..], &["--steps", "20"]].concat();
        let ended = run(&disk.path, &line);
        if ended.code != Some(0) {
            is_refused(&ended, &place);
        }
        no_partial_files(&disk.path, &place);
        disk.free();
        go_on(&disk.path, &line, &place);
        same(&whole, &disk.path.join("run"), &place);
    }
}

#[test]
fn a_comparison() {
    let line =
        "compare tiny.toml --variants lstmp,glstm:groups=2 --steps 20 --out both --device cpu";
    let line: Vec<&str> = line.split(' ').collect();
    let folder = Folder::new();
    write_inputs(&folder.path("."));
    succeeds(&run(&folder.path("."), &line));
    let models = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder").flatten();
        let paths = entries.map(|entry| entry.path());
        let mut runs: Vec<_> = paths
            .filter(|path| path.join("run.json").is_file())
            .collect();
        runs.sort();
        runs
    };
    for left in LEFT {
        let Some(disk) = Disk::mount() else { return };
        let place = format!("{left} bytes left");
        disk.fill(left);
        let ended = run(&disk.path, &line);
        assert!(
            ended.code.is_some_and(|code| code == 0 || code == 3),
            "{place}: {}",
            ended.stderr
        );
        no_partial_files(&disk.path, &place);
        disk.free();
        let resumed = run(&disk.path, &["compare", "--resume", "--out", "both"]);
        if resumed.code != Some(0) {
            let again = run(&disk.path, &line);
            assert_eq!(
                again.code,
                Some(0),
                "{place}: {}\n{}",
                resumed.stderr,
                again.stderr
            );
        }
        let (want, got) = (
            models(&folder.path("both")),
            models(&disk.path.join("both")),
        );
        assert_eq!(want.len(), got.len(), "{place}");
        for (want, got) in want.iter().zip(&got) {
            same(want, got, &place);
        }
    }
}

/// Commands that write one file or folder do not damage an existing one.
#[test]
fn single_results() {
    let Some(disk) = Disk::mount() else { return };
    succeeds(&run(&disk.path, &[&TRAIN[..], &["--steps", "10"]].concat()));
    for line in [
        "vocab train.txt --out OUT",
        "export run --format native --out OUT",
        "export run --format onnx --out OUT",
        "export run --format pytorch --out OUT",
        "report run --out OUT",
        "factorize run --factor 4 --out OUT",
    ] {
        let is_folder = line.starts_with("factorize");
        let out = disk.path.join("out");
        let line: Vec<&str> = line
            .split(' ')
            .map(|word| if word == "OUT" { "out" } else { word })
            .collect();
        succeeds(&run(&disk.path, &line));
        let old = (!is_folder).then(|| std::fs::read(&out).expect("a result"));
        if is_folder {
            std::fs::remove_dir_all(&out).expect("a folder");
        }
        disk.fill(0);
        is_refused(&run(&disk.path, &line), line[0]);
        no_partial_files(&disk.path, line[0]);
        if let Some(old) = &old {
            assert!(
                std::fs::read(&out).expect("the old result") == *old,
                "{line:?} lost a file"
            );
        }
        disk.free();
        let ended = run(&disk.path, &line);
        assert_eq!(ended.code, Some(0), "{line:?}: {}", ended.stderr);
        if is_folder {
            std::fs::remove_dir_all(&out).expect("a folder");
        } else {
            std::fs::remove_file(&out).expect("a file");
        }
    }
}

/// Writing a file fails at a limit of a few kilobytes. Needs no separate disk.
#[test]
fn files_that_cannot_grow() {
    let folder = Folder::new();
    write_inputs(&folder.path("."));
    let root = folder.path(".");
    succeeds(&run(&root, &[&TRAIN[..], &["--steps", "10"]].concat()));
    let program_path = env!("CARGO_BIN_EXE_wlstm");
    // A block has 512 bytes, or 1,024 in bash.
    for (blocks, line) in [
        (1, "train tiny.toml --steps 10 --out new --device cpu"),
        (16, "train tiny.toml --steps 10 --out new --device cpu"),
        (
            1,
            "train tiny.toml --steps 30 --resume --out run --device cpu",
        ),
        (
            16,
            "train tiny.toml --steps 50 --resume --out run --device cpu",
        ),
        (8, "export run --format native --out new"),
        (8, "export run --format onnx --out new"),
        (4, "report run --out new"),
        (0, "vocab train.txt --out new"),
        (8, "factorize run --factor 4 --out new"),
        (1, "compare tiny.toml --steps 10 --out new --device cpu"),
    ] {
        let shell = format!("ulimit -f {blocks}; exec {program_path} {line}");
        let output = Command::new("sh")
            .args(["-c", &shell])
            .current_dir(&root)
            .env("XDG_CACHE_HOME", root.join("cache"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .output();
        let ended: Ended = output.expect("a shell").into();
        is_refused(&ended, &format!("{blocks} blocks, {line}"));
        no_partial_files(&root, line);
        let place = format!("{blocks} blocks, {line}: {}", ended.stderr);
        go_on(&root, &line.split(' ').collect::<Vec<_>>(), &place);
        let _ = std::fs::remove_dir_all(root.join("new"));
        let _ = std::fs::remove_file(root.join("new"));
    }
}
