//! Models that are exported to PyTorch and ONNX Runtime, and models that are imported from PyTorch.

use std::path::{Path, PathBuf};

use crate::common::program::{
    Dice, Ended, Folder, Tensors, lines_of, number, scores, text, train, wlstm, write_tensors,
};
use crate::common::{Trial, left_out_without_python};
use libtest_mimic::Failed;
use serde_json::Value;
use wlstm::checkpoint::Checkpoint;
use wlstm::config::Config;
use wlstm::corpus::Vocabulary;
use wlstm::files::Output;
use wlstm::interchange::{ExportSource, onnx};
use wlstm::model::parameter_set::ParameterSet;

type Test = fn() -> Result<(), Failed>;
type WithPython = fn(&Path) -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 5] = [
        ("what_pytorch_found_is_found_here", stored),
        (
            "what_goes_to_pytorch_comes_back_with_the_same_bits",
            there_and_back,
        ),
        ("parameters_alone_are_a_model", native),
        ("what_does_not_fit_is_refused", refusals),
        ("onnx_has_what_it_takes", one_file),
    ];
    let mut trials: Vec<Trial> = tests
        .into_iter()
        .map(|(name, test)| Trial::test(name, test))
        .collect();
    let with_python: [(&str, WithPython); 3] = [
        ("pytorch_and_onnx_runtime_compute_the_same", peers),
        (
            "onnx_runtime_reads_parameters_beside_the_model",
            beside_the_model,
        ),
        ("tensorboard_reads_what_is_in_the_metrics", board),
    ];
    for (name, test) in with_python {
        trials.push(match crate::common::python() {
            None => left_out_without_python(name.to_owned()),
            Some(python) => Trial::test(name, move || test(&python)),
        });
    }
    trials
}

/// A file in the folder of this test.
fn beside(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interchange");
    Path::new(folder).join(name)
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
    let expected: Value = serde_json::from_slice(&std::fs::read(beside("expected.json"))?)?;
    let lines = expected["lines"].as_array().expect("lines");
    let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
    let found = scores(&run, &(lines.join("\n") + "\n"));
    let want = expected["log_probability"].as_array().expect("numbers");
    assert_eq!(found.len(), want.len());
    for (found, want) in found.iter().zip(want) {
        let want = want.as_f64().expect("a number");
        assert!((found - want).abs() < 1e-5, "{found} for {want}");
    }
    Ok(())
}

fn there_and_back() -> Result<(), Failed> {
    let folder = Folder::new();
    // From PyTorch and back: everything is equal except the biases, of which only the sum matters.
    let (config, run) = from_pytorch(&folder);
    let first = Tensors::read(&beside("pytorch.safetensors"));
    let second = exported(&run, &folder.path("second.safetensors"), &[]);
    for (name, tensor) in &first.tensors {
        if !name.starts_with("lstm.bias") {
            assert_eq!(tensor, &second.tensors[name], "{name}");
        }
    }
    for layer in 0..2 {
        let sum = |file: &Tensors| -> Vec<f32> {
            let [ih, hh] =
                ["ih", "hh"].map(|part| file.values(&format!("lstm.bias_{part}_l{layer}")));
            ih.iter().zip(hh).map(|(x, y)| x + y).collect()
        };
        for (x, y) in sum(&first).iter().zip(sum(&second)) {
            assert!((x - y).abs() <= f32::EPSILON * 4.0, "{x} {y}");
        }
    }
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

/// A trained model with moving averages, and its configuration.
fn trained(folder: &Folder, cell: &str) -> (PathBuf, PathBuf) {
    folder.write(
        "train.txt",
        Dice(1).text(200, 9, &["a", "b", "c", "d", "e"]),
    );
    let config = format!(
        "[model]\n{cell}\nlayers = 2\nembedding = 8\nhidden = 12\nprojection = 8\n[softmax]\nkind = \"full\"\n\
         [data]\ntrain = [\"train.txt\"]\n[train]\nbatch = 4\nunroll = 5\nsteps = 20\nema = 0.8\n"
    );
    let config = folder.write("model.toml", config);
    let run = folder.path("trained");
    train(&config, &run, "cpu", &[]);
    (config, run)
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
    let ended = export(&run, &out, &[]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--format onnx"), "{}", ended.stderr);
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
    let other = set("model.cell=glstm");
    assert_eq!(other.code, Some(2), "{}", other.stderr);
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
    Ok(())
}

fn peers(python: &Path) -> Result<(), Failed> {
    let (check, program) = (beside("check.py"), env!("CARGO_BIN_EXE_wlstm"));
    run_python(python, &[text(&check), program, "--require", "onnxruntime"]).map(drop)
}

/// Runs a Python program.
fn run_python(python: &Path, arguments: &[&str]) -> Result<String, Failed> {
    let ended = Ended::from(
        std::process::Command::new(python)
            .args(arguments)
            .output()?,
    );
    match ended.code {
        Some(0) => Ok(ended.stdout),
        _ => Err(format!("{}{}", ended.stdout, ended.stderr).into()),
    }
}

/// What ONNX Runtime computes of one word, as JSON.
const ONE_STEP: &str = "import json, sys, numpy, onnxruntime\n\
    session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])\n\
    given = {v.name: numpy.ones((2, v.shape[1]), numpy.float32) / 3 for v in session.get_inputs() if v.name != 'word'}\n\
    given['word'] = numpy.array([1, 2])\n\
    json.dump([value.tolist() for value in session.run(None, given)], sys.stdout)";

fn beside_the_model(python: &Path) -> Result<(), Failed> {
    let folder = Folder::new();
    let (_, run) = trained(&folder, "cell = [\"glstm\", \"lstmp\"]\ngroups = 2");
    let checkpoint = Checkpoint::open(&run.join("checkpoints/step-00000020.safetensors"))
        .map_err(|error| error.chain().to_string())?;
    let text_of = |key: &str| checkpoint.metadata()[key].clone();
    let config = Config::parse(&text_of("config"), "x", Path::new("/"), &[])
        .map_err(|error| error.chain().to_string())?;
    let words = checkpoint.tensor_u8("vocab").map_err(|e| e.to_string())?;
    let vocabulary =
        Vocabulary::from_bytes(words, config.data.order, "x").map_err(|e| e.to_string())?;
    let source = ExportSource {
        checkpoint: &checkpoint,
        config: &config,
        vocabulary: &vocabulary,
        set: ParameterSet::Average,
    };
    let mut found = Vec::new();
    for (name, inside) in [("one.onnx", onnx::MAX_INLINE), ("two.onnx", 0)] {
        let path = folder.path(name);
        let beside = Output::named(&path)
            .and_then(|out| onnx::export(&source, &out, inside))
            .map_err(|e| e.chain().to_string())?;
        assert_eq!(beside.is_some(), inside == 0);
        found.push(run_python(python, &["-c", ONE_STEP, text(&path)])?);
    }
    assert!(std::fs::metadata(folder.path("two.onnx"))?.len() < 20_000);
    assert_eq!(found[0], found[1]);
    Ok(())
}

fn board(python: &Path) -> Result<(), Failed> {
    let folder = Folder::new();
    let config = "[model]\ncell = \"glstm\"\ngroups = 2\nlayers = 1\nembedding = 8\nhidden = 8\nprojection = 4\n\
                  [softmax]\nkind = \"full\"\n[data]\ntrain = [\"train.txt\"]\nvalid = [\"train.txt\"]\n\
                  [train]\nbatch = 2\nunroll = 5\nsteps = 20\nvalidate_every = 5\ncheckpoint_every = 5\nhistogram_every = 10\n";
    let config = folder.write("model.toml", config);
    folder.write("train.txt", Dice(1).text(200, 9, &["a", "b", "c"]));
    let run = folder.path("run");
    train(&config, &run, "cpu", &[]);
    // As if the run had been killed after step 10: later steps are repeated, and shown once.
    for step in [15, 20] {
        std::fs::remove_file(run.join(format!("checkpoints/step-{step:08}.safetensors")))?;
    }
    train(&config, &run, "cpu", &["--resume", "--steps", "30"]);
    let script = beside("board.py");
    let found = run_python(python, &[text(&script), text(&run.join("tensorboard"))])?;
    let found: Value = serde_json::from_str(&found)?;
    let close = |x: f64, y: f64| (x - y).abs() <= 1e-6 * y.abs();
    for (tag, kind, key) in [
        ("train/loss", "step", "loss"),
        ("train/words_per_second", "step", "words_per_second"),
        ("train/learning_rate", "step", "learning_rate"),
        ("train/grad_norm", "step", "grad_norm"),
        ("valid/perplexity", "valid", "perplexity"),
    ] {
        let points = found["scalars"][tag].as_array().expect(tag);
        let lines = lines_of(&run, kind);
        assert_eq!(points.len(), lines.len(), "{tag}");
        for (point, line) in points.iter().zip(&lines) {
            assert_eq!(point[0].as_f64(), Some(number(line, "step")), "{tag}");
            let (shown, written) = (point[1].as_f64().expect("a number"), number(line, key));
            assert!(close(shown, written), "{tag}: {shown} {written}");
        }
    }
    let texts = &found["texts"];
    assert!(
        texts["configuration"][0][1]
            .as_str()
            .expect("a text")
            .contains("groups = 2")
    );
    assert!(
        texts["sample"]
            .as_array()
            .is_some_and(|samples| !samples.is_empty())
    );
    for name in [
        "weights/layers.0.gates.weight",
        "gradients/layers.0.gates.weight",
    ] {
        let histograms = found["histograms"][name].as_array().expect(name);
        let steps: Vec<_> = histograms.iter().map(|h| h[0].as_u64()).collect();
        assert_eq!(steps, [Some(10), Some(20), Some(30)], "{name}");
        for histogram in histograms {
            // [2, (8 + 4) / 2, 4 * 8 / 2].
            assert_eq!(histogram[1].as_f64(), Some(192.0), "{name}");
            let buckets = histogram[6].as_array().expect("buckets");
            let sum: f64 = buckets.iter().filter_map(Value::as_f64).sum();
            assert_eq!(sum, 192.0, "{name}");
            assert!(histogram[2].as_f64() < histogram[3].as_f64());
        }
    }
    Ok(())
}
