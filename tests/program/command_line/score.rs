//! `wlstm score`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use predicates::prelude::*;
use wlstm::checkpoint::Checkpoint;
use wlstm::config::Config;
use wlstm::corpus::Vocabulary;
use wlstm::device::CpuExecutor;
use wlstm::job::Trained;
use wlstm::model::language_model::Extent;
use wlstm::model::parameter_set::ParameterSet;
use wlstm::train::score::{Score, Scorer};
use wlstm::train::session::LineSession;

use super::tools::{Tiny, json, stdout, text};

/// The columns of each line of output.
fn rows(output: &str) -> Vec<(f64, u64, u64, &str)> {
    output
        .lines()
        .map(|line| {
            let mut columns = line.splitn(4, '\t');
            let mut next = || columns.next().unwrap();
            let numbers = (
                next().parse().unwrap(),
                next().parse().unwrap(),
                next().parse().unwrap(),
            );
            (numbers.0, numbers.1, numbers.2, next())
        })
        .collect()
}

#[test]
fn a_dash_is_standard_input() {
    let tiny = Tiny::trained("sentences", &[]);
    let score = |more: &[&str]| {
        let line = ["score", "run", "--device", "cpu"];
        stdout(
            tiny.wlstm()
                .args(line)
                .args(more)
                .write_stdin("the cat sat\n"),
        )
    };
    assert_eq!(score(&["-"]), score(&[]));
}

#[test]
fn every_line_is_answered_in_order() {
    let tiny = Tiny::trained("sentences", &[]);
    let input = "the cat sat\n\nthe zebra\tsat\r\n.";
    let line = ["score", "run", "--device", "cpu", "--quiet"];
    let output = stdout(tiny.wlstm().args(line).write_stdin(input));
    let found = rows(&output);
    let counts: Vec<_> = found.iter().map(|row| (row.1, row.2, row.3)).collect();
    assert_eq!(
        counts,
        [
            (4, 0, "the cat sat"),
            (1, 0, ""),
            (4, 1, "the zebra\tsat"),
            (2, 0, ".")
        ]
    );
    assert!(found.iter().all(|row| row.0 < 0.0));
    tiny.wlstm()
        .args(line)
        .write_stdin(input)
        .assert()
        .stderr("");
    // A file with more lines than are scored in parallel gives the scores of its single lines.
    let lines = text(9, 100);
    tiny.write("lines.txt", &lines);
    let all = stdout(tiny.wlstm().args(line).arg("lines.txt"));
    let all = rows(&all);
    assert!(all.iter().map(|row| row.3).eq(lines.lines()));
    for row in all.iter().skip(90) {
        let alone = stdout(tiny.wlstm().args(line).write_stdin(row.3));
        assert_eq!(rows(&alone)[0], *row);
    }
}

const TABLES_ON_HOST: [&str; 6] = [
    "--set",
    "model.tables=\"host\"",
    "--set",
    "softmax.kind=\"sampled\"",
    "--set",
    "softmax.samples=4",
];

#[test]
fn a_line_alone_scores_as_it_evaluates() {
    // In contiguous order the end of a first blank line is the token before the words, and not a target.
    let words = "the cat sat on the mat , the dog ran under a tree .";
    for (order, text, options) in [
        ("sentences", format!("{words}\n"), &[][..]),
        ("contiguous", format!("\n{words}\n"), &[]),
        ("sentences", format!("{words}\n"), &TABLES_ON_HOST),
    ] {
        // One stream: with several, the columns of contiguous order would begin in the middle of the line.
        let tiny = Tiny::trained(order, &[&["--set", "train.batch=1"], options].concat());
        tiny.write("line.txt", text);
        let line = [
            "eval", "run", "--data", "line.txt", "--device", "cpu", "--json",
        ];
        let evaluated = json(tiny.wlstm().args(line));
        let line = ["score", "run", "--device", "cpu"];
        let scored = stdout(tiny.wlstm().args(line).write_stdin(words));
        let (log_probability, tokens, ..) = rows(&scored)[0];
        assert_eq!(evaluated["targets"], tokens);
        let expected = evaluated["log_likelihood"].as_f64().unwrap();
        assert!(
            (log_probability - expected).abs() < 1e-4,
            "{scored} {expected}"
        );
    }
}

#[test]
fn scores_do_not_depend_on_the_batch() {
    let tiny = Tiny::trained("sentences", &[]);
    let file = Checkpoint::open(&tiny.checkpoint()).unwrap();
    let config = Config::parse(
        &file.metadata()["config"],
        "x",
        tiny.path("").as_path(),
        &[],
    )
    .unwrap();
    let words = file.tensor_u8("vocab").unwrap();
    let words = Vocabulary::from_bytes(words, config.data.order, "x").unwrap();
    let lines: Vec<Vec<u32>> = text(7, 20)
        .lines()
        .map(|line| words.encode_text(line, config.data.tokens))
        .chain([Vec::new()])
        .collect();
    let score = |batch, unroll| -> Vec<Score> {
        let extent = Extent { batch, unroll };
        let executor = Box::new(CpuExecutor::<f64>::new());
        let set = ParameterSet::Last;
        let mut session = LineSession::new(executor, &config, words.len(), &file, set).unwrap();
        let mut scorer = Scorer::new(&mut session, &words).in_batches_of(extent);
        scorer.score(&lines).unwrap()
    };
    let expected = score(1, 1);
    assert_eq!(expected.len(), lines.len());
    for (batch, unroll) in [(1, 64), (2, 3), (7, 4), (21, 5), (32, 1)] {
        for ((found, expected), line) in score(batch, unroll).iter().zip(&expected).zip(&lines) {
            assert_eq!((found.tokens, found.unknown), (line.len() as u64 + 1, 0));
            let difference = found.log_probability - expected.log_probability;
            assert!(difference.abs() < 1e-9, "{batch} x {unroll}: {difference}");
        }
    }
}

#[test]
fn on_the_cpu_scores_have_the_same_bits_in_every_company() {
    let lstmp = [
        "--set",
        "model.cell=\"lstmp\"",
        "--set",
        "model.projection=40",
    ];
    let flstm = ["--set", "model.cell=\"flstm\"", "--set", "model.factor=24"];
    let adaptive = [
        "--set",
        "softmax.kind=\"adaptive\"",
        "--set",
        "softmax.cutoffs=[4]",
    ];
    for options in [&lstmp[..], &flstm, &TABLES_ON_HOST, &adaptive, &[]] {
        let tiny = Tiny::trained("sentences", options);
        let trained = Trained::open(tiny.path("run")).unwrap().device("cpu");
        let mut lines: Vec<String> = text(5, 300).lines().map(str::to_owned).collect();
        lines.push(lines[..40].join(" "));
        lines.push(String::new());
        let together = trained.score(&lines).unwrap();
        let mut session = trained.line_session().unwrap();
        let mut scorer = Scorer::new(&mut session, trained.vocabulary());
        let tokens = trained.config().data.tokens;
        let ids = |lines: &[String]| -> Vec<Vec<u32>> {
            let encode = |line: &String| trained.vocabulary().encode_text(line, tokens);
            lines.iter().map(encode).collect()
        };
        for count in [1, 3, 20, 70] {
            for start in (0..lines.len()).step_by(61) {
                let range = start..(start + count).min(lines.len());
                let found = scorer.score(&ids(&lines[range.clone()])).unwrap();
                assert_eq!(
                    found, together[range],
                    "{options:?}: {count} lines from {start}"
                );
            }
        }
    }
}

#[test]
fn a_bad_byte_is_named_with_its_line_after_the_lines_before_it() {
    let tiny = Tiny::trained("sentences", &[]);
    tiny.write("bad.txt", b"the cat\na dog\nthe \xff\na\n");
    let line = ["score", "run", "bad.txt", "--device", "cpu", "--quiet"];
    let failed = tiny.wlstm().args(line).assert().code(3);
    let failed = failed.stderr(predicate::str::starts_with("error: bad.txt:3: not UTF-8\n"));
    assert_eq!(
        failed
            .get_output()
            .stdout
            .iter()
            .filter(|byte| **byte == b'\n')
            .count(),
        2
    );
}

#[test]
fn a_stream_is_answered_line_by_line() {
    let tiny = Tiny::trained("sentences", &[]);
    let program = tiny.wlstm().get_program().to_owned();
    let mut child = Command::new(program)
        .args(["score", "run", "--device", "cpu", "--quiet"])
        .current_dir(tiny.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (sender, answers) = channel();
    std::thread::spawn(move || {
        output
            .lines()
            .try_for_each(|line| sender.send(line.unwrap()))
    });
    for question in ["the cat", "a dog ran"] {
        writeln!(input, "{question}").unwrap();
        // The input stays open, so the output must not wait for more lines.
        let answer = answers.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(answer.ends_with(question), "{answer}");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn words_add_up_to_their_line() {
    let tiny = Tiny::trained("sentences", &[]);
    // A line that is longer than many others together does not delay them, and is printed in its position.
    let long = "the cat sat on ".repeat(60);
    let input = format!("a dog\n{long}\nthe zebra ran\n\n") + &text(4, 90);
    let line = ["score", "run", "--device", "cpu", "--quiet"];
    let lines = stdout(tiny.wlstm().args(line).write_stdin(input.clone()));
    let lines = rows(&lines);
    assert!(lines.iter().map(|row| row.3).eq(input.lines()));
    let words = stdout(tiny.wlstm().args(line).arg("--words").write_stdin(input));
    let mut sums = vec![(0.0, 0, 0); lines.len()];
    for row in words.lines() {
        let columns: Vec<&str> = row.split('\t').collect();
        let sum: &mut (f64, u64, u64) = &mut sums[columns[0].parse::<usize>().unwrap() - 1];
        sum.0 += columns[1].parse::<f64>().unwrap();
        sum.1 += 1;
        sum.2 += columns[2].parse::<u64>().unwrap();
    }
    for (sum, line) in sums.iter().zip(&lines) {
        assert!((sum.0 - line.0).abs() < 1e-3, "{sum:?} {line:?}");
        assert_eq!((sum.1, sum.2), (line.1, line.2));
    }
    let first: Vec<&str> = words.lines().take(3).collect();
    let last = |row: &str| row.rsplit('\t').next().unwrap().to_owned();
    let found: Vec<String> = first.into_iter().map(last).collect();
    assert_eq!(found, ["a", "dog", "<S>"]);
    assert!(words.contains("\t1\tzebra\n"));
}

#[test]
fn the_summary_has_all_lines() {
    let tiny = Tiny::trained("sentences", &[]);
    let input = "the cat sat\nthe zebra sat\n";
    let line = ["score", "run", "--device", "cpu"];
    let lines = tiny.wlstm().args(line).write_stdin(input).assert();
    let output = lines.success().get_output().clone();
    let found = String::from_utf8(output.stdout).unwrap();
    let found = rows(&found);
    let with = (-(found[0].0 + found[1].0) / 8.0).exp();
    let summary = stdout(tiny.wlstm().args(line).arg("--summary").write_stdin(input));
    let numbers: Vec<(&str, f64)> = summary
        .lines()
        .map(|line| line.split_once(":\t").unwrap())
        .map(|(name, number)| {
            (
                name,
                number.trim_start_matches("at least ").parse().unwrap(),
            )
        })
        .collect();
    let names: Vec<&str> = numbers.iter().map(|(name, _)| *name).collect();
    let kenlm = [
        "Perplexity including OOVs",
        "Perplexity excluding OOVs",
        "OOVs",
        "Tokens",
    ];
    assert_eq!(names, [&kenlm[..], &["Bits per byte"]].concat());
    // One word is unknown. The bytes are those of the input.
    assert!(summary.contains("Bits per byte:\tat least "), "{summary}");
    let nll = -(found[0].0 + found[1].0);
    let bits = nll / std::f64::consts::LN_2 / input.len() as f64;
    assert!((numbers[4].1 - bits).abs() < 1e-3, "{summary} {bits}");
    let document = json(
        tiny.wlstm()
            .args(line)
            .args(["--summary", "--json"])
            .write_stdin(input),
    );
    assert_eq!(document["bytes"], input.len());
    assert_eq!(document["bits_per_byte_is_lower_bound"], true);
    assert_eq!(
        (&document["lines"], &document["tokens"]),
        (&2.into(), &8.into())
    );
    assert!((document["bits_per_byte"].as_f64().unwrap() - bits).abs() < 1e-6);
    assert!((document["perplexity"].as_f64().unwrap() - with).abs() < 1e-4);
    tiny.wlstm().args(line).arg("--json").assert().code(2);
    assert!((numbers[0].1 - with).abs() < 1e-3, "{summary} {with}");
    assert_eq!((numbers[2].1, numbers[3].1), (1.0, 8.0));
    // Without the zebra.
    let words = stdout(tiny.wlstm().args(line).arg("--words").write_stdin(input));
    let zebra = words.lines().find(|row| row.ends_with("zebra")).unwrap();
    let zebra: f64 = zebra.split('\t').nth(1).unwrap().parse().unwrap();
    let without = (-(found[0].0 + found[1].0 - zebra) / 7.0).exp();
    assert!((numbers[1].1 - without).abs() < 1e-3, "{summary} {without}");
    // It is printed to standard error, in addition to the lines.
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains(&summary), "{errors}");
}

/// The same warning as that of a training, and another one if the model has learned a few unknown words.
#[test]
fn many_unknown_words_are_a_warning_of_eval_and_score() {
    let tiny = Tiny::trained("sentences", &[]);
    let others = "zebra lion\n".repeat(20);
    tiny.write("others.txt", &others);
    let rare: String = (0..6).map(|k| format!("rare{k}\n")).collect();
    let texts = text(1, 60) + &rare;
    tiny.write("train.txt", texts);
    let line = ["train", "tiny.toml", "--out", "some", "--device", "cpu"];
    let line = [&line[..], &["--set", "data.min_count=2"]].concat();
    tiny.wlstm().args(line).assert().success();
    let warned = |arguments: &[&str]| {
        let output = tiny
            .wlstm()
            .args(arguments)
            .args(["--device", "cpu"])
            .output();
        let output = output.unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let many = "of the targets of the text are unknown words, but ";
    for (run, says) in [
        (
            "run",
            "the training text has none, so the model has not learned",
        ),
        ("some", "the perplexity cannot be compared"),
    ] {
        for text in [&["others.txt", "--summary"][..], &["others.txt"]] {
            let said = warned(&[&["score", run], text].concat());
            assert!(said.contains(many) && said.contains(says), "{said}");
        }
        let said = warned(&["eval", run, "--data", "others.txt"]);
        assert!(said.contains(many) && said.contains(says), "{said}");
        for line in [
            ["score", run, "valid.txt"],
            ["eval", run, "--data=valid.txt"],
        ] {
            let said = warned(&line);
            assert!(!said.contains("unknown words"), "{said}");
        }
    }
}
