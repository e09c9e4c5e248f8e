//! The bad inputs of `table.txt`, one per line. Each command must end at once with the given exit code and a single error that
//! has a help line, and must not change any file.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::case::unchanged;
use crate::common::program::{Dice, Ended, Folder, program, wlstm};

const TABLE: &str = include_str!("table.txt");

/// The time limit of a command. Each needs less than a second on an idle machine.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

const CONFIG: &str = "[model]\ncell = \"lstmp\"\nlayers = 1\nembedding = 8\nhidden = 16\nprojection = 8\n[softmax]\nkind = \"full\"\n\
    [data]\ntrain = [\"train.txt\"]\nvalid = [\"valid.txt\"]\n[train]\nbatch = 2\nunroll = 3\nsteps = 2\n";

/// The files that the table names.
pub(super) fn folder() -> Folder {
    let folder = Folder::new();
    let words = ["a", "b", "c", "d", "e"];
    folder.write("train.txt", Dice(1).text(40, 6, &words));
    folder.write("valid.txt", Dice(2).text(5, 6, &words));
    folder.write("tiny.toml", CONFIG);
    folder.write("empty.txt", "");
    folder.write("blank.txt", "\n \n\n");
    folder.write("latin1.txt", b"caf\xe9 au lait\n");
    folder.write("notes.txt", "Not what you look for.\n");
    folder.write("zeros.bin", [0; 5000]);
    folder.write("folder/notes.txt", "Somebody's notes.\n");
    let train = |config: &str, out: &str| {
        let line = ["train", config, "--out", out, "--device", "cpu", "--quiet"];
        let ended = program().args(line).current_dir(folder.path(".")).output();
        let ended: Ended = ended.expect("the program").into();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        std::fs::read(
            folder
                .path(out)
                .join("checkpoints/step-00000002.safetensors"),
        )
        .expect("a checkpoint")
    };
    let checkpoint = train("tiny.toml", "run");
    folder.write("cut.safetensors", &checkpoint[..checkpoint.len() / 2]);
    let mut header = checkpoint;
    header[..8].fill(0xff);
    folder.write("header.safetensors", header);
    folder.write("other.toml", CONFIG.replace("hidden = 16", "hidden = 24"));
    let other = train("other.toml", "other");
    folder.write("other.safetensors", other);
    // A valid file of another program.
    let header = br#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let foreign = [&(header.len() as u64).to_le_bytes(), &header[..], &[0; 4]].concat();
    folder.write("start.safetensors", foreign);
    folder.write("broken/run.json", "{\"version\":");
    folder.write("broken/config.toml", CONFIG);
    folder
}

/// Splits a command line at spaces outside quotation marks.
fn arguments(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (k, part) in line.split('"').enumerate() {
        if k % 2 == 1 {
            found.push(part.to_owned());
            continue;
        }
        for word in part.split_whitespace() {
            match word {
                "CPU" => found.extend(["--device".to_owned(), "cpu".to_owned()]),
                word => found.push(word.to_owned()),
            }
        }
    }
    found
}

/// What is wrong with the result of a command, if anything.
fn fault(ended: &Ended, code: i32, says: &str) -> Option<String> {
    if ended.code != Some(code) {
        return Some(format!("exit code {:?}, not {code}", ended.code));
    }
    let silent = || (!ended.stderr.contains(says)).then(|| format!("does not say `{says}`"));
    fault_of_a_refusal(ended).or_else(silent)
}

/// What is wrong with a refusal, whatever its exit code.
pub(super) fn fault_of_a_refusal(ended: &Ended) -> Option<String> {
    let Ended { stdout, stderr, .. } = ended;
    if !stdout.is_empty() {
        return Some(format!("writes to standard output: {stdout}"));
    }
    for bad in ["panicked", "RUST_BACKTRACE"] {
        if stderr.contains(bad) {
            return Some(bad.to_owned());
        }
    }
    // On some machines the Vulkan loader itself prints errors.
    let is_error = |line: &&str| line.starts_with("error:") && !line.contains("XDG_RUNTIME_DIR");
    let errors = stderr.lines().filter(is_error).count();
    if errors != usize::from(stderr.contains("error:")) {
        return Some(format!("{errors} errors"));
    }
    (!stderr.contains("help")).then(|| "no help".to_owned())
}

#[test]
fn every_line_of_the_table() {
    let folder = folder();
    let before = folder.snapshot();
    let (mut wrong, mut lines) = (Vec::new(), 0);
    let rows = TABLE
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    for row in rows {
        let mut columns = row.rsplitn(3, " | ");
        let [says, code, line] = [(); 3].map(|()| columns.next().expect("three columns"));
        let code = code.parse().expect("an exit code");
        let begin = Instant::now();
        let output = program()
            .args(arguments(line))
            .current_dir(folder.path("."))
            .stdin(Stdio::null())
            .output();
        let ended: Ended = output.expect("the program starts").into();
        let slow = begin.elapsed() > LIMIT;
        let fault = slow.then(|| format!("{:?}", begin.elapsed()));
        if let Some(fault) = fault.or_else(|| self::fault(&ended, code, says)) {
            wrong.push(format!("wlstm {line}: {fault}\n{}", ended.stderr));
        }
        lines += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} of {lines} lines:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(lines > 100, "{lines} lines");
    unchanged(&before, &folder.snapshot());
}

/// With valid inputs, the same commands succeed on the files of the table.
#[test]
fn the_folder_can_be_used() {
    let folder = folder();
    let run = folder.path("run");
    let run = run.to_str().expect("a Unicode path");
    let ended = wlstm(&["generate", run, "--device", "cpu", "--tokens", "3"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
