//! Bad values for every argument of every command. A value that is refused must be refused at once, with a single error that has a
//! help line, and no file may change.
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::table::{LIMIT, fault_of_a_refusal, folder};
use crate::common::program::{Ended, Folder, program, wlstm};

/// Command lines with one place `{}` each. CPU stands for `--device cpu`, NEW for a path that does not exist.
const PLACES: &str = "
train {} --steps 1 --out NEW CPU
train tiny.toml --steps 1 CPU --out {}
train tiny.toml --steps 1 --out NEW CPU --init {}
train tiny.toml --steps 1 --out NEW --device {}
train tiny.toml --out NEW CPU --steps {}
train tiny.toml --out NEW --steps 1 CPU --seconds {}
train tiny.toml --out NEW --steps 1 CPU --epochs {}
train tiny.toml --out NEW CPU --words {}
train tiny.toml --out NEW --steps 1 CPU --seed {}
train tiny.toml --out NEW --steps 1 CPU --set {}
train tiny.toml --resume --steps 3 CPU --out {}
compare {} --set model.hidden=8,16 --steps 1 --out NEW CPU
compare tiny.toml --steps 1 --out NEW CPU --variants {}
compare tiny.toml --set model.hidden=8,16 --out NEW CPU --steps {}
compare tiny.toml --set model.hidden=8,16 --steps 1 CPU --out {}
compare tiny.toml --set model.hidden=8,16 --set train.steps=1 --out NEW CPU --seconds {}
compare tiny.toml --set model.hidden=8,16 --out NEW CPU --epochs {}
compare tiny.toml --set model.hidden=8,16 --out NEW CPU --words {}
compare tiny.toml --set model.hidden=8,16 --steps 1 --out NEW CPU --seed {}
compare tiny.toml --set model.hidden=8,16 --steps 1 --out NEW CPU --seeds {}
compare tiny.toml --variants lstmp,flstm:factor=4 --steps 1 --out NEW CPU --equal {}
compare tiny.toml --set model.hidden=8,16 --steps 1 --out NEW --device {}
compare tiny.toml --steps 1 --out NEW CPU --set {}
compare tiny.toml --set model.hidden=8,16 --steps 1 --out NEW CPU --format {}
report {} --out NEW --no-samples
report run --no-samples --out {}
report run --no-samples --out NEW --plots {}
eval {} CPU
eval run CPU --data {}
eval run CPU --targets {}
eval run CPU --streams {}
eval run --device {}
score {} train.txt CPU
score run {} CPU
score run train.txt --device {}
rescore {} nbest.txt CPU
rescore run {} CPU
rescore run nbest.txt CPU --lm-weight {}
rescore run nbest.txt CPU --word-bonus {}
rescore run nbest.txt CPU --tune {}
rescore run nbest.txt CPU --references {}
rescore run nbest.txt CPU --format {}
rescore run nbest.txt --device {}
generate {} CPU --tokens 3
generate run CPU --tokens 3 --prompt {}
generate run CPU --tokens {}
generate run CPU --tokens 3 --temperature {}
generate run CPU --tokens 3 --top-k {}
generate run CPU --tokens 3 --top-p {}
generate run CPU --tokens 3 --samples {}
generate run CPU --tokens 3 --seed {}
generate run --tokens 3 --device {}
vocab {} --out NEW
vocab train.txt --out {}
vocab train.txt --out NEW --size {}
vocab train.txt --out NEW --min-count {}
vocab train.txt --out NEW --order {}
vocab train.txt --out NEW --tokens {}
vocab train.txt --out NEW --normalization {}
devices {}
plan {}
plan tiny.toml --devices {}
plan tiny.toml --memory {}
plan tiny.toml --set {}
validate --filter none --device {}
validate CPU --filter {}
bench step {} --steps 1 CPU
bench step tiny.toml CPU --seconds 0.01 --steps {}
bench step tiny.toml --steps 1 --device {}
bench step tiny.toml --steps 1 CPU --seconds {}
bench step tiny.toml --steps 1 CPU --set {}
bench step tiny.toml --steps 1 CPU --without {}
bench step tiny.toml --steps 1 CPU --baseline {}
bench kernels --filter none --device {}
bench kernels --filter none CPU --only {}
bench kernels --filter pointwise/add CPU --baseline {}
bench CPU --baseline {}
factorize {} --factor 4 --out NEW CPU
factorize run CPU --out NEW --factor {}
factorize run CPU --out NEW --groups {}
factorize run CPU --factor 4 --out {}
factorize run CPU --factor 4 --out NEW --data {}
factorize run CPU --factor 4 --out NEW --targets {}
factorize run CPU --factor 4 --out NEW --seed {}
factorize run --factor 4 --out NEW --device {}
export {} --out NEW
export run --out {}
export run --out NEW --format {}
import {} --config tiny.toml --out NEW
import other.safetensors --out NEW --config {}
import other.safetensors --config other.toml --out {}
import other.safetensors --config tiny.toml --out NEW --set {}
completions {}
man {}
help {}
";

/// Options whose values are not tried, with the reason.
const LEFT_OUT: [(&str, &str); 1] = [(
    "bench kernels --filter",
    "measures the peaks of the device before it filters",
)];

/// Values that are valid at a place, but take long.
const LONG: [(&str, &str); 2] = [
    ("--tokens {}", "18446744073709551615"),
    ("validate CPU --filter {}", ""),
];

/// The values: text that is not a number, numbers out of range, malformed and unusual text, and the files of the folder.
fn values() -> Vec<OsString> {
    let texts = "| |-|--|-1|0|1.5|nan|inf|-inf|1e400|18446744073709551615|99999999999999999999|1,|,|1,2,3|a,b|x|\u{b2}|a\nb|\
        \u{1b}[2Jx|\u{202e}x|=|k=|=v|model.hidden=-1|[1,2|${HOME}|~/none|~nobody/x|*.txt|*|[|none|none/none/x|.|..|folder|empty.txt|\
        blank.txt|latin1.txt|zeros.bin|notes.txt|notes.txt/x|loop|dangling|cut.safetensors|header.safetensors|other.safetensors|\
        start.safetensors|broken|tiny.toml|train.txt|run|run/config.toml";
    let long = ["y".repeat(300), "z".repeat(5000)];
    let texts = texts.split('|').map(OsString::from);
    let no_unicode = OsStr::from_bytes(b"\xff\xfe").to_owned();
    texts
        .chain(long.map(OsString::from))
        .chain([no_unicode])
        .collect()
}

fn hostile_folder() -> Folder {
    let folder = folder();
    folder.write("nbest.txt", "u1 1.5 a b\nu1 1.2 a c\n");
    symlink("loop", folder.path("loop")).expect("a link");
    symlink("nowhere", folder.path("dangling")).expect("a link");
    folder
}

fn copy(master: &Folder) -> Folder {
    let folder = Folder::in_memory();
    let copied = Command::new("cp")
        .arg("-a")
        .arg(master.path("."))
        .arg(folder.path("."))
        .status();
    assert!(copied.expect("cp").success());
    folder
}

/// Whether the value at this place names an output, which may replace a file of the folder.
fn is_output(place: &str) -> bool {
    ["--out {}", "--plots {}", "man {}"]
        .iter()
        .any(|end| place.ends_with(end))
}

fn command_of(place: &str) -> &str {
    place.split(' ').next().expect("a command")
}

/// Runs the program with `value` at its place.
fn run(folder: &Folder, place: &str, value: &OsStr, number: usize) -> Ended {
    let mut command = program();
    for word in place.split(' ') {
        match word {
            "CPU" => command.args(["--device", "cpu"]),
            "NEW" => command.arg(format!("new-{number}")),
            "{}" => command.arg(value),
            word => command.arg(word),
        };
    }
    let command = command
        .current_dir(folder.path("."))
        .env("HOME", folder.path("."));
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    // Models on standard output are not text.
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// What is wrong with the result of a command, if anything.
fn fault(ended: &Ended, begin: Instant) -> Option<String> {
    if begin.elapsed() > LIMIT {
        return Some(format!("{:?}", begin.elapsed()));
    }
    if ended.stderr.contains(['\u{1b}', '\u{202e}']) {
        return Some("prints control characters".to_owned());
    }
    match ended.code {
        Some(0) => None,
        Some(2..=6) => fault_of_a_refusal(ended),
        code => Some(format!("exit code {code:?}")),
    }
}

/// Tries all values at a place. Returns the failures and the number of refusals.
fn try_place(master: &Folder, place: &str, values: &[OsString]) -> (Vec<String>, usize) {
    let (mut faults, mut refused) = (Vec::new(), 0);
    let mut folder = copy(master);
    let before = folder.snapshot();
    for (number, value) in values.iter().enumerate() {
        if LONG
            .iter()
            .any(|(end, long)| place.ends_with(end) && value == long)
        {
            continue;
        }
        if is_output(place) && number > 0 {
            folder = copy(master);
        }
        let begin = Instant::now();
        let ended = run(&folder, place, value, number);
        refused += usize::from(ended.code != Some(0));
        if let Some(fault) = fault(&ended, begin) {
            faults.push(format!(
                "wlstm {place} with {value:?}: {fault}\n{}",
                ended.stderr
            ));
        }
    }
    let mut after = folder.snapshot();
    let new = folder.path("new-");
    let new = new.to_str().expect("a Unicode path");
    after.retain(|path, _| !path.to_string_lossy().starts_with(new));
    if !is_output(place) && before != after {
        faults.push(format!("wlstm {place}: changes files"));
    }
    (faults, refused)
}

#[test]
fn bad_values_in_every_place() {
    let places: Vec<&str> = PLACES.lines().filter(|line| !line.is_empty()).collect();
    let (master, values) = (hostile_folder(), values());
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(place) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tried = try_place(&master, place, &values);
                    all.lock()
                        .expect("no thread panicked")
                        .push((*place, tried));
                }
            });
        }
    });
    let mut refused = BTreeMap::<&str, usize>::new();
    let mut faults = Vec::new();
    for (place, (found, count)) in all.into_inner().expect("no thread panicked") {
        *refused.entry(command_of(place)).or_default() += count;
        faults.extend(found);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // `man` creates the folder that is named, `help`, `completions` and `devices` have a single place.
    for (command, count) in refused {
        let few = ["man", "help", "completions", "devices"].contains(&command);
        assert!(
            count >= if few { 20 } else { 100 },
            "{command}: {count} refusals"
        );
    }
}

/// The options of a command that take a value, by its help.
fn options_of(command: &str) -> BTreeSet<String> {
    let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
    let help = wlstm(&words).stdout;
    let words_of = |line: &str| {
        let mut words = line.trim_start().split(' ');
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    let pairs = help.lines().filter_map(words_of);
    pairs
        .filter(|(option, value)| option.starts_with("--") && value.starts_with('<'))
        .map(|(option, _)| option)
        .collect()
}

/// A new command or option has to appear in the list of places.
#[test]
fn every_command_and_option_has_a_place() {
    let overview = wlstm(&["--help"]).stdout;
    let begin = overview.find("Commands:\n").expect("a list of commands") + "Commands:\n".len();
    let listed = overview[begin..]
        .lines()
        .take_while(|line| !line.is_empty());
    let mut commands: Vec<&str> = listed
        .map(|line| line.split_whitespace().next().expect("a command"))
        .filter(|command| *command != "bench")
        .collect();
    commands.extend(["bench step", "bench kernels"]);
    for command in commands {
        let of_command = |line: &&str| line.starts_with(command);
        assert!(PLACES.lines().any(|line| of_command(&line)), "{command}");
        for option in options_of(command) {
            let place = format!("{option} {{}}");
            let is_tried = PLACES
                .lines()
                .filter(of_command)
                .any(|line| line.ends_with(&place));
            let name = format!("{command} {option}");
            assert!(
                is_tried || LEFT_OUT.iter().any(|(left, _)| *left == name),
                "{name}"
            );
        }
    }
}
