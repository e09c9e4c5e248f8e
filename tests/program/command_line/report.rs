//! `wlstm report`, and commands with a model, with paths that a shell pattern matches.

use super::tools::{Tiny, stdout};

fn compared(cells: &str) -> Tiny {
    let tiny = Tiny::new("sentences");
    let line = ["compare", "tiny.toml", "--variants", cells, "--steps", "6"];
    let rest = ["--out", "all", "--device", "cpu", "--quiet"];
    tiny.wlstm().args(line).args(rest).assert().success();
    tiny
}

#[test]
fn what_is_no_run_is_left_out_and_said() {
    let tiny = compared("lstmp,glstm:groups=2");
    let mut paths: Vec<String> = std::fs::read_dir(tiny.path("all"))
        .unwrap()
        .map(|entry| format!("all/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    paths.sort();
    assert!(paths.len() > 4, "{paths:?}");
    let mut command = tiny.wlstm();
    command
        .arg("report")
        .args(&paths)
        .args(["--no-samples", "--plots", "plots"]);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let written = String::from_utf8(output.stdout).unwrap();
    assert!(
        written.starts_with("wrote report.html\nwrote plots/"),
        "{written}"
    );
    let mut lines = written
        .lines()
        .filter_map(|line| line.strip_prefix("wrote "));
    assert!(lines.all(|file| tiny.path(file).is_file()), "{written}");
    for file in ["all/compare.csv", "all/report.html"] {
        assert!(errors.contains(&format!("`{file}`")), "{errors}");
    }
    let page = std::fs::read_to_string(tiny.path("report.html")).unwrap();
    assert!(page.contains("2 models compared"));
    // It is an error if no path is a run, or if a path does not exist.
    for wrong in [["tiny.toml", "train.txt"], ["all", "nowhere"]] {
        let refused = tiny.wlstm().arg("report").args(wrong).assert();
        refused.code(3);
    }
}

#[test]
fn files_and_folders_around_a_run_lead_to_it() {
    let tiny = Tiny::new("sentences");
    let train = ["train", "tiny.toml", "--out", "runs/a", "--device", "cpu"];
    tiny.wlstm().args(train).assert().success();
    for name in ["runs/a", "runs/a/config.toml", "runs/a/metrics.jsonl"] {
        let line = ["report", name, "--no-samples", "--out", "page.html"];
        assert_eq!(stdout(tiny.wlstm().args(line)), "wrote page.html\n");
    }
    let refused = tiny.wlstm().args(["report", "runs"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("`runs/a`"), "{said}");
}

#[test]
fn a_folder_of_runs_names_the_best() {
    let tiny = compared("lstmp,glstm:groups=2");
    for command in ["generate", "eval", "score"] {
        let refused = tiny.wlstm().args([command, "all"]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(3), "{said}");
        let named = "one of the 2 runs in it, for example `all/";
        assert!(said.contains(named), "{said}");
        let numbers = said.split("(perplexity ").skip(1);
        let numbers: Vec<f64> = numbers
            .map(|rest| rest.split(')').next().unwrap().parse().unwrap())
            .collect();
        assert!(numbers.len() == 2 && numbers[0] <= numbers[1], "{said}");
    }
}

#[test]
fn one_model_is_compared_with_nothing() {
    let tiny = Tiny::new("sentences");
    let line = [
        "compare",
        "tiny.toml",
        "--steps",
        "3",
        "--device",
        "cpu",
        "--quiet",
    ];
    let one = stdout(tiny.wlstm().args(line).args(["--out", "one"]));
    assert!(
        one.contains("perplexity") && !one.contains("by FLOPs"),
        "{one}"
    );
    let variants = ["--variants", "lstmp,glstm:groups=2", "--out", "two"];
    let two = stdout(tiny.wlstm().args(line).args(variants));
    assert!(two.contains("by FLOPs"), "{two}");
}
