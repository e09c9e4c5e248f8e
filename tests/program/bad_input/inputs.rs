//! Configurations, texts, vocabularies and parameters that cannot be used.

use crate::common::program::{checkpoints, lines_of, losses, train, training, wlstm};

use super::case::{Case, DATA, PARAMETERS, USAGE, explained, write_parameters};

/// The unchanged input trains, so the errors below come from the changes alone.
#[test]
fn unchanged_input_trains() {
    let case = Case::new();
    let init = write_parameters(&case, |_| {});
    train(&case.config, &case.run, "cpu", &["--init", &init]);
    assert_eq!(losses(&case.run).len(), 6);
}

#[test]
fn configurations() {
    let with = |line, by| Case::new().with(line, by);
    with("hidden = 8", "hiden = 8").refused(&[], USAGE, &["config.toml:6", "hiden", "hidden"]);
    with("[train]", "[trian]").refused(&[], USAGE, &["trian", "train"]);
    with("kind = \"full\"", "kind = \"ful\"").refused(&[], USAGE, &["kind", "ful", "full"]);
    with("cell = \"glstm\"", "cell = \"gru\"").refused(&[], USAGE, &["gru", "lstmp"]);
    with("batch = 2", "batch = 0").refused(&[], USAGE, &["batch"]);
    with("batch = 2", "batch = \"two\"").refused(&[], USAGE, &["batch"]);
    with("dropout = 0.0", "dropout = 1.0").refused(&[], USAGE, &["dropout"]);
    with("groups = 2", "groups = [2, 2]").refused(&[], USAGE, &["groups"]);
    with("steps = 6", "seed = 6").refused(&[], USAGE, &["--steps"]);
    with("batch = 2", "batch = ").refused(&[], USAGE, &["config.toml:"]);
    for (line, by) in [
        ("hidden = 8", "hidden = 9"),
        ("embedding = 4", "embedding = 5"),
        ("projection = 4", "projection = 3"),
    ] {
        let key = by.split(' ').next().expect("a key");
        with(line, by).refused(&[], USAGE, &["2 groups", key]);
    }
    let case = Case::new();
    case.refused(&["--set", "model.hiden=4"], USAGE, &["hiden", "hidden"]);
    case.refused(&["--set", "model.hidden"], USAGE, &["--set"]);
    case.write("config.toml", b"[model]\n# \xff\n")
        .refused(&[], USAGE, &["UTF-8"]);
    let mut case = Case::new();
    case.config = case.folder.path("missing.toml");
    case.refused(&[], USAGE, &["missing.toml"]);
}

#[test]
fn corpora() {
    let with = |contents: &[u8]| Case::new().write("train.txt", contents);
    with(b"").refused(&[], DATA, &["train.txt"]);
    with(b"\n\n  \n").refused(&[], DATA, &["train.txt"]);
    with(b"a b\na \xff\xfe b\n").refused(&[], DATA, &["train.txt:2", "UTF-8"]);
    with(b"a b\n").refused(&[], DATA, &["shorter than a batch", "train.batch"]);
    Case::new()
        .with("train = [\"train.txt\"]", "train = [\"missing.txt\"]")
        .refused(&[], DATA, &["missing.txt"]);
    Case::new()
        .with("train = [\"train.txt\"]", "train = [\"shards/*\"]")
        .refused(&[], DATA, &["shards/*"]);
    let folders = Case::new().with("train = [\"train.txt\"]", "train = [\"parts\"]");
    std::fs::create_dir_all(folders.folder.path("parts/first")).expect("a folder");
    folders.refused(&[], DATA, &["parts", "first`, or a pattern of files"]);
    Case::new()
        .with("valid = [\"valid.txt\"]", "valid = [\"missing.txt\"]")
        .refused(&[], DATA, &["missing.txt"]);
    Case::new()
        .write("valid.txt", "")
        .refused(&[], DATA, &["valid.txt"]);
    // Without a vocabulary file, in either order.
    for order in ["sentences", "contiguous"] {
        let with = |contents: &[u8]| {
            let order = format!("order = \"{order}\"");
            with(contents)
                .with("order = \"sentences\"", &format!("{order} "))
                .with("vocab = \"words.txt\"", "vocab_size = 0")
        };
        with(b"").refused(&[], DATA, &["train.txt"]);
        with(b"a \xff b\n").refused(&[], DATA, &["train.txt:1", "UTF-8"]);
        with(b"a\n").refused(&[], DATA, &["shorter than a batch"]);
    }
}

/// A validation text without targets is an error before the first step.
#[test]
fn validation_text_without_targets() {
    for text in ["\n", " \n\n"] {
        Case::new()
            .write("valid.txt", text)
            .refused(&[], DATA, &["valid.txt"]);
    }
}

/// Invalid text after the first batches is an error when it is read. The steps before it are saved.
#[test]
fn invalid_text_after_the_first_batches() {
    let case = Case::new();
    let mut text = std::fs::read(case.folder.path("train.txt")).expect("the text");
    text.extend(b"\xff\n");
    let case = case
        .write("train.txt", &text)
        .with("steps = 6", "steps = 60")
        .with("checkpoint_every = 2", "checkpoint_every = 0");
    let ended = wlstm(&training(
        &case.config,
        &case.run,
        "cpu",
        // The best validation so far also saves a checkpoint.
        &[
            "--set",
            "data.shuffle=false",
            "--set",
            "train.validate_every=0",
        ],
    ));
    explained(&ended, DATA, &["train.txt:21", "UTF-8"]);
    let done = lines_of(&case.run, "step").len() as u64;
    assert!(done > 0);
    assert_eq!(checkpoints(&case.run), [done]);
}

#[test]
fn vocabularies() {
    let with = |contents: &[u8]| Case::new().write("words.txt", contents);
    with(b"").refused(&[], DATA, &["words.txt", "empty"]);
    with(b"<S> 3\na 2\n").refused(&[], DATA, &["words.txt", "<UNK>"]);
    with(b"<UNK> 3\na 2\n").refused(&[], DATA, &["words.txt", "<S>"]);
    with(b"<UNK> 3\n<S> 2\na\n").refused(&[], DATA, &["words.txt:3"]);
    with(b"<UNK> 3\n<S> 2\na 1\na 1\n").refused(&[], DATA, &["words.txt:4", "`a`"]);
    with(b"<UNK> 3\n<S> 2\n\xff 1\n").refused(&[], DATA, &["words.txt:3", "UTF-8"]);
    Case::new()
        .with("vocab = \"words.txt\"", "vocab = \"missing.txt\"")
        .refused(&[], DATA, &["missing.txt"]);
    Case::new().with("kind = \"full\"", "samples = 7").refused(
        &[],
        USAGE,
        &["7", "softmax.samples"],
    );
}

#[test]
fn parameters_to_start_from() {
    let case = Case::new();
    for (k, (name, _)) in PARAMETERS.iter().enumerate() {
        let init = write_parameters(&case, |tensors| {
            tensors.remove(k);
        });
        case.refused(&["--init", &init], DATA, &[name, "missing"]);
        let init = write_parameters(&case, |tensors| tensors[k].1.insert(0, 1));
        case.refused(&["--init", &init], DATA, &[name, "shape"]);
    }
    let init = write_parameters(&case, |tensors| {
        tensors.push(("layers.1.gates.bias".into(), vec![1], vec![0.0]));
    });
    case.refused(
        &["--init", &init],
        DATA,
        &["layers.1.gates.bias", "unknown"],
    );
    case.refused(
        &["--init", "missing.safetensors"],
        DATA,
        &["missing.safetensors"],
    );
    let init = write_parameters(&case, |_| {});
    let bytes = std::fs::read(&init).expect("the file");
    for cut in [0, 5, 40, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&init, &bytes[..cut]).expect("a file");
        case.refused(&["--init", &init], DATA, &["start.safetensors"]);
    }
    case.refused(&["--init", "/"], DATA, &["`/`"]);
}

/// Sizes that overflow the 32-bit indices of kernels.
#[test]
fn too_large_to_index() {
    for (sets, says) in [
        (&["model.hidden=4194304"][..], "model.hidden is 4194304"),
        (&["model.embedding=16777216"], "model.embedding is 16777216"),
        (&["train.batch=268435456"], "train.batch is 268435456"),
        (
            &["train.batch=524287", "train.unroll=1"],
            "train.batch is 524287",
        ),
        (
            &[
                "model.cell=glstm",
                "model.groups=131072",
                "model.hidden=131072",
                "model.embedding=131072",
                "model.projection=0",
                "train.batch=1",
            ],
            "model.groups is 131072",
        ),
        (
            &["model.cell=flstm", "model.factor=8388608"],
            "model.factor is 8388608",
        ),
        (
            &["train.batch=65536", "train.unroll=16", "model.hidden=65536"],
            "2^32",
        ),
    ] {
        let case = Case::new().write("train.txt", "a b c d e\n".repeat(1000));
        let more: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
        case.refused(&more, USAGE, &[says]);
    }
}
