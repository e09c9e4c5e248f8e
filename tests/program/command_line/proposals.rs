//! The commands that `wlstm train` proposes can be copied and run.

use std::path::Path;
use std::process::{Command, Output};

use super::tools::{Tiny, metrics, text};

/// The output to standard error.
fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs `wlstm train tiny.toml` with these arguments.
fn train(tiny: &Tiny, arguments: &[&str]) -> Output {
    let line = [&["train", "tiny.toml", "--device", "cpu"], arguments].concat();
    tiny.wlstm().args(line).output().unwrap()
}

/// The commands in a text: lines that begin with four spaces.
fn commands(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    lines.map(str::to_owned).collect()
}

/// Runs a command in a shell in the folder.
#[cfg(unix)]
fn type_line(tiny: &Tiny, line: &str) -> Output {
    let program = tiny.wlstm().get_program().to_owned();
    let program = program.to_string_lossy();
    let line = match line.strip_prefix("wlstm ") {
        Some(arguments) => format!("{program} {arguments}"),
        None => line.to_owned(),
    };
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(tiny.path(""));
    shell.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let done = shell.output().unwrap();
    assert!(done.status.success(), "{line}: {}", errors(&done));
    done
}

fn steps(run: &Path) -> u64 {
    let last = metrics(run, "step").pop().expect("a step");
    last["step"].as_u64().unwrap()
}

#[cfg(unix)]
#[test]
fn proposed_commands_work_and_the_report_is_named() {
    let tiny = Tiny::new("sentences");
    let trained = train(&tiny, &["--out", "run"]);
    let said = errors(&trained);
    assert!(
        said.contains("Curves and samples: `run/report.html`\n"),
        "{said}"
    );
    let found = commands(&said);
    for what in [
        " generate ",
        " eval ",
        " --resume ",
        " model.cell=",
        " plan ",
    ] {
        let line = found.iter().find(|line| {
            format!("{line} ")
                .replace('=', "= ")
                .contains(&what.replace('=', "= "))
        });
        assert!(line.is_some(), "{what}: {said}");
    }
    for line in &found {
        type_line(&tiny, line);
    }
    assert_eq!(steps(&tiny.path("run")), 40, "trained for twice as long");
}

#[cfg(unix)]
#[test]
fn a_run_at_its_limit_says_how_to_train_it_for_longer() {
    let tiny = Tiny::trained("sentences", &[]);
    let again = train(&tiny, &["--out", "run", "--resume"]);
    let said = errors(&again);
    let (_, rest) = said.split_once("already reached its limits").expect(&said);
    let command = commands(rest).remove(0);
    assert_eq!(steps(&tiny.path("run")), 20);
    type_line(&tiny, &command);
    assert_eq!(steps(&tiny.path("run")), 40);
    // A limit that the run has passed long ago is no measure.
    let less = train(&tiny, &["--out", "run", "--resume", "--steps", "10"]);
    let said = errors(&less);
    let (_, rest) = said.split_once("already reached its limits").expect(&said);
    type_line(&tiny, &commands(rest).remove(0));
    assert_eq!(steps(&tiny.path("run")), 80);
}

#[cfg(unix)]
#[test]
fn parameters_of_a_model_with_other_words_come_with_its_vocabulary() {
    let tiny = Tiny::trained("sentences", &[]);
    let config = std::fs::read_to_string(tiny.path("tiny.toml")).unwrap();
    let vocabulary = text(1, 60).replace("dog", "hamster");
    // As many words, and more.
    for (name, words) in [
        ("same", vocabulary.clone()),
        ("more", vocabulary + "a zebra ran\n"),
    ] {
        tiny.write("other.txt", words);
        tiny.write("other.toml", config.replace("train.txt", "other.txt"));
        let line = [
            "train",
            "other.toml",
            "--init",
            "run",
            "--device",
            "cpu",
            "--out",
            name,
        ];
        let begun = tiny.wlstm().args(line).output().unwrap();
        assert_eq!(
            begun.status.code(),
            Some(if name == "same" { 0 } else { 3 })
        );
        let said = errors(&begun);
        let command = commands(&said).remove(0);
        assert!(command.contains(" vocab "), "{said}");
        type_line(&tiny, &command);
        assert!(
            said.contains("--set data.vocab=vocab.txt --set data.vocab_size=0"),
            "{said}"
        );
        let sets = [
            "--set",
            "data.vocab=vocab.txt",
            "--set",
            "data.vocab_size=0",
            "--out",
            "again",
        ];
        let again = tiny.wlstm().args(&line[..6]).args(sets).output().unwrap();
        let said = errors(&again);
        assert!(
            again.status.success() && !said.contains("differs"),
            "{said}"
        );
        std::fs::remove_dir_all(tiny.path("again")).unwrap();
        std::fs::remove_file(tiny.path("vocab.txt")).unwrap();
    }
}

#[test]
fn a_text_in_place_of_a_configuration_and_of_a_run() {
    let tiny = Tiny::new("sentences");
    for (line, says) in [
        ("train train.txt", "--set data.train=train.txt"),
        ("eval train.txt", "wlstm eval RUN --data FILE"),
        ("score train.txt", "wlstm score RUN FILE"),
        (
            "train tiny.toml --set data.train=test.txt --set data.valid_share=0.1",
            "--set data.valid=[]",
        ),
    ] {
        let refused = tiny.wlstm().args(line.split(' ')).output().unwrap();
        let said = errors(&refused);
        assert!(
            matches!(refused.status.code(), Some(2 | 3)),
            "{line}: {said}"
        );
        assert!(said.contains(says), "{line}: {said}");
    }
}

#[cfg(unix)]
#[test]
fn a_second_run_says_how_to_continue_the_first() {
    let tiny = Tiny::new("sentences");
    let first = errors(&train(&tiny, &[]));
    assert!(!first.contains("This is a new run"), "{first}");
    let second = errors(&train(&tiny, &[]));
    let (_, rest) = second
        .split_once("This is a new run. To continue the one in `./runs/tiny`:\n")
        .expect(&second);
    assert!(tiny.path("runs/tiny-2/run.json").exists());
    let command = commands(rest).remove(0);
    type_line(&tiny, &format!("{command} --steps 25"));
    assert_eq!(steps(&tiny.path("runs/tiny")), 25);
    assert_eq!(steps(&tiny.path("runs/tiny-2")), 20);
}

#[cfg(unix)]
#[test]
fn a_text_that_has_grown_is_named_and_the_advice_works() {
    let tiny = Tiny::new("sentences");
    tiny.write("more.txt", text(8, 30));
    let texts = "data.train=[\"train.txt\", \"more.txt\"]";
    for (name, sets) in [("run", &[][..]), ("several", &["--set", texts])] {
        let trained = train(&tiny, &[&["--out", name], sets].concat());
        assert!(trained.status.success(), "{}", errors(&trained));
    }
    // New words, so that a new vocabulary would differ.
    let grown = text(1, 60) + "a zebra and another zebra ran\n";
    std::thread::sleep(std::time::Duration::from_millis(20));
    tiny.write("train.txt", grown);
    for (name, file) in [
        ("run", "train.txt`, is not the training text"),
        ("several", "since the last checkpoint: `"),
    ] {
        let config = format!("{name}/config.toml");
        let line = ["train", &config, "--resume", "--device", "cpu"];
        let refused = tiny.wlstm().args(line).output().unwrap();
        let said = errors(&refused);
        assert_eq!(refused.status.code(), Some(3), "{said}");
        let (_, said) = said.split_once("error: ").expect("an error");
        assert!(said.contains(file) && said.contains("train.txt`"), "{said}");
        assert!(!said.contains("more.txt`"), "{said}");
        let advice = commands(said);
        assert_eq!(advice.len(), 3, "{said}");
        type_line(&tiny, &advice[1]);
        let done = type_line(&tiny, &format!("{} --device cpu --out {name}-2", advice[2]));
        // It starts from the parameters of the run and has the same vocabulary.
        assert!(!errors(&done).contains("differs"), "{}", errors(&done));
        let first = |run: &str| {
            metrics(&tiny.path(run), "step")[0]["loss"]
                .as_f64()
                .unwrap()
        };
        let (again, at_first) = (first(&format!("{name}-2")), first(name));
        assert!(again < at_first - 0.01, "{again} {at_first}");
    }
}

#[test]
fn limits_are_options_and_wrong_ones_are_explained() {
    let tiny = Tiny::new("sentences");
    // A step has 12 words, the text about 450.
    for (name, options, steps_of) in [
        ("words", &["--words", "30"][..], 3..=3),
        (
            "epochs",
            &["--epochs", "1", "--set", "train.steps=1000"],
            25..=60,
        ),
    ] {
        let done = train(&tiny, &[&["--out", name], options].concat());
        assert!(done.status.success(), "{}", errors(&done));
        assert!(steps_of.contains(&steps(&tiny.path(name))), "{name}");
    }
    for (options, said) in [
        (["--seconds", "-1"], "give a number above 0"),
        (["--steps", "0"], "give a whole number, at least 1"),
        (["--steps", "-3"], "give a whole number, at least 1"),
        (["--words", "many"], "give a whole number, at least 1"),
        (["--epochs", "1.5"], "give a whole number, at least 1"),
    ] {
        let refused = train(&tiny, &options);
        assert_eq!(refused.status.code(), Some(2), "{options:?}");
        assert!(errors(&refused).contains(said), "{}", errors(&refused));
    }
}

#[test]
fn another_device_is_said_at_a_resume() {
    let tiny = Tiny::trained("sentences", &[]);
    let record = std::fs::read_to_string(tiny.path("run/run.json")).unwrap();
    let resume = ["--out", "run", "--resume", "--steps", "21"];
    let same = errors(&train(&tiny, &resume));
    assert!(!same.contains("differ by rounding"), "{same}");
    let start = record.find("cpu (").expect(&record);
    let end = start + record[start..].find('"').unwrap();
    let other = format!("{}Some GPU{}", &record[..start], &record[end..]);
    tiny.write("run/run.json", other);
    let other = errors(&train(
        &tiny,
        &["--out", "run", "--resume", "--steps", "22"],
    ));
    assert!(
        other.contains("The run was trained on Some GPU and continues on cpu"),
        "{other}"
    );
}

/// The validation text is a part of the last file, which has grown by a line: the training text is the same.
#[cfg(unix)]
#[test]
fn a_grown_file_of_a_pattern_is_named_and_the_advice_works() {
    let tiny = Tiny::new("sentences");
    for (name, lines) in [("ga1.txt", 60), ("ga2.txt", 40)] {
        tiny.write(name, text(9, lines));
    }
    let sets = [
        "--set",
        "data.train=ga*.txt",
        "--set",
        "data.valid=[]",
        "--set",
    ];
    let sets = [
        &sets[..],
        &["data.valid_share=0.2", "--set", "train.validate_every=5"],
    ]
    .concat();
    let trained = train(&tiny, &[&["--out", "run"], &sets[..]].concat());
    assert!(trained.status.success(), "{}", errors(&trained));
    let refused = |code: i32| {
        let line = ["train", "run/config.toml", "--resume", "--device", "cpu"];
        let refused = tiny.wlstm().args(line).output().unwrap();
        let said = errors(&refused);
        assert_eq!(refused.status.code(), Some(code), "{said}");
        let (_, said) = said.split_once("error: ").expect("an error");
        assert!(!said.contains("data.valid`"), "{said}");
        said.to_owned()
    };
    let before = text(9, 40);
    let size = before.len();
    for (grown, code, part) in [
        (format!("{before}x\n"), 2, "`data.valid_share`"),
        (format!("{before}{before}"), 3, "is not the training text"),
    ] {
        tiny.write("ga2.txt", &grown);
        let said = refused(code);
        let sizes = format!("ga2.txt` has {} bytes and had {size}", grown.len());
        assert!(said.contains(&sizes) && said.contains(part), "{said}");
        assert!(!said.contains("ga1.txt"), "{said}");
        let advice = commands(&said);
        assert_eq!(advice.len(), 3, "{said}");
        type_line(&tiny, &advice[1]);
        let out = format!("next-{}", grown.len());
        type_line(&tiny, &format!("{} --device cpu --out {out}", advice[2]));
    }
    tiny.write("ga2.txt", &before);
    tiny.write("ga3.txt", text(4, 50));
    let said = refused(3);
    assert!(said.contains("ga3.txt` is new"), "{said}");
    assert!(
        !said.contains("ga1.txt") && !said.contains("ga2.txt"),
        "{said}"
    );
    std::fs::rename(tiny.path("ga3.txt"), tiny.path("other.txt")).unwrap();
    std::fs::rename(tiny.path("ga2.txt"), tiny.path("gone.txt")).unwrap();
    let said = refused(3);
    assert!(said.contains("`ga2.txt` is missing"), "{said}");
    // The text of the run continues.
    std::fs::rename(tiny.path("gone.txt"), tiny.path("ga2.txt")).unwrap();
    let resume = "wlstm train run/config.toml --resume --device cpu --steps 25";
    type_line(&tiny, resume);
    assert_eq!(steps(&tiny.path("run")), 25);
}
