//! Comparisons that are interrupted and resumed.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::program::{Ended, lines_of, losses, metrics, number, program, text, wlstm};

use super::tools::{VARIANTS, compare, small_model, table_of};

#[cfg(unix)]
#[test]
fn a_comparison_is_resumed_after_ctrl_c() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    let line = [
        "compare",
        text(&config),
        "--out",
        text(&out),
        "--device",
        "cpu",
        "--seconds",
        "3",
    ];
    let mut child = program();
    child.args(line).args(VARIANTS);
    let child = child
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    // While the first model trains.
    while metrics(&out.join("lstmp")).len() < 12 {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "no steps after 60 s"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.expect("kill").success());
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("compare --resume --out"),
        "{}",
        ended.stderr
    );
    // The others have not failed.
    let record = std::fs::read_to_string(out.join("compare.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let states = record["results"].as_array().expect("results").iter();
    let states: Vec<&str> = states.filter_map(|row| row["status"].as_str()).collect();
    let is_right = |state: &&str| ["interrupted", "not begun"].contains(state);
    assert!(
        states.len() == 3 && states.iter().all(is_right),
        "{states:?}"
    );
    let before = losses(&out.join("lstmp"));
    // With another budget, which applies to all models.
    let limit = before.len() as u64 + 5;
    let steps = limit.to_string();
    let resumed = wlstm(&[
        "compare",
        "--resume",
        "--out",
        text(&out),
        "--steps",
        &steps,
        "--json",
        "--device",
        "cpu",
    ]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    let lines = table_of(&resumed);
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line["steps"] == limit));
    let after = losses(&out.join("lstmp"));
    assert!(before.iter().all(|(step, loss)| after[step] == *loss));
    // Nothing is left to do: the table is printed again.
    let again = wlstm(&[
        "compare",
        "--resume",
        "--out",
        text(&out),
        "--json",
        "--device",
        "cpu",
    ]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(table_of(&again).len(), 3);
}

/// The commands proposed at the end work, and train ten times as long.
#[cfg(unix)]
#[test]
fn proposed_commands_work() {
    let (folder, config) = small_model();
    let type_line = |line: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", line]).current_dir(folder.path(""));
        let done = shell.output().unwrap();
        assert!(done.status.success(), "{line}: {done:?}");
    };
    let proposed = |ended: &Ended| -> Vec<String> {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let next = ended.stderr.split("\nNext").nth(1);
        let lines = next.expect("what comes next").lines();
        let commands = lines.filter_map(|line| line.strip_prefix("    "));
        commands.map(str::to_owned).collect()
    };
    // An epoch has some 200 steps.
    for (k, (budget, steps)) in [
        (["--steps", "2"], 20..=20),
        (["--words", "60"], 30..=30),
        (["--epochs", "1"], 1000..=4000),
        (["--seconds", "0.05"], 1..=100_000),
    ]
    .into_iter()
    .enumerate()
    {
        let out = folder.path(&format!("compared {k}"));
        let ended = compare(&config, &out, &[&VARIANTS[..], &budget].concat());
        assert!(ended.stderr.contains("report.html`"), "{}", ended.stderr);
        let lines = proposed(&ended);
        assert_eq!(lines.len(), 2, "{lines:?}");
        let run = folder.path(&format!("next-{k}"));
        type_line(&lines[0]);
        type_line(&format!("{} --out {}", lines[1], text(&run)));
        let done = lines_of(&run, "step")
            .last()
            .map(|line| number(line, "step") as u64);
        assert!(
            done.is_some_and(|done| steps.contains(&done)),
            "{lines:?}: {done:?}"
        );
    }
    let factorize = [
        "factorize",
        "compared 0/lstmp",
        "--factor",
        "4",
        "--device",
        "cpu",
        "--out",
        "of factors",
    ];
    let ended = program()
        .args(factorize)
        .current_dir(folder.path(""))
        .output();
    let lines = proposed(&ended.unwrap().into());
    assert_eq!(lines.len(), 1, "{lines:?}");
    type_line(&lines[0]);
    assert_eq!(lines_of(&folder.path("of factors-tuned"), "step").len(), 1);
}

/// A run of a comparison cannot be resumed alone: the table would compare runs of different budgets.
#[test]
fn a_run_of_a_comparison_is_not_resumed_alone() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    let ended = compare(&config, &out, &[&VARIANTS[..], &["--steps", "2"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let own = out.join("lstmp/config.toml");
    let before = folder.snapshot();
    for more in [&[][..], &["--out", text(&out.join("lstmp"))]] {
        let line = [
            "train",
            text(&own),
            "--resume",
            "--steps",
            "9",
            "--device",
            "cpu",
        ];
        let ended = wlstm(&[&line[..], more].concat());
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("belongs to the comparison"),
            "{}",
            ended.stderr
        );
        assert!(folder.snapshot() == before);
    }
    // If a text is missing, the error contains help.
    std::fs::rename(folder.path("train.txt"), folder.path("elsewhere.txt")).unwrap();
    let line = ["compare", "--resume", "--steps", "4", "--out", text(&out)];
    let ended = wlstm(&line);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("restore the text"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("--set"), "{}", ended.stderr);
}
