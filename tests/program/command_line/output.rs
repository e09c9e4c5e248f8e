//! Standard output contains only results: the same with and without `--quiet`, without colours, in any environment.

use super::tools::Tiny;

/// Both outputs of a command that succeeds.
fn outputs(tiny: &Tiny, line: &[&str], environment: &[(&str, &str)]) -> (String, String) {
    let mut command = tiny.wlstm();
    command.envs(environment.iter().copied());
    command.args(line).write_stdin("the cat sat\na dog\n");
    let done = command.assert().success();
    // The free host memory changes from run to run.
    let is_lasting = |line: &&str| !(line.contains("on the host") && line.contains("available"));
    let text = |bytes: &[u8]| -> String {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.split_inclusive('\n').filter(is_lasting).collect()
    };
    let output = done.get_output();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn results_do_not_depend_on_quiet_or_colours() {
    let tiny = Tiny::trained("sentences", &["--set", "model.cell=lstmp"]);
    let colourful: &[(&str, &str)] = &[
        ("CLICOLOR_FORCE", "1"),
        ("FORCE_COLOR", "1"),
        ("TERM", "xterm-256color"),
    ];
    let cpu = ["--device", "cpu"];
    for (line, says) in [
        (&["devices"][..], "cpu"),
        (
            &["plan", "tiny.toml", "--memory", "1GiB"],
            "recurrent parameters",
        ),
        (&["eval", "run"], "perplexity"),
        (&["score", "run"], "\tthe cat sat\n"),
        (&["score", "run", "--words"], "\tcat\n"),
        (&["score", "run", "--summary"], "Tokens:\t7\n"),
        (&["generate", "run", "--tokens", "5"], ""),
        (
            &["generate", "run", "--tokens", "5", "--json"],
            "\"samples\"",
        ),
        (&["help"], "Topics"),
        (&["help", "exit-codes"], "disagrees"),
        (&["help", "compare"], "--variants"),
        (&["completions", "bash"], "complete"),
    ] {
        let computes = matches!(line[0], "eval" | "score" | "generate");
        let line: Vec<&str> = line
            .iter()
            .chain(cpu.iter().filter(|_| computes))
            .copied()
            .collect();
        let (plain, messages) = outputs(&tiny, &line, &[]);
        assert!(
            plain.contains(says) && !plain.is_empty(),
            "{line:?}\n{plain}"
        );
        let quiet: Vec<&str> = line.iter().copied().chain(["--quiet"]).collect();
        let (quietly, nothing) = outputs(&tiny, &quiet, &[]);
        assert_eq!(
            (quietly.as_str(), nothing.as_str()),
            (plain.as_str(), ""),
            "{line:?}"
        );
        let (forced, _) = outputs(&tiny, &line, colourful);
        assert_eq!(forced, plain, "{line:?}");
        for text in [&plain, &messages] {
            assert!(!text.contains(['\u{1b}', '\r']), "{line:?}\n{text}");
        }
    }
}

#[test]
fn progress_is_silent_when_quiet_and_plain_without_a_terminal() {
    let tiny = Tiny::new("sentences");
    let variants = ["--variants", "lstmp,glstm"];
    for (command, more) in [("train", &[][..]), ("compare", &variants)] {
        let run = |out: &str, last: &[&str]| {
            let line = [command, "tiny.toml", "--out", out, "--steps", "3"];
            let device = ["--device", "cpu"];
            let line = line.iter().chain(&device).chain(more).chain(last);
            outputs(&tiny, &line.copied().collect::<Vec<_>>(), &[])
        };
        let (loud, quiet) = (format!("{command}-loud"), format!("{command}-quiet"));
        let (results, messages) = run(&loud, &[]);
        for text in [&results, &messages] {
            assert!(!text.is_empty(), "{command}");
            assert!(!text.contains(['\u{1b}', '\r']), "{command}\n{text}");
        }
        let (results, messages) = run(&quiet, &["--quiet"]);
        assert!(!results.is_empty(), "{command}");
        assert_eq!(messages, "", "{command}");
    }
    let (_, messages) = outputs(&tiny, &["report", "train-quiet", "--quiet"], &[]);
    assert_eq!(messages, "");
    assert!(tiny.path("train-quiet/report.html").exists());
}
