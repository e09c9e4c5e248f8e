//! Bad input: one chain that ends in help, the exit code of its kind, nothing on standard output.

use super::tools::Tiny;

/// Runs a command that must fail.
fn fails(tiny: &Tiny, line: &[&str], code: i32, says: &str) {
    let failed = tiny.wlstm().args(line).assert().code(code).stdout("");
    let error = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    let count = |what: &str| {
        error
            .lines()
            .filter(|line| line.trim_start().starts_with(what))
            .count()
    };
    assert_eq!(
        (count("error: "), count("help: ")),
        (1, 1),
        "{line:?}\n{error}"
    );
    assert!(error.contains(says), "{line:?}\n{error}");
    assert!(!error.contains("panicked"), "{line:?}\n{error}");
}

#[test]
fn missing_runs_are_named() {
    let tiny = Tiny::trained("sentences", &[]);
    let checkpoint = std::fs::read(tiny.checkpoint()).unwrap();
    tiny.write("cut.safetensors", &checkpoint[..checkpoint.len() / 2]);
    tiny.write("empty.safetensors", "");
    std::fs::create_dir(tiny.path("folder")).unwrap();
    for command in ["eval", "score", "generate"] {
        for (run, says) in [
            ("none", "there is no run and no checkpoint at `none`"),
            ("folder", "there is no checkpoint in `folder`"),
            (".", "give the path of the run in it, `./run`"),
            ("cut.safetensors", "`cut.safetensors` is truncated"),
            ("empty.safetensors", "`empty.safetensors` is empty"),
            ("train.txt", "`train.txt` is not a safetensors file"),
            (
                "tiny.toml",
                "this is a configuration; give the folder of a run",
            ),
        ] {
            fails(&tiny, &[command, run, "--device", "cpu"], 3, says);
        }
    }
}

#[test]
fn missing_devices_and_texts_are_named() {
    let tiny = Tiny::trained("sentences", &[]);
    tiny.write("empty.txt", "");
    tiny.write("blank.txt", "\n\n");
    tiny.write("bad.txt", b"the cat\n\xff\n");
    for command in ["eval", "score", "generate"] {
        fails(
            &tiny,
            &[command, "run", "--device", "cuda"],
            2,
            "`cuda` is not a device",
        );
        fails(
            &tiny,
            &[command, "run", "--device", "gpu:no such card"],
            4,
            "no device `gpu:no such card`",
        );
    }
    for (data, says) in [
        ("empty.txt", "`empty.txt` is empty"),
        ("blank.txt", "blank.txt"),
        ("none.txt", "there is no file `none.txt`"),
        ("bad.txt", "bad.txt:2: not UTF-8"),
        ("*.none", "no file matches `*.none`"),
    ] {
        fails(
            &tiny,
            &["eval", "run", "--device", "cpu", "--data", data],
            3,
            says,
        );
    }
    for (set, says) in [
        (
            "data.train=none.txt",
            "`--set data.train` names it, but it is neither in",
        ),
        (
            "data.valid=none.txt",
            "`--set data.valid` names it, but it is neither in",
        ),
        ("data.train=/none.txt", "there is no file `/none.txt`"),
    ] {
        let line = ["train", "tiny.toml", "--device", "cpu", "--set", set];
        fails(&tiny, &line, 3, says);
    }
    fails(
        &tiny,
        &["score", "run", "none.txt", "--device", "cpu"],
        3,
        "cannot read `none.txt`",
    );
    fails(
        &tiny,
        &["score", "run", "/", "--device", "cpu"],
        3,
        "cannot read `/`",
    );
    std::fs::remove_file(tiny.path("valid.txt")).unwrap();
    fails(
        &tiny,
        &["eval", "run", "--device", "cpu"],
        3,
        "cannot use the run's validation text",
    );
}

#[test]
fn a_run_without_texts_to_evaluate_is_an_error() {
    let tiny = Tiny::trained("sentences", &["--set", "data.valid=[]"]);
    fails(
        &tiny,
        &["eval", "run", "--device", "cpu"],
        2,
        "neither test nor validation text",
    );
}

/// The disk is full in the middle of a checkpoint, while more of it is being prepared. Emulated by a limit on file sizes.
#[cfg(unix)]
#[test]
fn a_checkpoint_that_does_not_fit_leaves_no_file() {
    let tiny = Tiny::new("sentences");
    let shell = format!(
        "trap '' XFSZ; ulimit -f 40000; exec {} train tiny.toml --device cpu --out run --steps 1 \
         --set model.hidden=1024 --set model.projection=512 --set model.embedding=512 --set 'data.valid=[]'",
        assert_cmd::cargo::cargo_bin("wlstm").display()
    );
    let failed = assert_cmd::Command::new("sh")
        .args(["-c", &shell])
        .current_dir(tiny.path("."))
        .env_remove("RUST_LOG")
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .assert()
        .code(3);
    let error = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(
        error.contains("cannot write `run/checkpoints/step-00000001.safetensors`"),
        "{error}"
    );
    assert!(error.contains("help: "), "{error}");
    let left = std::fs::read_dir(tiny.path("run/checkpoints")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn commands_on_models_name_what_they_cannot_use() {
    let tiny = Tiny::trained("sentences", &[]);
    tiny.write("other.toml", "[model]\ncell = \"lstmp\"\nhiden = 3\n");
    tiny.write("junk", b"\x00\x01\xfe\xff");
    std::fs::create_dir(tiny.path("folder")).unwrap();
    let sentences: &[(&[&str], i32, &str)] = &[
        (&["export", "none", "--out", "a"], 3, "`none`"),
        (&["export", "junk", "--out", "a"], 3, "`junk`"),
        (&["export", "run", "--out", "no/a"], 3, "no folder `no`"),
        (
            &["export", "run", "--out", "folder", "--format", "onnx"],
            3,
            "`folder`",
        ),
        (
            &["import", "none", "--config", "tiny.toml", "--out", "a"],
            3,
            "`none`",
        ),
        (
            &["import", "junk", "--config", "tiny.toml", "--out", "a"],
            3,
            "`junk`",
        ),
        (
            &["import", "junk", "--config", "none", "--out", "a"],
            2,
            "`none`",
        ),
        (
            &["import", "junk", "--config", "other.toml", "--out", "a"],
            2,
            "hiden",
        ),
        (
            &["factorize", "none", "--factor", "2", "--out", "a"],
            3,
            "`none`",
        ),
        (
            &["factorize", "run", "--factor", "2", "--out", "a"],
            2,
            "`lstmp`",
        ),
        (&["report", "none"], 3, "`none`"),
        (&["report", "folder"], 3, "no checkpoint in `folder`"),
        (
            &["report", "run", "--out", "no/a.html"],
            3,
            "no folder `no`",
        ),
        (&["compare", "none.toml", "--steps", "1"], 2, "`none.toml`"),
        (&["compare", "other.toml", "--steps", "1"], 2, "hiden"),
        (
            &["compare", "tiny.toml", "--variants", "gru", "--steps", "1"],
            2,
            "gru",
        ),
        (&["validate", "--filter", "gru"], 2, "gru"),
        (
            &["validate", "--device", "gpu:no such card"],
            4,
            "no such card",
        ),
        (&["score", "run", "folder"], 3, "`folder`"),
        (&["score", "run", "none"], 3, "`none`"),
        (&["help", "colours"], 2, "colours"),
        (&["vocab", "none", "--out", "a"], 3, "`none`"),
    ];
    for (line, code, says) in sentences {
        fails(&tiny, line, *code, says);
    }
    // Errors of the argument parser end with a reference to --help instead.
    let usages: &[&[&str]] = &[
        &["compare", "tiny.toml", "--seconds", "0"],
        &["compare", "tiny.toml", "--seconds", "nan"],
        &["compare", "tiny.toml", "--steps", "-1"],
        &["compare", "tiny.toml", "--format", "pdf"],
        &["export", "run", "--out", "a", "--format", "keras"],
        &["export", "run"],
        &["import", "junk", "--out", "a"],
        &["factorize", "run", "--out", "a", "--factor", "0"],
        &["factorize", "run", "--out", "a", "--factor", "two"],
        &["factorize", "run", "--out", "a"],
        &[
            "factorize",
            "run",
            "--out",
            "a",
            "--factor",
            "2",
            "--groups",
            "2",
        ],
        &["generate", "run", "--top-p", "0"],
        &["generate", "run", "--top-p", "1.5"],
        &["generate", "run", "--samples", "0"],
        &["generate", "run", "--temperature", "-1"],
        &["score", "run", "--words", "--summary"],
        &["validate", "--all", "--device", "cpu"],
        &["report"],
    ];
    for line in usages {
        let failed = tiny.wlstm().args(*line).assert().code(2).stdout("");
        let error = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
        let count = error.lines().filter(|line| line.starts_with("error: "));
        assert_eq!(count.count(), 1, "{line:?}\n{error}");
        assert!(error.contains("--help"), "{line:?}\n{error}");
    }
    // Nothing was created.
    assert!(!tiny.path("a").exists());
}
