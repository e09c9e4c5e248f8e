//! Help, versions, completions, and errors of the command line.

use predicates::prelude::*;

use super::tools::{stdout, wlstm};

#[test]
fn completions_go_to_standard_output() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = wlstm().args(["completions", shell]).assert().success();
        output.stdout(predicate::str::contains("wlstm")).stderr("");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_help() {
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

#[test]
fn topics_have_help_and_every_command_a_manual_page() {
    let help = |topic: &[&str]| stdout(wlstm().arg("help").args(topic));
    let codes = help(&["exit-codes"]);
    assert!(codes.contains("   6  a kernel disagrees with its reference\n"));
    assert!(help(&["configuration"]).contains("learning_rate = 0.2"));
    assert!(help(&["devices"]).contains("gpu:all"));
    assert!(help(&["bench", "step"]).contains("wlstm bench step"));
    assert!(help(&[]).contains("exit-codes"));
    let wrong = wlstm().args(["help", "nothing"]).assert().code(2);
    wrong.stderr(predicate::str::contains("environment"));

    let folder = tempfile::tempdir().unwrap();
    wlstm()
        .arg("man")
        .arg(folder.path())
        .assert()
        .success()
        .stdout("");
    for page in [
        "wlstm.1",
        "wlstm-train.1",
        "wlstm-compare.1",
        "wlstm-bench-step.1",
    ] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".TH wlstm"), "{page}");
    }
    let train = std::fs::read_to_string(folder.path().join("wlstm-train.1")).unwrap();
    assert!(
        train.contains("wikitext2\\-glstm.toml"),
        "the examples are there"
    );
    let file = folder.path().join("wlstm.1");
    wlstm().arg("man").arg(file).assert().code(3);
}
