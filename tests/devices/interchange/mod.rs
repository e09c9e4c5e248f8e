//! Models that are exported to PyTorch and ONNX Runtime, and models that are imported from PyTorch.

mod python;
mod tools;

use std::path::{Path, PathBuf};

use crate::common::Trial;
use crate::common::program::{
    Dice, Ended, Folder, Tensors, losses, scores, text, train, wlstm, write_tensors,
};
use libtest_mimic::Failed;
use serde_json::Value;
use wlstm::help::Topic;

use self::tools::{beside, trained, trained_with};

type Test = fn() -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 8] = [
        ("what_pytorch_found_is_found_here", stored),
        (
            "an_adaptive_softmax_trains_as_in_pytorch",
            trained_by_pytorch,
        ),
        (
            "what_pytorch_found_with_the_documented_layers_is_found_here",
            stored_layers,
        ),
        ("every_model_comes_back_with_the_same_bits", round_trips),
        (
            "what_goes_to_pytorch_comes_back_with_the_same_bits",
            there_and_back,
        ),
        ("parameters_alone_are_a_model", native),
        ("what_does_not_fit_is_refused", refusals),
        ("onnx_has_what_it_takes", one_file),
    ];
    let tests = tests.into_iter();
    let tests = tests.map(|(name, test)| Trial::test(name, test));
    tests.chain(python::trials()).collect()
}

/// A configuration of the model that PyTorch has made.
const CONFIG: &str = "[model]\ncell = \"lstmp\"\nlayers = 2\nembedding = 6\nhidden = 10\nprojection = 4\n\
                      [softmax]\nkind = \"full\"\n[data]\ntrain = [\"none.txt\"]\nvocab = \"vocab.txt\"\n\
                      [train]\nbatch = 3\nunroll = 4\nsteps = 5\nema = 0.99\n";

fn from_pytorch(folder: &Folder) -> (PathBuf, PathBuf) {
    let config = folder.write("model.toml", CONFIG);
    std::fs::copy(beside("vocab.txt"), folder.path("vocab.txt")).expect("a copy");
    let run = folder.path("run");
    import(&beside("pytorch.safetensors"), &config, &run, 0);
    (config, run)
}

fn import(file: &Path, config: &Path, run: &Path, code: i32) -> Ended {
    let ended = wlstm(&[
        "import",
        text(file),
        "--config",
        text(config),
        "--out",
        text(run),
    ]);
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    ended
}

fn export(run: &Path, file: &Path, more: &[&str]) -> Ended {
    let arguments = [&["export", text(run), "--out", text(file)], more].concat();
    wlstm(&arguments)
}

fn exported(run: &Path, file: &Path, more: &[&str]) -> Tensors {
    let ended = export(run, file, more);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    Tensors::read(file)
}

fn stored() -> Result<(), Failed> {
    let folder = Folder::new();
    let (_, run) = from_pytorch(&folder);
    scores_are_those_of(&run, "expected.json").map(drop)
}

/// Checks that a run scores lines as PyTorch did. Returns the stored results of PyTorch.
fn scores_are_those_of(run: &Path, name: &str) -> Result<Value, Failed> {
    let expected: Value = serde_json::from_slice(&std::fs::read(beside(name))?)?;
    let lines = expected["lines"].as_array().expect("lines");
    let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
    let found = scores(run, &(lines.join("\n") + "\n"));
    let want = expected["log_probability"].as_array().expect("numbers");
    assert_eq!(found.len(), want.len());
    for (found, want) in found.iter().zip(want) {
        let want = want.as_f64().expect("a number");
        assert!((found - want).abs() < 1e-5, "{found} for {want}");
    }
    Ok(expected)
}

/// The configuration of the model with an adaptive softmax that PyTorch has trained.
const ADAPTIVE: &str = "[model]\ncell = \"lstmp\"\nlayers = 2\nembedding = 7\nhidden = 12\nprojection = 8\ndropout = 0.0\n\
                        forget_bias = 0.0\n[softmax]\nkind = \"adaptive\"\ncutoffs = [6, 15]\ndivide = 2\n\
                        [data]\norder = \"contiguous\"\ntrain = [\"train.txt\"]\nvocab = \"vocab.txt\"\n\
                        [train]\nbatch = 4\nunroll = 5\noptimizer = \"sgd\"\nlearning_rate = 2.0\nclip_norm = 0.25\nema = 0.0\n\
                        recipe = \"plain\"\nsteps = 20\n";

/// An imported PyTorch model has the same training losses as in PyTorch, and its export has the tensors that PyTorch reads.
fn trained_by_pytorch() -> Result<(), Failed> {
    let folder = Folder::new();
    let expected: Value = serde_json::from_slice(&std::fs::read(beside("adaptive.json"))?)?;
    let list = |name: &str| expected[name].as_array().expect("a list").clone();
    for (file, name) in [("vocab.txt", "vocab"), ("train.txt", "train")] {
        let lines = list(name);
        let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
        folder.write(file, lines.join("\n") + "\n");
    }
    let config = folder.write("model.toml", ADAPTIVE);
    let start = folder.path("start");
    import(&beside("adaptive.safetensors"), &config, &start, 0);
    let back = exported(&start, &folder.path("back.safetensors"), &[]);
    let from = Tensors::read(&beside("adaptive.safetensors"));
    same_up_to_biases(&from, &back, |part, layer| {
        format!("lstm.bias_{part}_l{layer}")
    });
    assert_eq!(back.texts["wlstm.cutoffs"], "[6, 15]");
    assert_eq!(back.texts["wlstm.divide"], "2");
    let run = folder.path("run");
    train(&config, &run, "cpu", &["--init", text(&start)]);
    let (found, want) = (losses(&run), list("losses"));
    assert_eq!((found.len(), want.len()), (20, 20));
    for (step, want) in want.iter().enumerate() {
        let (found, want) = (found[&(step as u64 + 1)], want.as_f64().expect("a number"));
        assert!(
            (found - want).abs() < 1e-5,
            "step {step}: {found}, not {want}"
        );
    }
    scores_are_those_of(&run, "adaptive.json").map(drop)
}

/// The configuration of the model with all cells that PyTorch has written.
const ALL_CELLS: &str = "[model]\ncell = [\"lstmp\", \"flstm\", \"glstm\"]\nlayers = 3\nembedding = 6\nhidden = 10\nprojection = 6\n\
                         factor = 3\ngroups = 2\nresidual = true\n[softmax]\nkind = \"full\"\n[data]\ntrain = [\"none.txt\"]\n\
                         [train]\nbatch = 3\nunroll = 4\nsteps = 5\nema = 0.99\n";

fn stored_layers() -> Result<(), Failed> {
    let folder = Folder::new();
    let config = folder.write("model.toml", ALL_CELLS);
    let (file, run) = (beside("cells.safetensors"), folder.path("run"));
    import(&file, &config, &run, 0);
    let expected = scores_are_those_of(&run, "cells.json")?;
    // The results were computed with the class in the help. After a change of the class, `check.py --store` computes them
    // again.
    let class = expected["class"].as_array().expect("lines");
    let class: Vec<&str> = class.iter().filter_map(Value::as_str).collect();
    let topic = Topic::named("interchange").expect("a topic");
    assert!(topic.text.contains(&class.join("\n")));
    // The exported file has the same tensors, so PyTorch would compute the same results.
    let back = exported(&run, &folder.path("back.safetensors"), &[]);
    same_up_to_biases(&Tensors::read(&file), &back, |part, layer| {
        format!("layers.{layer}.bias_{part}")
    });
    assert_eq!(back.texts["wlstm.residual"], "true");
    // A configuration of other layers is refused.
    let other = folder.write("other.toml", ALL_CELLS.replace("\"flstm\"", "\"lstmp\""));
    import(&file, &other, &folder.path("other"), 3);
    let dense = folder.write("dense.toml", CONFIG);
    std::fs::copy(beside("vocab.txt"), folder.path("vocab.txt"))?;
    let refused = import(&file, &dense, &folder.path("other"), 2);
    assert!(refused.stderr.contains("model.cell"), "{}", refused.stderr);
    assert!(!folder.path("other").exists());
    Ok(())
}

/// Checks that two files have the same tensors. Of the biases, only the sums must be equal, up to rounding.
fn same_up_to_biases(one: &Tensors, other: &Tensors, bias: impl Fn(&str, usize) -> String) {
    let names = |file: &Tensors| file.tensors.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other));
    for (name, tensor) in &one.tensors {
        if !name.contains("bias_") {
            assert_eq!(tensor, &other.tensors[name], "{name}");
        }
    }
    let mut layers = 0;
    while one.tensors.contains_key(&bias("ih", layers)) {
        let sum = |file: &Tensors| -> Vec<f32> {
            let [ih, hh] = ["ih", "hh"].map(|part| file.values(&bias(part, layers)));
            ih.iter().zip(hh).map(|(x, y)| x + y).collect()
        };
        for (x, y) in sum(one).iter().zip(sum(other)) {
            assert!((x - y).abs() <= f32::EPSILON * 4.0, "{x} {y}");
        }
        layers += 1;
    }
    assert!(layers > 1);
}

fn round_trips() -> Result<(), Failed> {
    for cell in [
        "cell = \"flstm\"\nfactor = 3",
        "cell = [\"glstm\", \"lstmp\"]\ngroups = 2\nforget_bias = 0.3",
        "cell = \"lstmp\"\nresidual = true",
        "cell = \"glstm\"\ngroups = 4\ntied = true",
        "cell = \"glstm\"\ngroups = 2",
    ] {
        let folder = Folder::new();
        let softmax = match cell {
            "cell = \"glstm\"\ngroups = 2" => "kind = \"adaptive\"\ncutoffs = [2, 4]\ndivide = 2",
            _ => "kind = \"full\"",
        };
        let (config, run) = trained_with(&folder, cell, softmax);
        let file = folder.path("there.safetensors");
        let there = exported(&run, &file, &[]);
        assert!(there.tensors.contains_key("layers.1.bias_ih"), "{cell}");
        let back = folder.path("back");
        import(&file, &config, &back, 0);
        let native = |run: &Path, name: &str| {
            exported(run, &folder.path(name), &["--format", "native"]).tensors
        };
        let averages = native(&run, "run.safetensors");
        let imported = native(&back, "back.safetensors");
        for (name, values) in &imported {
            // The parameters of an imported model are the averages that were exported.
            let average = format!("ema.{name}");
            let from = averages.get(&average).or_else(|| averages.get(name));
            assert_eq!(Some(values), from, "{cell}: {name}");
        }
        assert_eq!(averages.len(), imported.len(), "{cell}");
        let again = exported(&back, &folder.path("again.safetensors"), &[]);
        assert_eq!(there.tensors, again.tensors, "{cell}");
        let lines = Dice(2).text(9, 7, &["a", "b", "x"]);
        assert_eq!(scores(&run, &lines), scores(&back, &lines), "{cell}");
    }
    Ok(())
}

fn there_and_back() -> Result<(), Failed> {
    let folder = Folder::new();
    // From PyTorch and back: everything is equal except the biases, of which only the sum matters.
    let (config, run) = from_pytorch(&folder);
    let first = Tensors::read(&beside("pytorch.safetensors"));
    let second = exported(&run, &folder.path("second.safetensors"), &[]);
    same_up_to_biases(&first, &second, |part, layer| {
        format!("lstm.bias_{part}_l{layer}")
    });
    // Ours: every bit.
    let again = folder.path("again");
    import(&folder.path("second.safetensors"), &config, &again, 0);
    let third = exported(&again, &folder.path("third.safetensors"), &[]);
    assert_eq!(second.tensors, third.tensors);
    let checkpoint = "checkpoints/step-00000000.safetensors";
    let (one, two) = (run.join(checkpoint), again.join(checkpoint));
    assert_eq!(Tensors::read(&one).tensors, Tensors::read(&two).tensors);
    // A run of it can be trained further.
    folder.write("none.txt", Dice(3).text(50, 9, &["w1", "w2", "w5", "w7"]));
    train(
        &config,
        &folder.path("more"),
        "cpu",
        &["--init", text(&again)],
    );
    Ok(())
}

fn native() -> Result<(), Failed> {
    let folder = Folder::new();
    let (config, run) = trained(&folder, "cell = \"glstm\"\ngroups = 4");
    let lines = Dice(2).text(9, 7, &["a", "b", "x"]);
    let want = scores(&run, &lines);
    let file = folder.path("native.safetensors");
    let tensors = exported(&run, &file, &["--format", "native"]);
    assert!(tensors.tensors.contains_key("ema.layers.1.gates.weight"));
    assert!(
        !tensors
            .tensors
            .keys()
            .any(|name| name.starts_with("optimizer."))
    );
    // As a checkpoint, as a run, and after a training run of which only the start is left.
    assert_eq!(scores(&file, &lines), want);
    let imported = folder.path("imported");
    import(&file, &config, &imported, 0);
    assert_eq!(scores(&imported, &lines), want);
    let last = exported(&run, &file, &["--format", "native", "--last"]);
    assert!(!last.tensors.keys().any(|name| name.starts_with("ema.")));
    let resumed = wlstm(&["train", text(&config), "--resume", "--out", text(&imported)]);
    assert_eq!(resumed.code, Some(3), "{}", resumed.stderr);
    assert!(resumed.stderr.contains("--init"), "{}", resumed.stderr);
    Ok(())
}

fn refusals() -> Result<(), Failed> {
    let folder = Folder::new();
    let (_, run) = trained(&folder, "cell = \"flstm\"\nfactor = 3");
    let out = folder.path("out.safetensors");
    let ended = export(&run, &out, &["--format", "torchscript"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("onnx-nll"), "{}", ended.stderr);
    assert!(!out.exists());
    let checkpoint = run.join("checkpoints/step-00000020.safetensors");
    let onto_itself = export(&checkpoint, &checkpoint, &["--format", "native"]);
    assert_eq!(onto_itself.code, Some(2), "{}", onto_itself.stderr);
    let nowhere = export(&run, &folder.path("no/out.onnx"), &["--format", "onnx"]);
    assert_eq!(nowhere.code, Some(3), "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("no folder"), "{}", nowhere.stderr);

    let config_of = folder.write("torch.toml", CONFIG);
    std::fs::copy(beside("vocab.txt"), folder.path("vocab.txt"))?;
    let new = folder.path("new");
    // PyTorch's file for a configuration of other cells, and of other sizes.
    let set = |change: &str| {
        let file = beside("pytorch.safetensors");
        let arguments = [
            "import",
            text(&file),
            "--config",
            text(&config_of),
            "--out",
            text(&new),
            "--set",
            change,
        ];
        wlstm(&arguments)
    };
    for change in ["model.cell=flstm", "model.projection=10"] {
        let other = set(change);
        assert_eq!(other.code, Some(2), "{}", other.stderr);
        assert!(other.stderr.contains("\"lstmp\""), "{}", other.stderr);
    }
    let larger = set("model.hidden=12");
    assert_eq!(larger.code, Some(3), "{}", larger.stderr);
    assert!(
        larger
            .stderr
            .contains("`lstm.weight_ih_l0` has shape [40, 6] and should have [48, 6]")
    );
    assert!(!new.exists(), "nothing is left");
    // One tensor missing, one unknown.
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> =
        Tensors::read(&beside("pytorch.safetensors"))
            .tensors
            .iter()
            .map(|(name, (shape, _))| {
                (
                    name.clone(),
                    shape.clone(),
                    vec![0.0; shape.iter().product()],
                )
            })
            .collect();
    let bias = tensors.iter_mut().find(|(name, ..)| name == "softmax.bias");
    bias.expect("a bias").0 = "decoder.bias".to_owned();
    let file = folder.path("renamed.safetensors");
    write_tensors(&file, &tensors);
    let renamed = import(&file, &config_of, &new, 3);
    for what in [
        "`softmax.bias` [20] is missing",
        "`decoder.bias` is unknown",
    ] {
        assert!(renamed.stderr.contains(what), "{}", renamed.stderr);
    }
    folder.write(
        "short.safetensors",
        &std::fs::read(beside("pytorch.safetensors"))?[..2000],
    );
    import(&folder.path("short.safetensors"), &config_of, &new, 3);
    // A run is not overwritten.
    let taken = import(&beside("pytorch.safetensors"), &config_of, &run, 3);
    assert!(
        taken.stderr.contains("already contains a run"),
        "{}",
        taken.stderr
    );
    Ok(())
}

fn one_file() -> Result<(), Failed> {
    let folder = Folder::new();
    let (_, run) = trained(
        &folder,
        "cell = [\"glstm\", \"flstm\"]\ngroups = 2\nfactor = 3",
    );
    let out = folder.path("model.onnx");
    let ended = export(&run, &out, &["--format", "onnx"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let bytes = std::fs::read(&out)?;
    let has = |what: &str| {
        bytes
            .windows(what.len())
            .any(|part| part == what.as_bytes())
    };
    for what in [
        "log_probability",
        "h.1.next",
        "wlstm.vocab",
        "layers.1.gates.factor_out",
    ] {
        assert!(has(what), "{what}");
    }
    assert!(!folder.path("model.onnx.data").exists());
    assert_eq!(ended.stdout, "");
    let ended = export(&run, &out, &["--format", "onnx-nll"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let bytes = std::fs::read(&out)?;
    for what in ["x_lens", "nll", "Scan", "sos_id", "eos_id", "vocab_size"] {
        let mut parts = bytes.windows(what.len());
        assert!(parts.any(|part| part == what.as_bytes()), "{what}");
    }
    Ok(())
}
