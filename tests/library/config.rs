//! The configuration: what it means, what it refuses and how, and that it survives being written.

use std::path::{Path, PathBuf};

use wlstm::cell::{Cell, find};
use wlstm::config::{Config, Order, Schedule, Softmax, Tokens, reference};
use wlstm::error::Kind;
use wlstm::kernels::optimizer::adagrad;

const SMALL: &str = r#"
[model]
cell = "lstmp"
embedding = 8
hidden = 16
projection = 8
[data]
train = ["a.txt"]
"#;

fn parse(text: &str, overrides: &[&str]) -> wlstm::error::Result<Config> {
    let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
    Config::parse(text, "my.toml", Path::new("/base/configs"), &overrides)
}

/// The printed chain of the refusal, which must be a usage error.
fn refusal(text: &str, overrides: &[&str]) -> String {
    let error = parse(text, overrides).expect_err(&format!("accepted {overrides:?} on {text}"));
    assert_eq!(error.kind(), Kind::Usage);
    error.chain().to_string()
}

fn cell(name: &str, size: usize) -> Cell {
    Cell::new(find(name).expect("a cell"), size)
}

fn assert_refused(text: &str, overrides: &[&str], parts: &[&str]) {
    let chain = refusal(text, overrides);
    for part in parts {
        assert!(chain.contains(part), "no `{part}` in: {chain}");
    }
}

#[test]
fn leaving_keys_out_gives_the_documented_defaults() {
    let config = parse("[data]\ntrain = ['a.txt']", &[]).unwrap();
    assert_eq!(config.model.cells, [cell("glstm", 4), cell("glstm", 8)]);
    assert_eq!((config.model.embedding, config.model.hidden), (1024, 8192));
    assert_eq!(config.softmax, Softmax::Sampled { samples: 8192 });
    assert_eq!(config.data.order, Order::Sentences);
    assert_eq!(config.data.tokens, Tokens::Whitespace);
    assert_eq!(config.data.train, [PathBuf::from("/base/configs/a.txt")]);
    assert_eq!(config.data.vocab, None);
    assert_eq!(config.train.optimizer, &adagrad::OPTIMIZER);
    assert_eq!(config.train.schedule, Schedule::Constant);
    assert_eq!(
        (config.train.learning_rate, config.train.clip_norm),
        (0.2, 10.0)
    );
    assert_eq!(config, parse(&reference(), &["data.train=a.txt"]).unwrap());
}

#[test]
fn overrides_are_toml_or_bare_strings() {
    let config = parse(
        SMALL,
        &[
            "model.cell=flstm",
            "model.factor=[2, 4]",
            "data.train=[\"b.txt\", \"../c/*\"]",
            "data.valid=v.txt",
            "data.vocab = words.txt",
            "train.seed=18446744073709551615",
            "train.seconds=60",
            "train.learning_rate=1e-3",
        ],
    )
    .unwrap();
    assert_eq!(config.model.cells, [cell("flstm", 2), cell("flstm", 4)]);
    assert_eq!(
        config.data.train,
        [
            PathBuf::from("/base/configs/b.txt"),
            PathBuf::from("/base/c/*")
        ]
    );
    assert_eq!(config.data.valid, [PathBuf::from("/base/configs/v.txt")]);
    assert_eq!(
        config.data.vocab,
        Some(PathBuf::from("/base/configs/words.txt"))
    );
    assert_eq!(config.train.seed, u64::MAX);
    assert_eq!(
        (config.train.seconds, config.train.learning_rate),
        (60.0, 0.001)
    );
    // The last one of a key holds.
    let config = parse(SMALL, &["train.steps=1", "train.steps=2"]).unwrap();
    assert_eq!(config.train.steps, 2);
}

#[test]
fn cells_may_differ_by_layer() {
    let set = [
        "model.layers=3",
        "model.cell=[\"lstmp\", \"flstm\", \"glstm\"]",
        "model.groups=[1, 1, 4]",
        "model.factor=3",
    ];
    let config = parse(SMALL, &set).unwrap();
    assert_eq!(
        config.model.cells,
        [cell("lstmp", 0), cell("flstm", 3), cell("glstm", 4)]
    );
    assert_eq!(parse(&config.to_toml(), &[]).unwrap(), config);
    assert_eq!(
        (
            config.model.input_size(0),
            config.model.input_size(1),
            config.model.output_size()
        ),
        (8, 8, 8)
    );
    let plain = parse(SMALL, &["model.projection=0", "model.embedding=5"]).unwrap();
    assert_eq!(
        (
            plain.model.input_size(0),
            plain.model.input_size(1),
            plain.model.output_size()
        ),
        (5, 16, 16)
    );
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    assert_refused(
        "[model]\nhiden = 3",
        &[],
        &["my.toml:2:1", "`model.hiden`", "`model.hidden`"],
    );
    assert_refused(
        "[train]\nhidden = 3",
        &[],
        &["my.toml:2:1", "`train.hidden`", "`model.hidden`"],
    );
    assert_refused(
        "\n[trian]\nbatch = 3",
        &[],
        &["my.toml:2:2", "[trian]", "[train]"],
    );
    assert_refused("[modle]", &[], &["my.toml:1:2", "[model]"]);
    assert_refused(
        "batch = 3",
        &[],
        &["my.toml:1:1", "`batch`", "`train.batch`"],
    );
    assert_refused("model = 3", &[], &["`model` is a section"]);
    assert_refused(
        SMALL,
        &["model.grups=2"],
        &["--set model.grups=2", "`model.grups`", "`model.groups`"],
    );
    assert_refused(SMALL, &["hidden=2"], &["`hidden`", "`model.hidden`"]);
    assert_refused(SMALL, &["model=2"], &["`model` is a section"]);
    assert_refused(
        SMALL,
        &["model.hidden"],
        &["there is no `=`", "--set model.hidden=512"],
    );
    assert_refused(
        SMALL,
        &["model.hidden.more=1"],
        &["`model.hidden.more`", "`model.hidden`"],
    );
    assert_refused(SMALL, &["=1"], &["there is no key"]);
}

#[test]
fn misspelt_values_are_refused_with_the_nearest() {
    for (set, near) in [
        ("model.cell=fltsm", "the nearest is flstm"),
        ("model.cell=[\"lstmp\", \"glstmm\"]", "the nearest is glstm"),
        ("softmax.kind=sampeld", "the nearest is sampled"),
        ("data.order=sentence", "the nearest is sentences"),
        ("data.tokens=chars", "one of whitespace, words, characters"),
        ("train.optimizer=Adam", "the nearest is adam"),
        ("train.schedule=cosin", "the nearest is cosine"),
        ("train.recipe=plane", "the nearest is plain"),
        ("train.precision=f16", "takes one of f32, mixed"),
    ] {
        let (key, value) = set.split_once('=').unwrap();
        let value = value
            .trim_matches(['[', ']'])
            .rsplit(", ")
            .next()
            .unwrap()
            .trim_matches('"');
        assert_refused(SMALL, &[set], &["--set", key, value, near]);
    }
    assert_refused(
        "[model]\ncell = \"lsmtp\"",
        &[],
        &[
            "my.toml:2:8",
            "`model.cell`",
            "\"lsmtp\"",
            "lstmp, flstm, glstm",
        ],
    );
    assert_refused(
        SMALL,
        &["train.precision=mixed", "train.fused=true"],
        &["`train.fused`", "do not have the bits of the CPU"],
    );
}

#[test]
fn wrong_types_and_numbers_out_of_bounds_are_refused() {
    for set in [
        "model.layers=0",
        "model.layers=-1",
        "model.layers=2.0",
        "model.layers=many",
        "model.layers=1000000",
        "model.embedding=0",
        "model.hidden=0",
        "model.hidden=-3",
        "model.hidden=99999999999999999999999999",
        "model.hidden=170141183460469231731687303715884105727999",
        "model.projection=-1",
        "model.hidden=[16, 16]",
        "model.dropout=1",
        "model.dropout=-0.1",
        "model.dropout=nan",
        "model.dropout=high",
        "model.residual=1",
        "model.tied=yes",
        "model.forget_bias=inf",
        "softmax.samples=0",
        "data.train=[]",
        "data.train=3",
        "data.train=[3]",
        "data.train=[\"\"]",
        "data.vocab=[1]",
        "data.vocab_size=-1",
        "data.min_count=0",
        "data.shuffle=0",
        "data.valid_share=0.6",
        "data.valid_share=-0.1",
        "train.batch=0",
        "train.unroll=0",
        "train.batch=4000000000",
        "train.learning_rate=-1",
        "train.learning_rate=nan",
        "train.learning_rate=-inf",
        "train.learning_rate=1e999",
        "train.init_range=-0.1",
        "train.clip_norm=-1",
        "train.clip_norm=inf",
        "train.ema=1",
        "train.ema=-0.5",
        "train.ema=0.9999999999",
        "train.clip_norm=1e-60",
        "train.learning_rate=1e39",
        "model.forget_bias=1e300",
        "train.epochs=-1",
        "train.steps=1.5",
        "train.seconds=-1",
        "train.seconds=nan",
        "train.seconds=1979-05-27",
        "train.validate_every=-1",
        "train.checkpoint_every=x",
        "train.keep=0",
        "train.log_every=0",
        "train.seed=-1",
        "train.seed=18446744073709551616",
        "train.steps={a = 1}",
    ] {
        let key = set.split_once('=').unwrap().0;
        assert_refused(SMALL, &[set], &[&format!("`{key}"), "cannot be", "takes"]);
    }
    for set in ["train.decay=0", "train.decay=1.5", "train.decay=nan"] {
        assert_refused(
            SMALL,
            &["train.schedule=exponential", set],
            &["`train.decay`", "above 0"],
        );
    }
    assert_refused(
        SMALL,
        &["train.schedule=exponential", "train.decay_after=-1"],
        &["`train.decay_after`"],
    );
    assert_refused(
        SMALL,
        &["train.schedule=cosine", "train.warmup_steps=-1"],
        &["`train.warmup_steps`"],
    );
    assert_refused(
        "[model]\nhidden = \"16\"",
        &[],
        &[
            "my.toml:2:10",
            "`model.hidden`",
            "\"16\"",
            "an integer from 1",
        ],
    );
}

#[test]
fn values_that_do_not_go_together_are_refused() {
    for key in ["cell", "factor", "groups"] {
        let value = if key == "cell" {
            "[\"flstm\", \"glstm\", \"lstmp\"]"
        } else {
            "[2, 2, 2]"
        };
        let set = [format!("model.{key}={value}"), "model.layers=2".into()];
        let mut set: Vec<&str> = set.iter().map(String::as_str).collect();
        if key != "cell" {
            set.push("model.cell=[\"flstm\", \"glstm\"]");
        }
        assert_refused(
            SMALL,
            &set,
            &[
                &format!("`model.{key}`"),
                "`model.layers` is 2",
                "it has 3 values",
            ],
        );
    }
    let groups = |set: &[&str], parts: &[&str]| {
        let set: Vec<&str> = ["model.cell=glstm", "model.groups=[2, 4]"]
            .iter()
            .chain(set)
            .copied()
            .collect();
        assert_refused(SMALL, &set, &[&["`model.groups`"], parts].concat());
    };
    groups(
        &["model.embedding=7"],
        &["layer 0", "2 groups", "`model.embedding` = 7"],
    );
    groups(
        &["model.projection=6"],
        &["layer 1", "4 groups", "`model.projection` = 6"],
    );
    groups(
        &["model.hidden=18"],
        &["layer 1", "4 groups", "`model.hidden` = 18"],
    );
    groups(
        &["model.projection=0", "model.hidden=18"],
        &["layer 1", "4 groups", "`model.hidden` = 18"],
    );
    groups(&["model.groups=0"], &["cannot be 0"]);
    assert_refused(
        SMALL,
        &["model.cell=flstm", "model.factor=0"],
        &["`model.factor`", "cannot be 0"],
    );
    assert_refused(
        SMALL,
        &["model.tied=true", "model.embedding=4"],
        &[
            "`model.tied`",
            "`model.embedding` is 4",
            "`model.projection` is 8",
        ],
    );
    assert_refused(
        SMALL,
        &["model.residual=true", "model.embedding=4", "model.layers=1"],
        &["`model.residual`"],
    );
    assert!(parse(SMALL, &["model.residual=true", "model.embedding=4"]).is_ok());
    assert_refused(
        SMALL,
        &["data.vocab_size=8191"],
        &["`softmax.samples`", "`data.vocab_size` is 8191"],
    );
    assert!(parse(SMALL, &["data.vocab_size=8193"]).is_ok());
    assert!(parse(SMALL, &["data.vocab_size=9", "softmax.kind=full"]).is_ok());
    assert_refused(
        SMALL,
        &["train.schedule=plateau"],
        &["`data.valid`", "plateau"],
    );
    assert!(parse(SMALL, &["train.schedule=plateau", "data.valid=v.txt"]).is_ok());
}

#[test]
fn the_largest_sizes_do_not_overflow() {
    let most = (1 << 24).to_string();
    let set: Vec<String> = ["embedding", "hidden", "projection"]
        .iter()
        .map(|key| format!("model.{key}={most}"))
        .collect();
    let mut set: Vec<&str> = set.iter().map(String::as_str).collect();
    set.push("model.layers=100");
    let model = parse(SMALL, &set).unwrap().model;
    let layer = (model.input_size(1) + model.output_size()) * 4 * model.hidden;
    assert!(layer.checked_mul(model.layers() * 16).is_some());
}

#[test]
fn broken_files_are_refused_with_their_place() {
    assert_refused("[model\nhidden = 3", &[], &["my.toml:1:"]);
    assert_refused("[model]\nhidden = ", &[], &["my.toml:2:"]);
    assert_refused(
        "[model]\nhidden = 3\nhidden = 4",
        &[],
        &["my.toml:3:1", "duplicate"],
    );
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let error = Config::load(&missing, &[]).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("none.toml"));
    assert_eq!(
        Config::load(folder.path(), &[]).unwrap_err().kind(),
        Kind::Usage
    );
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"# one\n# caf\xe9\n").unwrap();
    let error = Config::load(&latin, &[]).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("latin.toml:2"), "{error}");
    assert!(
        parse("", &[])
            .unwrap_err()
            .to_string()
            .contains("`data.train`")
    );
}

#[test]
fn paths_are_relative_to_the_file_and_overrides_fall_back_to_the_working_directory() {
    let folder = tempfile::tempdir().unwrap();
    let configs = folder.path().join("configs");
    std::fs::create_dir(&configs).unwrap();
    let file = configs.join("a.toml");
    std::fs::write(
        &file,
        "[data]\ntrain = ['x/*.txt', '../y.txt', '/z.txt']\nvocab = 'Cargo.toml'\n",
    )
    .unwrap();
    let load = |set: &[&str]| {
        let set: Vec<String> = set.iter().map(|text| text.to_string()).collect();
        Config::load(&file, &set).unwrap()
    };
    let root = folder.path().canonicalize().unwrap();
    let config = load(&[]);
    assert_eq!(
        config.data.train,
        [
            root.join("configs/x/*.txt"),
            root.join("y.txt"),
            PathBuf::from("/z.txt")
        ]
    );
    assert_eq!(config.data.vocab, Some(root.join("configs/Cargo.toml")));
    // Tests run in the folder of the package.
    let here = std::env::current_dir().unwrap();
    assert_eq!(
        load(&["data.vocab=Cargo.toml"]).data.vocab,
        Some(here.join("Cargo.toml"))
    );
    assert_eq!(
        load(&["data.train=src/*.rs"]).data.train,
        [here.join("src/*.rs")]
    );
    assert_eq!(
        load(&["data.train=nowhere/*.rs"]).data.train,
        [root.join("configs/nowhere/*.rs")]
    );
    std::fs::write(configs.join("Cargo.toml"), "").unwrap();
    assert_eq!(
        load(&["data.vocab=Cargo.toml"]).data.vocab,
        Some(root.join("configs/Cargo.toml"))
    );
}

#[test]
fn a_run_needs_an_end() {
    let error = parse(SMALL, &[]).unwrap().check_limits().unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.chain().to_string().contains("--steps"));
    for set in ["train.steps=1", "train.epochs=1", "train.seconds=0.5"] {
        assert!(parse(SMALL, &[set]).unwrap().check_limits().is_ok());
    }
}

#[test]
fn every_configuration_of_the_repository_loads_and_survives_writing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        seen += 1;
        let config = Config::load(&path, &[]).unwrap_or_else(|error| panic!("{}", error.chain()));
        config.check_limits().unwrap();
        assert!(
            std::fs::read_to_string(&path).unwrap().starts_with("# "),
            "{} says what it is",
            path.display()
        );
        let text = config.to_toml();
        let again = Config::parse(&text, "config.toml", Path::new("/elsewhere"), &[]).unwrap();
        assert_eq!(again, config, "{}", path.display());
        assert_eq!(again.to_toml(), text);
        assert_eq!(again.digest(), config.digest());
    }
    assert_eq!(seen, 17);
}

#[test]
fn every_key_changes_the_digest_and_survives_writing() {
    let base = parse(SMALL, &["data.valid=v.txt"]).unwrap();
    let mut digests = vec![base.digest()];
    for set in [
        "model.cell=glstm",
        "model.layers=3",
        "model.embedding=16",
        "model.hidden=32",
        "model.projection=0",
        "model.dropout=0.25",
        "model.residual=true",
        "model.tied=true",
        "model.forget_bias=-0.5",
        "softmax.kind=full",
        "softmax.samples=9",
        "data.order=contiguous",
        "data.tokens=words",
        "data.train=b \"quoted\" \\ \n.txt",
        "data.valid=w.txt",
        "data.test=t.txt",
        "data.vocab=v",
        "data.vocab_size=9000",
        "data.min_count=3",
        "data.shuffle=false",
        "data.valid_share=0.25",
        "train.batch=3",
        "train.unroll=4",
        "train.optimizer=momentum",
        "train.learning_rate=1e-7",
        "train.schedule=cosine",
        "train.schedule=exponential",
        "train.schedule=plateau",
        "train.init_range=0.1",
        "train.clip_norm=0.3",
        "train.ema=0",
        "train.recipe=plain",
        "train.epochs=3",
        "train.steps=4",
        "train.seconds=0.1",
        "train.validate_every=0",
        "train.checkpoint_every=7",
        "train.keep=2",
        "train.log_every=9",
        "train.histogram_every=9",
        "train.recompute=true",
        "train.seed=18446744073709551615",
    ] {
        let config = parse(SMALL, &["data.valid=v.txt", "model.groups=2", set]).unwrap();
        let again = Config::parse(
            &config.to_toml(),
            "config.toml",
            Path::new("/elsewhere"),
            &[],
        )
        .unwrap();
        assert_eq!(again, config, "{set}");
        assert!(!digests.contains(&config.digest()), "{set}");
        digests.push(config.digest());
    }
    assert_eq!(base.digest().len(), 16);
}
