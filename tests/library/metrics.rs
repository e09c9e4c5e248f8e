//! The metrics of a run: the format of lines, which steps are written, and what a resume removes.

use std::path::Path;

use wlstm::error::Kind;
use wlstm::metrics::{End, Line, Start, Step, Valid, Writer, read};

fn start(resumed: u64) -> Start {
    Start {
        version: "0.1.0".into(),
        config: "shakespeare".into(),
        digest: "0123456789abcdef".into(),
        devices: vec!["cpu".into()],
        system: "a machine".into(),
        vocabulary: Some(100),
        parameters: 13_986_078,
        resumed,
        memory: vec![123_456],
    }
}

fn step(step: u64) -> Step {
    Step {
        step,
        epoch: 1,
        loss: f64::from(0.1f32) + step as f64,
        words_per_second: 12_345.678,
        learning_rate: 0.2,
        grad_norm: 1e-7,
        seconds: 0.1 + 0.2,
        words: 1_280 * step,
    }
}

fn valid(step: u64) -> Valid {
    Valid {
        unigram: None,
        bytes: Some(1_000_000),
        bits_per_byte: Some(1.75),
        step,
        nll: 1_234.5,
        targets: 217_646,
        perplexity: 252.9,
        seconds: 1.5,
        unknown: Some(12_000),
        unknown_trained: Some(9),
        average: Some(true),
    }
}

fn steps_in(path: &Path) -> Vec<u64> {
    let step = |line| {
        if let Line::Step(step) = line {
            Some(step.step)
        } else {
            None
        }
    };
    read(path).unwrap().into_iter().filter_map(step).collect()
}

#[test]
fn lines_have_the_documented_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut writer = Writer::create(&path, 1).unwrap();
    writer.start(start(0)).unwrap();
    writer.step(step(1)).unwrap();
    writer.valid(valid(1)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3, "each line is written at once");
    writer.end("steps").unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            r#"{"kind":"start","version":"0.1.0","config":"shakespeare","digest":"0123456789abcdef","devices":["cpu"],"parameters":13986078,"vocabulary":100,"resumed":0,"memory":[123456],"system":"a machine"}"#,
            r#"{"kind":"step","step":1,"epoch":1,"loss":1.1000000014901161,"words_per_second":12345.678,"learning_rate":0.2,"grad_norm":1e-7,"seconds":0.30000000000000004,"words":1280}"#,
            r#"{"kind":"valid","step":1,"nll":1234.5,"targets":217646,"perplexity":252.9,"seconds":1.5,"unknown":12000,"unknown_trained":9,"average":true,"bytes":1000000,"bits_per_byte":1.75}"#,
            r#"{"kind":"end","reason":"steps"}"#,
        ]
    );
    let expected = [
        Line::Start(start(0)),
        Line::Step(step(1)),
        Line::Valid(valid(1)),
        Line::End(End {
            reason: "steps".into(),
        }),
    ];
    assert_eq!(read(&path).unwrap(), expected);
}

#[test]
fn numbers_round_trip_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut writer = Writer::create(&path, 1).unwrap();
    let mut stream = wlstm::random::Stream::new(1, wlstm::random::Purpose::Shuffle, 0);
    let losses: Vec<f64> = (0..2000)
        .map(|_| stream.uniform() * 10f64.powi(stream.below(40) as i32 - 20))
        .collect();
    for (index, &loss) in losses.iter().enumerate() {
        writer
            .step(Step {
                loss,
                ..step(index as u64 + 1)
            })
            .unwrap();
    }
    let read: Vec<u64> = read(&path)
        .unwrap()
        .into_iter()
        .map(|line| {
            if let Line::Step(step) = line {
                step.loss.to_bits()
            } else {
                0
            }
        })
        .collect();
    assert_eq!(
        read,
        losses.iter().map(|loss| loss.to_bits()).collect::<Vec<_>>()
    );
}

#[test]
fn nan_and_infinity_are_null() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut writer = Writer::create(&path, 1).unwrap();
    writer
        .step(Step {
            loss: f64::NAN,
            grad_norm: f64::INFINITY,
            ..step(1)
        })
        .unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains(r#""loss":null"#) && text.contains(r#""grad_norm":null"#),
        "{text}"
    );
    let lines = read(&path).unwrap();
    assert!(
        matches!(&lines[..], [Line::Step(step)] if step.loss.is_nan() && step.grad_norm.is_nan())
    );
}

#[test]
fn the_first_ten_steps_and_the_last_one_are_always_written() {
    let folder = tempfile::tempdir().unwrap();
    for (name, last, expected) in [
        ("a", 24, vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 24]),
        ("b", 20, vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20]),
        ("c", 3, vec![1, 2, 3]),
        ("d", 0, vec![]),
    ] {
        let path = folder.path().join(name);
        let mut writer = Writer::create(&path, 20).unwrap();
        for at in 1..=last {
            writer.step(step(at)).unwrap();
        }
        writer.end("steps").unwrap();
        assert_eq!(steps_in(&path), expected);
        assert!(matches!(read(&path).unwrap().last(), Some(Line::End(_))));
    }
}

#[test]
fn a_resume_removes_lines_after_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut writer = Writer::create(&path, 1).unwrap();
    writer.start(start(0)).unwrap();
    for at in 1..=6 {
        writer.step(step(at)).unwrap();
        if at % 2 == 0 {
            writer.valid(valid(at)).unwrap();
        }
    }
    drop(writer);
    let whole = std::fs::read_to_string(&path).unwrap();
    let expected: Vec<&str> = whole.split_inclusive('\n').take(7).collect();
    // A killed process may leave an incomplete last line.
    for cut in (1..whole.len()).rev().step_by(11) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let lines = read(&path).unwrap();
        assert_eq!(lines.len(), whole[..cut].matches('\n').count());
        Writer::resume(&path, 1, 4, true).unwrap();
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(kept.is_empty() || kept.ends_with('\n'));
        assert_eq!(kept, expected.concat()[..kept.len()]);
        assert_eq!(kept.matches('\n').count(), lines.len().min(7));
    }
    // A loss of power may leave zeros at the end.
    std::fs::write(&path, [whole.as_bytes(), &[0; 300]].concat()).unwrap();
    assert_eq!(read(&path).unwrap().len(), whole.matches('\n').count());
    Writer::resume(&path, 1, 6, true).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    std::fs::write(&path, &whole).unwrap();
    let mut writer = Writer::resume(&path, 1, 4, true).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected.concat());
    writer.start(start(4)).unwrap();
    writer.step(step(5)).unwrap();
    writer.end("steps").unwrap();
    assert_eq!(steps_in(&path), [1, 2, 3, 4, 5]);
    assert!(matches!(read(&path).unwrap()[7], Line::Start(_)));
    // A validation that the checkpoint does not contain is repeated.
    std::fs::write(&path, &whole).unwrap();
    Writer::resume(&path, 1, 4, false).unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        expected[..6].concat()
    );
    std::fs::write(&path, expected.concat()).unwrap();
    let mut writer = Writer::resume(&path, 1, 4, true).unwrap();
    writer.step(step(5)).unwrap();
    drop(writer);
    // A resume at the last step removes nothing.
    let before = std::fs::read(&path).unwrap();
    Writer::resume(&path, 1, 5, true).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn unusable_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    assert_eq!(read(&path).unwrap_err().kind(), Kind::Data);
    Writer::resume(&path, 1, 3, true)
        .unwrap()
        .end("steps")
        .unwrap();
    assert_eq!(Writer::create(&path, 1).unwrap_err().kind(), Kind::Data);
    assert_eq!(read(&path).unwrap().len(), 1);
    let broken = "{\"kind\":\"end\",\"reason\":\"a\"}\n{\"kind\":\"other\"}\n{\"kind\":\"end\",\"reason\":\"b\"}\n";
    std::fs::write(&path, broken).unwrap();
    let error = Writer::resume(&path, 1, 3, true).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains("metrics.jsonl:2"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
    let none = folder.path().join("none/metrics.jsonl");
    assert_eq!(Writer::create(&none, 1).unwrap_err().kind(), Kind::Data);
}

/// Resuming removes later lines, and a last line without its end. A file with other lines is not a metrics file and is not
/// changed.
#[test]
fn other_files_are_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let good = "{\"kind\":\"end\",\"reason\":\"a\"}\n";
    for text in [
        "A thesis in one line.\n",
        "A thesis in one line.",
        &format!("{good}A thesis.\n"),
        &format!("{good}A thesis."),
        &format!("{good}{{\"kind\":\"end\",\"rea\n"),
        "\0\0\0\0",
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), Kind::Data, "{text}");
        let error = Writer::resume(&path, 1, 3, true).unwrap_err();
        assert_eq!(error.kind(), Kind::Data, "{text}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    for end in ["{", "{\"kind\":\"end\",\"reason\":\"b\"}"] {
        std::fs::write(&path, [good, end].concat()).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
        drop(Writer::resume(&path, 1, 0, true).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), good);
    }
}
