//! Runs that fail: devices, memory, divergence.

use crate::common::program::{
    checkpoint, checkpoints, lines_of, losses, metrics, train, training, wlstm,
};

use super::case::{Case, DEVICE, DIVERGED, USAGE, explained, unchanged};

#[test]
fn devices() {
    let case = Case::new();
    let before = case.folder.snapshot();
    for (device, code) in [
        ("gpu:99", DEVICE),
        ("gpu:no-such-adapter", DEVICE),
        ("cuda", USAGE),
    ] {
        let ended = wlstm(&training(&case.config, &case.run, device, &[]));
        explained(&ended, code, &[device]);
        unchanged(&before, &case.folder.snapshot());
    }
    // The second of two devices.
    case.refused(&["--device", "cuda"], USAGE, &["cuda"]);
}

/// Four terabytes of weights in tensors that 32-bit indices can address.
const TOO_LARGE_FOR_ANY_MACHINE: [&str; 14] = [
    "--set",
    "model.cell=lstmp",
    "--set",
    "model.layers=100",
    "--set",
    "model.hidden=16384",
    "--set",
    "model.projection=0",
    "--set",
    "train.batch=1",
    "--set",
    "train.unroll=1",
    "--set",
    "train.ema=0.5",
];

#[test]
fn out_of_memory() {
    let gpus = crate::common::gpus()
        .iter()
        .map(|gpu| format!("gpu:{}", gpu.adapter.summary.index));
    for device in gpus.chain(["cpu".to_owned()]) {
        let case = Case::new();
        let before = case.folder.snapshot();
        let arguments = training(&case.config, &case.run, &device, &TOO_LARGE_FOR_ANY_MACHINE);
        explained(
            &wlstm(&arguments),
            DEVICE,
            if device == "cpu" { &["memory"] } else { &[] },
        );
        unchanged(&before, &case.folder.snapshot());
    }
    // Tensors that can be bound, but more than the memory of this machine, which software adapters use.
    let software = crate::common::gpus()
        .iter()
        .filter(|gpu| !gpu.adapter.summary.is_hardware());
    for gpu in software {
        let case = Case::new();
        let before = case.folder.snapshot();
        let device = format!("gpu:{}", gpu.adapter.summary.index);
        let sets = [
            "model.cell=lstmp",
            "model.layers=100",
            "model.hidden=2000",
            "model.embedding=2000",
            "model.projection=0",
            "train.batch=1",
            "train.unroll=1",
            "train.optimizer=adam",
        ];
        let more: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
        let ended = wlstm(&training(&case.config, &case.run, &device, &more));
        explained(
            &ended,
            DEVICE,
            &["memory", "parameters and optimizer state"],
        );
        unchanged(&before, &case.folder.snapshot());
    }
}

/// A run continues when standard error cannot be written.
#[test]
#[cfg(target_os = "linux")]
fn standard_error_that_cannot_be_written() {
    let case = Case::new();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let status = crate::common::program::program()
        .args(training(&case.config, &case.run, "cpu", &[]))
        .env("RUST_LOG", "wlstm=trace")
        .stdout(std::process::Stdio::null())
        .stderr(full.expect("/dev/full"))
        .status();
    assert_eq!(status.expect("the program starts").code(), Some(0));
    assert_eq!(checkpoints(&case.run).last(), Some(&6));
}

/// A run that diverges keeps its last good checkpoint and names it.
#[test]
fn divergence() {
    let case = Case::new()
        .with("steps = 6", "steps = 40")
        .with("checkpoint_every = 2", "checkpoint_every = 3");
    let calm = ["--steps", "3"];
    train(&case.config, &case.run, "cpu", &calm);
    let good = std::fs::read(checkpoint(&case.run, 3)).expect("a checkpoint");
    // The same run with a learning rate that makes every weight overflow.
    let wild = Case::new()
        .with("steps = 6", "steps = 40\nlearning_rate = 1e30")
        .with("checkpoint_every = 2", "checkpoint_every = 1");
    let ended = wlstm(&training(&wild.config, &wild.run, "cpu", &[]));
    explained(&ended, DIVERGED, &["diverged", "learning_rate"]);
    let lines = metrics(&wild.run);
    let last = lines.last().expect("metrics");
    assert_eq!(
        (&last["kind"], &last["reason"]),
        (&"end".into(), &"diverged".into())
    );
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(wild.run.join("run.json")).expect("a record"))
            .expect("JSON");
    assert_eq!(record["status"], "diverged");
    let kept = checkpoints(&wild.run);
    for step in &kept {
        let tensors = crate::common::program::Tensors::read(&checkpoint(&wild.run, *step));
        for name in tensors.tensors.keys().filter(|name| *name != "vocab") {
            let finite = tensors.values(name).iter().all(|value| value.is_finite());
            assert!(finite, "`{name}` of step {step}");
        }
    }
    // Without clipping the outputs saturate: the loss stays finite but never falls.
    let saturated = case.folder.path("saturated");
    let set = |value| ["--set", value];
    let more = [
        set("train.learning_rate=1e20"),
        set("train.optimizer=sgd"),
        set("train.clip_norm=0"),
    ];
    let ended = wlstm(&training(&case.config, &saturated, "cpu", &more.concat()));
    explained(&ended, DIVERGED, &["diverged", "learning_rate"]);
    // The learning rate rises until the run diverges: the checkpoint that is kept is a usable model.
    let rising = case.folder.path("rising");
    let more = [
        set("train.learning_rate=40"),
        set("train.schedule=cosine"),
        set("train.warmup_steps=50"),
        set("train.optimizer=sgd"),
        set("train.clip_norm=0"),
        set("train.ema=0"),
        set("train.checkpoint_every=1"),
        set("train.keep=1"),
    ];
    let ended = wlstm(&training(&case.config, &rising, "cpu", &more.concat()));
    let kept = checkpoints(&rising);
    let step = *kept.last().expect("a good checkpoint");
    let losses = losses(&rising);
    assert!(losses.len() as u64 > step + 1, "{step} of {}", losses.len());
    let last = checkpoint(&rising, step);
    let last = last.to_str().expect("a Unicode path");
    explained(&ended, DIVERGED, &["last good checkpoint", last, "--init"]);
    let ended = wlstm(&["eval", last, "--device", "cpu"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // A good checkpoint can start a run with a lower learning rate.
    let start = case.folder.path("good.safetensors");
    std::fs::write(&start, good).expect("a file");
    let init = start.to_str().expect("a Unicode path");
    let calmer = case.folder.path("calmer");
    train(
        &case.config,
        &calmer,
        "cpu",
        &["--steps", "2", "--init", init],
    );
    assert_eq!(lines_of(&calmer, "step").len(), 2);
}

/// Unknown words in the validation text but none in training: one warning.
#[test]
fn unknown_words_in_the_validation_alone() {
    let says = "but the training text has none";
    let warnings = |case: &Case, more: &[&str]| -> usize {
        let more = [&["--steps", "6"], more].concat();
        let ended = wlstm(&training(&case.config, &case.run, "cpu", &more));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stderr.matches(says).count()
    };
    let every_step = ["--set", "train.validate_every=1", "--set", "data.vocab="];
    let unseen = || Case::new().write("valid.txt", "a b unseen words c\n".repeat(9));
    assert_eq!(warnings(&unseen(), &every_step), 1);
    // No warning if a smaller vocabulary leaves unknown words in training, or if all words are known.
    let cut = [&every_step[..], &["--set", "data.vocab_size=5"]].concat();
    assert_eq!(warnings(&unseen(), &cut), 0);
    assert_eq!(warnings(&Case::new(), &every_step), 0);
}
