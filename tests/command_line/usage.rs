//! Help, versions, completions, and what is said of a wrong command line.

use predicates::prelude::*;

use crate::tools::wlstm;

#[test]
fn completions_go_to_standard_output() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = wlstm().args(["completions", shell]).assert().success();
        output.stdout(predicate::str::contains("wlstm")).stderr("");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_right() {
    wlstm()
        .assert()
        .code(2)
        .stderr(predicate::str::contains("Usage: wlstm"));
    wlstm()
        .arg("completion")
        .assert()
        .code(2)
        .stderr(predicate::str::contains("completions"));
    wlstm()
        .args(["completions", "tcsh"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("bash"));
    wlstm().args(["--loud"]).assert().code(2).stdout("");
}

#[test]
fn help_and_version_are_results() {
    let help = wlstm().arg("--help").assert().success().stderr("");
    help.stdout(
        predicate::str::contains("Exit codes").and(predicate::str::contains("completions")),
    );
    wlstm()
        .arg("--version")
        .assert()
        .success()
        .stdout(predicate::str::starts_with("wlstm 0."));
}

#[test]
fn every_command_has_help() {
    for command in [
        "train",
        "eval",
        "score",
        "generate",
        "vocab",
        "devices",
        "plan",
        "completions",
    ] {
        let help = wlstm().args([command, "--help"]).assert().success();
        help.stderr("")
            .stdout(predicate::str::contains(format!("Usage: wlstm {command}")));
    }
}
