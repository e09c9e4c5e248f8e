//! Files that are not UTF-8 text are recognised before training.

use super::{CONFIG, Small, failed};
use crate::common::program::{Ended, program, text, wlstm};

/// Files, and a part of the command that converts each.
fn foreign() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let plain = "the cat sat on the mat\nthe dog sat\n".repeat(20);
    let units = || plain.encode_utf16();
    let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
    let russian =
        "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442} \u{43c}\u{438}\u{440}.\n".repeat(2000);
    let chinese = "\u{4f60}\u{597d}\u{4e16}\u{754c}\n".repeat(2000);
    let wide = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>()
    };
    let wider = |text: &str| {
        text.chars()
            .flat_map(|c| u32::from(c).to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let old = plain.replace('\n', "\r");
    let binary = "only plain text in UTF-8 can be read";
    let late = format!("{}the \0 cat\n", "a line of text\n".repeat(8000));
    vec![
        (
            "UTF-16 with a mark",
            [b"\xff\xfe", &little[..]].concat(),
            "iconv -f utf-16 -t utf-8",
        ),
        (
            "big UTF-16 with a mark",
            [b"\xfe\xff", &big[..]].concat(),
            "iconv -f utf-16 -t utf-8",
        ),
        ("UTF-16", little, "iconv -f utf-16le -t utf-8"),
        ("big UTF-16", big, "iconv -f utf-16be -t utf-8"),
        (
            "gzip",
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03abc".to_vec(),
            "gzip -dc",
        ),
        ("zip", b"PK\x03\x04\x14\0\0\0\x08\0".to_vec(), "unzip"),
        ("xz", b"\xfd7zXZ\0\0\x04".to_vec(), "xz -dc"),
        ("zstd", b"\x28\xb5\x2f\xfd\x24\0".to_vec(), "zstd -dc"),
        ("bzip2", b"BZh91AY&SY\xd8\xff\0\x01".to_vec(), "bzip2 -dc"),
        (
            "a NUL byte",
            b"the \0 cat\nsat\n".repeat(9),
            "tr -d '\\000'",
        ),
        (
            "a NUL byte after 64 KiB",
            late.into_bytes(),
            "tr -d '\\000'",
        ),
        (
            "carriage returns",
            old.clone().into_bytes(),
            "tr '\\r' '\\n'",
        ),
        (
            "carriage returns and a last line feed",
            format!("{old}\n").into_bytes(),
            "perl -pe 's/\\r\\n?/\\n/g'",
        ),
        (
            "half carriage returns, half line feeds",
            format!("{old}{plain}").into_bytes(),
            "tr '\\r' '\\n'",
        ),
        (
            "half line feeds, half carriage returns",
            format!("{plain}{old}").into_bytes(),
            "tr '\\r' '\\n'",
        ),
        (
            "all line ends",
            format!("{}{plain}{old}", plain.replace('\n', "\r\n")).into_bytes(),
            "perl -pe 's/\\r\\n?/\\n/g'",
        ),
        ("Cyrillic UTF-16", wide(&russian), "iconv -f utf-16le"),
        ("Chinese UTF-16", wide(&chinese), "iconv -f utf-16le"),
        ("Cyrillic UTF-32", wider(&russian), "iconv -f utf-32le"),
        (
            "tar",
            [
                &[b'a'; 257][..],
                b"ustar\x0000",
                &[0; 247],
                plain.as_bytes(),
            ]
            .concat(),
            "tar -xf",
        ),
        (
            "PNG",
            [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &[0; 99]].concat(),
            binary,
        ),
        (
            "a database",
            [&b"SQLite format 3\0"[..], &b"abc \n".repeat(99)].concat(),
            binary,
        ),
        (
            "numbers",
            (0..5000_u32).flat_map(u32::to_le_bytes).collect(),
            binary,
        ),
    ]
}

#[test]
fn foreign_files_are_refused_with_the_command_that_converts_them() {
    let small = Small::trained("the cat sat on the mat\nthe dog sat\n".repeat(9));
    let out = small.folder.path("out");
    for (what, bytes, command) in foreign() {
        let file = small.folder.write("foreign.txt", &bytes);
        let before = small.folder.snapshot();
        let (config, run, file, out) = (
            text(&small.config),
            text(&small.run),
            text(&file),
            text(&out),
        );
        let set = |key: &str| format!("data.{key}={file}");
        let (train, valid) = (set("train"), set("valid"));
        let uses: [&[&str]; 6] = [
            &[
                "train", config, "--out", out, "--device", "cpu", "--set", &train,
            ],
            &[
                "train", config, "--out", out, "--device", "cpu", "--set", &valid,
            ],
            &["vocab", file, "--out", out],
            &["eval", run, "--data", file, "--device", "cpu"],
            &["score", run, file, "--device", "cpu"],
            &[
                "train",
                config,
                "--out",
                out,
                "--device",
                "cpu",
                "--set",
                &format!("data.vocab={file}"),
            ],
        ];
        for arguments in uses {
            // A malformed line of a vocabulary has an error of its own.
            let is_vocabulary = arguments
                .iter()
                .any(|argument| argument.contains("data.vocab"));
            if is_vocabulary && what.contains("after") {
                continue;
            }
            eprintln!("{what}: {arguments:?}");
            failed(&wlstm(arguments), 3, &[command]);
        }
        assert!(
            before == small.folder.snapshot(),
            "{what}: files have changed"
        );
        let mut command_line = assert_cmd::Command::from_std(program());
        command_line.args(["score", run, "--device", "cpu", "-q"]);
        let ended: Ended = command_line
            .write_stdin(bytes)
            .output()
            .expect("the program")
            .into();
        failed(&ended, 3, &[command]);
    }
}

/// The command of the error gives the text that was meant.
#[cfg(unix)]
#[test]
fn the_command_of_the_error_converts_the_text() {
    let small = Small::new("a b\n".repeat(20));
    let plain =
        "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442} \u{43c}\u{438}\u{440}.\nthe cat\n".repeat(300);
    let units = || plain.encode_utf16();
    let (mac, dos) = (plain.replace('\n', "\r"), plain.replace('\n', "\r\n"));
    let wide: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
    let wider = plain.chars().flat_map(|c| u32::from(c).to_le_bytes());
    for (bytes, text) in [
        (wide, plain.clone()),
        (wider.collect(), plain.clone()),
        (mac.clone().into_bytes(), plain.clone()),
        (format!("{mac}{dos}{plain}").into_bytes(), plain.repeat(3)),
        (format!("{dos}{mac}").into_bytes(), plain.repeat(2)),
    ] {
        let file = small.folder.write("a text", &bytes);
        let ended = wlstm(&["vocab", crate::common::program::text(&file), "--out", "-"]);
        failed(&ended, 3, &["convert it first with"]);
        let command = ended
            .stderr
            .lines()
            .find(|line| line.contains("> text.txt"))
            .expect("a command");
        let shell = std::process::Command::new("sh")
            .args(["-c", command])
            .current_dir(small.folder.path(""))
            .status()
            .expect("a shell");
        assert!(shell.success(), "{command}");
        let converted = std::fs::read_to_string(small.folder.path("text.txt"));
        assert!(converted.expect("text") == text, "{command}");
    }
}

#[test]
fn a_configuration_in_utf16_is_recognised() {
    let small = Small::new("a b\n".repeat(20));
    let bytes: Vec<u8> = std::iter::once(0xfeff)
        .chain(CONFIG.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let config = small.folder.write("utf16.toml", bytes);
    failed(
        &wlstm(&["plan", text(&config)]),
        2,
        &["iconv -f utf-16 -t utf-8"],
    );
}

#[test]
fn the_home_folder_is_expanded() {
    let small = Small::new("a b\n".repeat(20));
    let home = small.folder.path("home");
    small
        .folder
        .write("home/texts/own.txt", "a b c d\n".repeat(20));
    for set in ["data.train=~/texts/own.txt", "data.train=['~/texts/*.txt']"] {
        let mut command = program();
        command.env("HOME", &home).args([
            "train",
            text(&small.config),
            "--device",
            "cpu",
            "--set",
            set,
            "--out",
        ]);
        let out = small.folder.path(&format!("run{}", set.len()));
        let ended: Ended = command.arg(&out).output().expect("the program").into();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let saved = std::fs::read_to_string(out.join("config.toml")).expect("a configuration");
        assert!(
            saved.contains(&format!("{}/texts/", text(&home))),
            "{saved}"
        );
    }
}

/// A checkpoint from an untrusted source can name any file of this machine.
#[test]
fn eval_names_the_text_before_it_reads_it() {
    let small = Small::new("a b\n".repeat(20));
    let secret = small.folder.write("secret.txt", b"no \0 text\n");
    let set = format!("data.test={}", text(&secret));
    crate::common::program::train(&small.config, &small.run, "cpu", &["--set", &set]);
    let ended = wlstm(&["eval", text(&small.run), "--device", "cpu"]);
    let named = ended
        .stderr
        .find("Evaluating the run's test text: ")
        .expect("a note");
    let failed = ended.stderr.find("error: ").expect("an error");
    assert!(named < failed, "{}", ended.stderr);
}

#[test]
fn long_names_are_refused_at_once() {
    let small = Small::new("a b\n".repeat(20));
    let begin = std::time::Instant::now();
    let long = "k".repeat(5_000_000);
    for contents in [
        format!("[train]\n{long} = 1\n"),
        format!("[{long}]\nx = 1\n"),
        format!("{long} = 1\n"),
        format!("[model]\ncell = \"{}\"\n", &long[..4_000_000]),
        format!("[data]\ntrain = {}\n", "[".repeat(1_000_000)),
        format!("[model]\n{} = 1\n", &long[..3_000_000]),
    ] {
        let config = small.folder.write("long.toml", contents);
        let ended = wlstm(&["plan", text(&config)]);
        failed(&ended, 2, &["long.toml"]);
        assert!(
            ended.stderr.len() < 3000,
            "{} bytes of error",
            ended.stderr.len()
        );
    }
    let key = format!("model.{}=1", &long[..100_000]);
    let ended = wlstm(&["plan", text(&small.config), "--set", &key]);
    failed(&ended, 2, &["there is no key"]);
    assert!(
        ended.stderr.len() < 3000,
        "{} bytes of error",
        ended.stderr.len()
    );
    let seconds = begin.elapsed().as_secs();
    assert!(seconds < 20, "{seconds} s");
}
