//! `wlstm plan`.

use predicates::prelude::*;

use super::tools::{Tiny, json, stdout, wlstm};

/// The published counts of the paper's models.
const RECURRENT: [(&str, u64); 7] = [
    ("biglstm", 151_060_480),
    ("f512", 52_494_336),
    ("g2", 83_951_616),
    ("g4", 50_397_184),
    ("g8", 33_619_968),
    ("g16", 25_231_360),
    ("g4-8", 42_008_576),
];

/// `plan` of a configuration of this repository. Its text and vocabulary need not exist.
fn plan(name: &str) -> assert_cmd::Command {
    let mut command = wlstm();
    command.args(["plan", &format!("configs/{name}.toml")]);
    command
}

#[test]
fn the_papers_models_have_their_parameters() {
    for (name, recurrent) in RECURRENT {
        let found = json(plan(&format!("lm1b-{name}")).arg("--json"));
        assert_eq!(found["recurrent_parameters"], recurrent, "{name}");
        let tables = 2 * 793_470 * 1024 + 793_470;
        assert_eq!(found["parameters"], recurrent + tables, "{name}");
        let tensors = found["tensors"].as_array().unwrap();
        let sum: u64 = tensors
            .iter()
            .map(|tensor| tensor["parameters"].as_u64().unwrap())
            .sum();
        assert_eq!(found["parameters"], sum, "{name}");
        let bytes = &found["bytes_per_device"];
        assert_eq!(bytes["parameters"], 4 * sum);
        assert_eq!(bytes["optimizer"], 4 * sum);
        assert_eq!(bytes["moving_average"], 4 * recurrent);
        // h and c of two layers, for 256 streams of training, 256 of validation and one of the sample.
        assert_eq!(bytes["state"], 4 * 2 * (256 + 256 + 1) * (8192 + 1024));
        assert!(bytes["activations"].as_u64().unwrap() > 0);
    }
    let big = json(plan("lm1b-biglstm").arg("--json"));
    let matrices = 2 * (2048 * 4 * 8192 + 8192 * 1024);
    assert_eq!(big["flops_per_word"], 6 * (matrices + 8192 * 1024));
}

#[test]
fn the_small_model_of_wikitext_has_its_parameters() {
    // The text need not exist: the size is in the configuration.
    let found = json(plan("wikitext2-200").arg("--json"));
    assert_eq!(
        (&found["parameters"], &found["vocabulary"]),
        (&13_986_078.into(), &33_278.into())
    );
    assert_eq!(found["bytes_per_device"]["optimizer"], 0);
    assert_eq!(found["bytes_per_device"]["moving_average"], 0);
}

/// The cost of each kind of softmax follows from sizes and shares of targets.
#[test]
fn every_softmax_has_its_cost() {
    let found = json(plan("lm1b-g4").args(["--set", "train.batch=128", "--json"]));
    let kinds = found["softmax"].as_array().unwrap();
    let of = |kind: &str| {
        let mut kinds = kinds.iter();
        kinds.find(|one| one["kind"] == kind).unwrap().clone()
    };
    assert_eq!(kinds[0]["kind"], "sampled");
    assert_eq!(of("sampled")["flops_of_model"], found["flops_per_word"]);
    assert_eq!(of("sampled")["flops_per_word"], 6 * 8192 * 1024);
    assert_eq!(of("full")["flops_per_word"], 6_u64 * 793_470 * 1024);
    let adaptive = of("adaptive");
    assert_eq!(
        adaptive["cutoffs"],
        serde_json::json!([4899, 29_394, 176_364])
    );
    let flops = |one: &serde_json::Value| one["flops_of_model"].as_f64().unwrap();
    let ratio = flops(&adaptive) / flops(&of("sampled"));
    assert!((0.9..1.3).contains(&ratio), "{ratio}");
    let clusters = adaptive["clusters"].as_array().unwrap();
    let parts = clusters
        .iter()
        .map(|one| one["flops_per_word"].as_u64().unwrap());
    let sum = parts.sum::<u64>();
    assert_eq!(clusters[0]["flops_per_word"], 6 * (4899 + 3) * 1024);
    let whole = adaptive["flops_per_word"].as_u64().unwrap();
    assert!(sum.abs_diff(whole) <= 3, "{sum} and {whole}");
    assert_eq!(clusters[3]["words"], 793_470 - 176_364);
    assert_eq!(clusters[3]["width"], 16);
    assert_eq!(clusters[3]["counted"], false);

    // With a text, the shares are from its counts. Of 4 x a, 2 x <S>, 2 x b and no <UNK>, the head has the first two.
    let tiny = Tiny::new("sentences");
    std::fs::write(tiny.path("train.txt"), "a a a a\nb b\n").unwrap();
    let sets = [
        "softmax.kind=adaptive",
        "softmax.cutoffs=[2]",
        "softmax.divide=2",
    ];
    let sets = sets.into_iter().flat_map(|set| ["--set", set]);
    let mut command = tiny.wlstm();
    let found = json(command.args(["plan", "tiny.toml", "--json"]).args(sets));
    let cluster = &found["softmax"][0]["clusters"][1];
    assert_eq!(cluster["counted"], true);
    assert_eq!(cluster["share"], 2.0 / 8.0);
}

#[test]
fn the_table_is_for_people() {
    let text = stdout(plan("lm1b-g4-8").args(["--devices", "4"]));
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(value("recurrent parameters"), "42,008,576");
    assert_eq!(value("layers.1.gates.weight"), "8,388,608");
    assert_eq!(value("words per step"), "20,480");
    // The shares of the clusters do not touch the other columns, though these numbers are long.
    let text = stdout(&mut plan("lm1b-g4"));
    let of_parts = text.lines().filter(|line| line.contains(": ids "));
    let parts: Vec<Vec<&str>> = of_parts.map(|line| line.split(' ').collect()).collect();
    assert_eq!(parts.len(), 4, "{text}");
    for part in parts {
        let share = part.iter().position(|word| *word == "%").expect("a share");
        let is_number = |word: &str| word.parse::<f64>().is_ok();
        assert!(
            is_number(part[share - 1]) && part[share + 1].is_empty(),
            "{text}"
        );
    }
}

/// The part of the output about a device.
fn place(document: &serde_json::Value, device: &str) -> serde_json::Value {
    let mut places = document["places"].as_array().unwrap().iter();
    let place = places.find(|place| place["device"] == device);
    place.unwrap().clone()
}

#[test]
fn every_device_has_its_bytes() {
    let found = json(plan("lm1b-g4").arg("--json"));
    let mut sizes = Vec::new();
    for place in found["places"].as_array().unwrap() {
        let number = |value: &serde_json::Value| value.as_u64().unwrap();
        let (bytes, host) = (&place["bytes"], &place["host_bytes"]);
        let sum = |of: &serde_json::Value, names: &[&str]| -> u64 {
            names.iter().map(|name| number(&of[name])).sum()
        };
        let parts = [
            "parameters",
            "optimizer",
            "moving_average",
            "gradients",
            "travelling",
            "state",
            "activations",
        ];
        let all = sum(bytes, &parts) + sum(bytes, &["inputs_and_outputs", "params"]);
        assert_eq!(number(&bytes["total"]), all);
        let arenas = bytes["arenas"].as_array().unwrap().iter().map(number);
        assert_eq!(number(&bytes["activations"]), arenas.sum::<u64>());
        let of_host = [
            "vocabulary",
            "tables",
            "joining",
            "batches",
            "staging",
            "work",
            "transfer",
        ];
        assert_eq!(number(&host["total"]), sum(host, &of_host));
        let in_host = matches!(place["kind"].as_str().unwrap(), "cpu" | "software");
        let need = all + if in_host { number(&host["total"]) } else { 0 };
        assert_eq!(number(&place["need"]), need);
        assert!(number(&place["dispatches_per_step"]) >= 200);
        assert!(number(&place["dispatches_per_evaluation_batch"]) >= 100);
        sizes.push(need);
    }
    // The CPU, and an adapter or an assumed one: the same plans, split into different pieces.
    assert!(sizes.len() >= 2);
    let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
    assert!(*most < least + least / 20, "{sizes:?}");

    assert_eq!(found["exchange_bytes_per_step"]["sent"], 0);
    let four = json(plan("lm1b-g4").args(["--devices", "4", "--json"]));
    assert_eq!(four["exchange_bytes_per_step"]["dense"], 4 * 50_397_184);
    // For the update, the gradients of dense parameters and the rows of all four devices are stored.
    let more = |of: &str| four["bytes_per_device"][of].as_u64().unwrap();
    let (touched, samples) = (256 * 20, 8192);
    let rows = touched * 1024 + (samples + touched) * 1025;
    assert_eq!(more("gradients"), 4 * (50_397_184 + (1 + 4) * rows));
    assert_eq!(
        four["bytes_per_device"]["optimizer"],
        found["bytes_per_device"]["optimizer"]
    );

    // With tables on the host, the device stores only a few of their rows.
    let mut command = plan("lm1b-g4");
    command.args([
        "--set",
        "model.tables=host",
        "--set",
        "train.batch=8",
        "--json",
    ]);
    let host = place(&json(&mut command), "cpu");
    assert!(host["bytes"]["total"].as_u64().unwrap() < 3_000_000_000);
    let tables = 2 * 4 * 793_470_u64 * (1024 + 1025);
    assert_eq!(host["host_bytes"]["tables"], tables);
}

/// The proposed sizes fit, with 5 % of the memory to spare, and sizes larger by one do not.
#[test]
fn proposed_sizes_fit() {
    let sets = [
        "train.batch=128",
        "data.vocab_size=60000",
        "data.vocab=",
        "data.valid=[\"x\"]",
    ];
    let memory = 2_300_000_000_u64;
    let ask_of = |memory: u64, more: &[String]| {
        let mut command = plan("lm1b-g4");
        command.args(["--json", "--memory", &memory.to_string()]);
        for set in sets.iter().copied().chain(more.iter().map(String::as_str)) {
            command.args(["--set", set]);
        }
        place(&json(&mut command), "cpu")
    };
    let ask = |more: &[String]| ask_of(memory - memory / 20, more);
    let kept = ask_of(memory, &[]);
    assert_eq!(
        (&kept["fits"], &kept["available"]),
        (&false.into(), &memory.into())
    );
    let changes = kept["changes"].as_array().unwrap();
    let sets_of = |change: &serde_json::Value| -> Vec<String> {
        let sets = change["set"].as_array().unwrap().iter();
        sets.map(|set| set.as_str().unwrap().to_owned()).collect()
    };
    let keys: Vec<String> = changes
        .iter()
        .map(|change| sets_of(change).join(" "))
        .collect();
    for key in ["train.recompute=true", "train.batch=", "train.unroll="] {
        assert!(keys.iter().any(|given| given.starts_with(key)), "{keys:?}");
    }
    for change in changes {
        let mut sets = sets_of(change);
        let changed = ask(&sets);
        assert_eq!(changed["fits"], true, "{sets:?}");
        assert_eq!(changed["need"], change["bytes"], "{sets:?}");
        let last = sets.last_mut().unwrap();
        let Some((key, size)) = last.split_once('=') else {
            panic!("{last}")
        };
        if let Ok(size) = size.parse::<u64>() {
            *last = format!("{key}={}", size + 1);
            assert_eq!(ask(&sets)["fits"], false, "{sets:?}");
        }
    }

    let mut command = plan("lm1b-g4");
    let text = stdout(command.args(["--memory", "1GB", "--set", "data.vocab="]));
    assert!(text.contains("  no batch and no unroll is small enough\n"));
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    plan("lm1b-g4").args(["--memory", "8XB"]).assert().code(2);
}

/// Without an adapter, the plan assumes one with the limits that every adapter has.
#[test]
#[cfg(not(windows))]
fn without_an_adapter_one_is_assumed() {
    let ask = |more: &[&str]| {
        let mut command = plan("lm1b-g4");
        command.env("WGPU_BACKEND", "dx12").arg("--json").args(more);
        json(&mut command)
    };
    let found = ask(&[]);
    assert_eq!(found["places"].as_array().unwrap().len(), 2);
    assert_eq!(place(&found, "cpu")["kind"], "cpu");
    let any = place(&found, "gpu");
    assert_eq!(
        (&any["kind"], &any["refusal"]),
        (&"any".into(), &serde_json::Value::Null)
    );
    assert_eq!(
        (&any["available"], &any["fits"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    let arenas = any["bytes"]["arenas"].as_array().unwrap();
    assert!(arenas.len() > 1 && arenas.iter().all(|arena| arena.as_u64() <= Some(256 << 20)));
    let asked = place(&ask(&["--memory", "24GB"]), "gpu");
    assert_eq!(
        (&asked["available"], &asked["fits"]),
        (&24_000_000_000_u64.into(), &true.into())
    );
}

/// Recomputing the gates saves much memory if the model has many.
#[test]
fn recomputing_saves_half_of_the_activations() {
    let activations = |recompute: &str| {
        let sets = ["train.batch=128", "data.valid=[]", recompute];
        let found = json(
            plan("lm1b-g4")
                .arg("--json")
                .args(sets.map(|set| ["--set", set]).concat()),
        );
        found["bytes_per_device"]["activations"].as_u64().unwrap()
    };
    let (kept, again) = (
        activations("train.recompute=false"),
        activations("train.recompute=true"),
    );
    assert!(again < kept / 5 * 2, "{again} of {kept}");
}

#[test]
fn overrides_count_and_every_size_of_vocabulary_has_its_source() {
    let tiny = Tiny::new("sentences");
    let plan = |options: &[&str]| {
        let line = ["plan", "tiny.toml", "--json"];
        json(tiny.wlstm().args(line).args(options))
    };
    // Twelve words and two special ones.
    let counted = plan(&[]);
    assert_eq!(
        (&counted["vocabulary"], &counted["vocabulary_from"]),
        (&14.into(), &"text".into())
    );
    let given = plan(&["--set", "data.vocab_size=50"]);
    assert_eq!(
        (&given["vocabulary"], &given["vocabulary_from"]),
        (&50.into(), &"vocab_size".into())
    );
    // A tokenizer of subwords is not trained to count its tokens, so the text need not exist.
    let subwords = plan(&["--set", "data.tokens=bpe", "--set", "data.train=none.txt"]);
    assert_eq!(
        (&subwords["vocabulary"], &subwords["vocabulary_from"]),
        (&8000.into(), &"vocab_size".into())
    );
    tiny.write("v.txt", "<S> 2\na 1\n<UNK> 0\n");
    let file = plan(&["--set", "data.vocab=v.txt"]);
    assert_eq!(
        (&file["vocabulary"], &file["vocabulary_from"]),
        (&3.into(), &"file".into())
    );
    let tied = plan(&["--set", "model.tied=true", "--set", "model.embedding=4"]);
    assert!(
        tied["tensors"]
            .as_array()
            .unwrap()
            .iter()
            .all(|tensor| tensor["name"] != "softmax.weight")
    );

    // Validation has the logits of all words, training those of the candidates.
    let activations = |valid: &str| {
        let sets = [
            "data.vocab_size=200000",
            "softmax.kind=\"sampled\"",
            "softmax.samples=10",
            "train.batch=4",
            "train.unroll=5",
            valid,
        ];
        let found = plan(&sets.map(|set| ["--set", set]).concat());
        found["bytes_per_device"]["activations"].as_u64().unwrap()
    };
    let logits = 4 * 5 * 200_000 * 4;
    assert!(activations("data.valid=[\"v.txt\"]") >= logits);
    assert!(activations("data.valid=[]") < logits);

    for wrong in [
        &["--set", "data.vocab=none.txt"][..],
        &["--set", "data.train=[\"none.txt\"]"],
        &["--set", "data.vocab=v.txt", "--set", "data.vocab_size=4"],
    ] {
        let failed = tiny
            .wlstm()
            .args(["plan", "tiny.toml"])
            .args(wrong)
            .assert()
            .code(3);
        let failed = failed.stdout("").stderr(predicate::str::starts_with(
            "error: the size of the vocabulary is not known",
        ));
        failed.stderr(predicate::str::contains("help: "));
    }
    let wrong = ["plan", "tiny.toml", "--set", "model.groups=3"];
    tiny.wlstm().args(wrong).assert().code(2).stdout("");
}
