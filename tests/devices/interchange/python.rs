//! Tests that run Python programs.

use std::path::Path;

use crate::common::program::{Dice, Ended, Folder, lines_of, number, text, train};
use crate::common::{Trial, left_out_without_python};
use libtest_mimic::Failed;
use serde_json::Value;
use wlstm::checkpoint::Checkpoint;
use wlstm::config::Config;
use wlstm::corpus::Vocabulary;
use wlstm::files::Output;
use wlstm::interchange::ExportSource;
use wlstm::interchange::onnx::{self, Graph};
use wlstm::model::parameter_set::ParameterSet;

use super::tools::{beside, trained};

type WithPython = fn(&Path) -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let with_python: [(&str, WithPython); 3] = [
        ("pytorch_and_onnx_runtime_compute_the_same", peers),
        (
            "onnx_runtime_reads_parameters_beside_the_model",
            beside_the_model,
        ),
        ("tensorboard_reads_what_is_in_the_metrics", board),
    ];
    let trial = |(name, test): (&str, WithPython)| match crate::common::python() {
        None => left_out_without_python(name.to_owned()),
        Some(python) => Trial::test(name, move || test(&python)),
    };
    with_python.into_iter().map(trial).collect()
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

/// What ONNX Runtime computes of two sentences, as JSON.
const SENTENCES: &str = "import json, sys, numpy, onnxruntime\n\
    session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])\n\
    given = {'x': numpy.array([[1, 2, 3], [2, 0, 0]]), 'x_lens': numpy.array([3, 1])}\n\
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
    for (graph, script) in [(Graph::Step, ONE_STEP), (Graph::Nll, SENTENCES)] {
        for (name, inside) in [("one.onnx", onnx::MAX_INLINE), ("two.onnx", 0)] {
            let path = folder.path(name);
            let beside = Output::named(&path)
                .and_then(|out| onnx::export(&source, graph, &out, inside))
                .map_err(|e| e.chain().to_string())?;
            assert_eq!(beside.is_some(), inside == 0);
            found.push(run_python(python, &["-c", script, text(&path)])?);
        }
        assert!(std::fs::metadata(folder.path("two.onnx"))?.len() < 20_000);
    }
    assert_eq!((&found[0], &found[2]), (&found[1], &found[3]));
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
