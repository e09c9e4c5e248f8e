//! Control characters in words and paths are shown as escapes on a terminal.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use super::{Small, failed};
use crate::common::program::{program, text, wlstm};

/// Words that change the title of a window, move the cursor with a C1 code, and reverse text.
const WORDS: [&str; 3] = ["\u{1b}]0;owned\u{7}", "a\u{9b}2Jb", "\u{202e}txt"];

/// Each of them as it is shown.
const SHOWN: [&str; 3] = ["\\u{1b}]0;owned\\u{7}", "a\\u{9b}2Jb", "\\u{202e}txt"];

/// Runs the program on a pseudo-terminal of `script` (util-linux). Returns the output.
fn on_a_terminal(arguments: &[&str]) -> String {
    let program = program();
    let quote = |word: &&str| format!("'{word}'");
    let words: Vec<String> = arguments.iter().map(quote).collect();
    let line = format!(
        "exec {} {}",
        text(Path::new(program.get_program())),
        words.join(" ")
    );
    let mut script = Command::new("script");
    script
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm");
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let output = script.output().expect("`script` of util-linux");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn words_of_a_model_are_shown_as_escapes_on_a_terminal() {
    let line = format!("{}\n", WORDS.join(" "));
    let small = Small::trained(line.repeat(30));
    let lines = small.folder.write("lines.txt", &line);
    let run = text(&small.run);
    let generate = [
        "generate",
        run,
        "--device",
        "cpu",
        "-q",
        "--tokens",
        "60",
        "--temperature",
        "5",
    ];
    let several = [&generate[..], &["--samples", "2"]].concat();
    let json = [&generate[..], &["--json"]].concat();
    let score = ["score", run, text(&lines), "--device", "cpu", "-q"];
    let words = [&score[..], &["--words"]].concat();
    for arguments in [&generate[..], &several, &score, &words] {
        let seen = on_a_terminal(arguments);
        let raw = on_a_terminal(&[arguments, &["--raw"]].concat());
        let piped = wlstm(arguments).stdout;
        for (word, shown) in WORDS.iter().zip(SHOWN) {
            assert!(seen.contains(shown), "{arguments:?}: {seen:?}");
            assert!(!seen.contains(word), "{arguments:?}: {seen:?}");
            assert!(raw.contains(word), "{arguments:?} --raw: {raw:?}");
            assert!(piped.contains(word), "{arguments:?} in a pipe: {piped:?}");
        }
        assert!(!seen.contains('\u{1b}'), "{arguments:?}: {seen:?}");
        assert_eq!(raw.replace("\r\n", "\n"), piped, "{arguments:?}");
    }
    // JSON has its own escapes, which do not change its meaning.
    let seen = on_a_terminal(&json);
    assert!(!seen.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{seen:?}");
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(parse(&seen), parse(&wlstm(&json).stdout));
    let vocabulary = ["vocab", run, "--out", "-", "-q"];
    let seen = on_a_terminal(&vocabulary);
    let piped = wlstm(&vocabulary).stdout;
    for (word, shown) in WORDS.iter().zip(SHOWN) {
        assert!(seen.contains(shown) && !seen.contains(word), "{seen:?}");
        assert!(piped.contains(word), "in a pipe: {piped:?}");
    }
    let refused = on_a_terminal(&["export", run, "--out", "-"]);
    assert!(
        refused.contains("cannot be shown on a terminal"),
        "{refused:?}"
    );
    let sample = on_a_terminal(&[
        "report",
        run,
        "--out",
        text(&small.folder.path("report.html")),
    ]);
    assert!(!sample.contains('\u{9b}'), "{sample:?}");
    let page = std::fs::read_to_string(small.folder.path("report.html")).expect("a page");
    assert!(
        !page.contains(['\u{1b}', '\u{9b}', '\u{202e}']),
        "the page has control characters"
    );
}

/// Messages are always escaped, because logs are read on terminals.
#[test]
fn messages_are_escaped_everywhere() {
    let small = Small::new("a b\n".repeat(20));
    let bad = "no\u{1b}[2J\u{202e}\u{9b}.txt";
    let path = small.folder.path(bad);
    let set = format!("data.train={}", text(&path));
    let key = format!("model.\u{1b}[2J={bad}");
    let (config, run) = (text(&small.config), text(&small.run));
    let escaped: &[&str] = &["\\u{1b}[2J"];
    // The argument parser removes escape sequences.
    let left_out: &[&str] = &["no\\u{202e}"];
    let train = [
        "train", config, "--out", run, "--device", "cpu", "--set", &set,
    ];
    for (code, says, arguments) in [
        (3, escaped, vec!["eval", text(&path)]),
        (3, escaped, train.to_vec()),
        (2, escaped, vec!["plan", config, "--set", &key]),
        (2, escaped, vec!["train", config, "--device", bad]),
        (2, left_out, vec![bad]),
        (2, &[], vec!["eval", "--no\u{1b}[2J\u{202e}"]),
        (2, escaped, vec!["help", bad]),
    ] {
        let ended = wlstm(&arguments);
        failed(&ended, code, says);
        let harmful = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!ended.stderr.contains(harmful), "{:?}", ended.stderr);
    }
}
