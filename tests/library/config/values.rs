//! Defaults, overrides, paths, and what is written.

use std::path::{Path, PathBuf};

use wlstm::config::{Config, Order, Schedule, Softmax, Tokens, reference};
use wlstm::kernels::optimizer::adagrad;

use super::tools::{SMALL, cell, parse};

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

/// By default, tables use Adagrad with Adam and a sampled softmax. A resolved configuration keeps the optimizer of the tables,
/// even if a version without the key wrote it.
#[test]
fn tables_have_an_optimizer_of_their_own() {
    let adam_sampled = ["train.optimizer=adam", "train.learning_rate=0.01"];
    let with = |more: &[&str]| parse(SMALL, &[&adam_sampled, more].concat()).unwrap();
    let found = |config: &Config| {
        (
            config.train.tables.optimizer.name,
            config.train.tables.learning_rate,
        )
    };
    for (more, expected) in [
        (&[][..], ("adagrad", 0.2)),
        (&["train.recipe=plain"], ("adagrad", 20.0)),
        (&["train.table_learning_rate=3"], ("adagrad", 3.0)),
        (&["train.table_optimizer=sgd"], ("sgd", 0.2)),
        (
            &["train.table_optimizer=auto", "softmax.kind=full"],
            ("adam", 0.01),
        ),
        (&["train.table_optimizer=adam"], ("adam", 0.01)),
        (
            &[
                "train.table_optimizer=adam",
                "train.table_learning_rate=0.5",
            ],
            ("adam", 0.5),
        ),
        (&["train.optimizer=momentum"], ("momentum", 0.01)),
    ] {
        let config = with(more);
        assert_eq!(found(&config), expected, "{more:?}");
        assert_eq!(parse(&config.to_toml(), &[]).unwrap(), config, "{more:?}");
        let is_apart = expected != (config.train.optimizer.name, config.train.learning_rate);
        assert_eq!(config.train.has_own_table_update(), is_apart, "{more:?}");
    }
    let written = with(&["train.table_optimizer=adam"]).to_toml();
    assert!(
        !written.contains("table_optimizer") && !written.contains("table_learning"),
        "{written}"
    );
    // The learning rate of the tables follows `learning_rate` unless it is given.
    assert_eq!(
        found(&parse(&written, &["train.learning_rate=0.5"]).unwrap()),
        ("adam", 0.5)
    );
    let conflicts = with(&[]).resume_conflicts(&parse(&written, &[]).unwrap());
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    assert!(
        conflicts[0].contains("train.table_optimizer"),
        "{conflicts:?}"
    );
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
    // The last override of a key takes effect.
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
    assert_eq!(seen, 18);
}

/// That every key survives writing and changes the digest is a test of the list of keys, in `src/config`.
#[test]
fn unusual_values_survive_writing() {
    let base = parse(SMALL, &[]).unwrap();
    assert_eq!(base.digest().len(), 16);
    for set in [
        "data.train=b \"quoted\" \\ \n.txt",
        "model.forget_bias=-0.5",
        "train.learning_rate=1e-7",
        "train.init_range=0.1",
        "train.seconds=0.1",
        "train.seed=18446744073709551615",
    ] {
        let config = parse(SMALL, &[set]).unwrap();
        let text = config.to_toml();
        let again = Config::parse(&text, "config.toml", Path::new("/elsewhere"), &[]).unwrap();
        assert_eq!(again, config, "{set}");
        assert_ne!(config.digest(), base.digest(), "{set}");
    }
}
