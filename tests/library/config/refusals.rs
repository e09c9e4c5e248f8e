//! Configurations that are refused.

use std::collections::BTreeMap;

use wlstm::config::Config;
use wlstm::error::Kind;

use super::tools::{SMALL, assert_refused, parse};

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
    for key in ["model.rank=2", "nothing.like=2"] {
        assert_refused(
            SMALL,
            &[key],
            &["`wlstm help configuration` lists the keys"],
        );
    }
    assert_refused("[somewhere]", &[], &["lists the keys"]);
}

#[test]
fn names_of_other_programs_are_refused_with_the_key() {
    for (given, key) in [
        ("train.lr=1", "train.learning_rate"),
        ("train.learning-rate=1", "train.learning_rate"),
        ("train.Learning_Rate=1", "train.learning_rate"),
        ("lr=1", "train.learning_rate"),
        ("train.batch_size=1", "train.batch"),
        ("batch-size=1", "train.batch"),
        ("model.hidden_size=1", "model.hidden"),
        ("model.num_layers=1", "model.layers"),
        ("model.embedding_dim=1", "model.embedding"),
        ("train.seq_len=1", "train.unroll"),
        ("train.bptt=1", "train.unroll"),
        ("data.max_vocab=1", "data.vocab_size"),
        ("model.vocab_size=1", "data.vocab_size"),
        ("train.n_epochs=1", "train.epochs"),
        ("train.max_steps=1", "train.steps"),
        ("train.dropout=1", "model.dropout"),
        ("train.grad_clip=1", "train.clip_norm"),
        ("train.eval_every=1", "train.validate_every"),
        ("train.warmup=1", "train.warmup_steps"),
        ("softmax.type=x", "softmax.kind"),
        ("model.type=x", "model.cell"),
        ("type=x", "model.cell"),
        ("model.emb=1", "model.embedding"),
    ] {
        assert_refused(SMALL, &[given], &["there is no key", &format!("`{key}`")]);
    }
    for (given, text) in [
        ("train.weight_decay=0.1", "there is no weight decay"),
        ("train.weight-decay=0.1", "`model.dropout`"),
        ("train.beta1=0.9", "constants of the optimizers are fixed"),
        ("train.momentum=0.9", "momentum is an optimizer"),
        ("train.patience=3", "there is no early stopping"),
        ("device=cpu", "`device` is a section"),
        ("train.device=cpu", "choose it with `--device`"),
        ("train.output_dir=x", "choose it with `--out`"),
    ] {
        assert_refused(SMALL, &[given], &[text]);
    }
}

#[test]
fn no_name_of_another_program_is_a_key_or_means_two_in_a_section() {
    let (mut names, mut in_section) = (BTreeMap::new(), BTreeMap::new());
    for key in wlstm::config::keys() {
        for name in key.known_as {
            names.insert(*name, key.path());
            let other = in_section.insert((key.section, *name), key.path());
            assert_eq!(other, None, "{name} means {} too", key.path());
            assert_ne!(*name, key.name);
        }
    }
    for key in wlstm::config::keys() {
        // `softmax` and `data.path` are not keys, but a name in one section can be a key of another.
        let of_other = names.get(key.name).filter(|path| **path != key.path());
        assert_eq!(of_other, None, "{} is a key", key.path());
    }
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
        &[
            "`train.fused`",
            "are not bitwise identical to those of the CPU",
        ],
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
fn a_run_needs_an_end() {
    let error = parse(SMALL, &[]).unwrap().check_limits().unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.chain().to_string().contains("--steps"));
    for set in ["train.steps=1", "train.epochs=1", "train.seconds=0.5"] {
        assert!(parse(SMALL, &[set]).unwrap().check_limits().is_ok());
    }
}

#[test]
fn a_path_without_a_configuration_says_where_it_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Config::load(std::path::Path::new("configs/none.toml"), &[]).unwrap_err();
    assert_eq!(missing.kind(), Kind::Usage);
    let current = std::env::current_dir().unwrap();
    let message = format!("{missing:?}");
    assert!(
        message.contains(&format!("current folder, `{}`", current.display())),
        "{message}"
    );
    let config = folder.path().join("config.toml");
    std::fs::write(&config, SMALL).unwrap();
    let run = Config::load(folder.path(), &[]).unwrap_err();
    let message = format!("{run:?}");
    assert!(
        message.contains(&format!("its configuration, `{}`", config.display())),
        "{message}"
    );
}
