//! `wlstm factorize`: a factorization that loses nothing leaves the model unchanged, and invalid arguments are
//! refused.

use std::path::{Path, PathBuf};

use crate::common::program::{
    Dice, Ended, Folder, Tensors, scores, text, train, wlstm, write_tensors,
};
use serde_json::Value;

const SIZES: &str = "layers = 2\nembedding = 8\nhidden = 12\nprojection = 8";

/// A trained model and its configuration.
fn trained(folder: &Folder, cell: &str, more: &[&str]) -> (PathBuf, PathBuf) {
    let words = ["a", "b", "c", "d", "e", "f"];
    folder.write("train.txt", Dice(1).text(300, 9, &words));
    folder.write("valid.txt", Dice(2).text(40, 9, &words));
    let config = format!(
        "[model]\n{cell}\n{SIZES}\n[softmax]\nkind = \"full\"\n\
         [data]\ntrain = [\"train.txt\"]\nvalid = [\"valid.txt\"]\n\
         [train]\nbatch = 4\nunroll = 5\nsteps = 40\nema = 0.9\nlearning_rate = 0.5\n"
    );
    let config = folder.write("model.toml", config);
    let run = folder.path("trained");
    train(&config, &run, "cpu", more);
    (config, run)
}

fn factorize(run: &Path, out: &Path, more: &[&str]) -> Ended {
    let line = [
        "factorize",
        text(run),
        "--out",
        text(out),
        "--device",
        "cpu",
    ];
    wlstm(&[&line, more].concat())
}

fn factorized(run: &Path, out: &Path, more: &[&str]) -> Value {
    let ended = factorize(run, out, &[more, &["--json"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("one JSON document")
}

fn assert_same(run: &Path, other: &Path) {
    let lines = Dice(3).text(12, 9, &["a", "b", "c", "d", "x"]);
    for (x, y) in scores(run, &lines).into_iter().zip(scores(other, &lines)) {
        assert!((x - y).abs() < 2e-5 * x.abs(), "{x} {y}");
    }
}

#[test]
fn all_factors_are_the_matrix_and_few_are_near() {
    let folder = Folder::new();
    let (_, run) = trained(&folder, "cell = \"lstmp\"", &[]);
    let whole = folder.path("whole");
    let found = factorized(&run, &whole, &["--factor", "16"]);
    assert_same(&run, &whole);
    for layer in found["factors"].as_array().expect("layers") {
        assert!((layer["kept"].as_f64().expect("a part") - 1.0).abs() < 1e-6);
        assert_eq!(layer["values"].as_array().expect("values").len(), 16);
    }
    let number = |found: &Value, of: &str, when: &str| found[of][when].as_f64().expect("a number");
    let (before, after) = (
        number(&found, "perplexity", "before"),
        number(&found, "perplexity", "after"),
    );
    assert!((before / after - 1.0).abs() < 1e-5, "{found}");

    let few = folder.path("few");
    let found = factorized(&run, &few, &["--factor", "5,3"]);
    let kept: Vec<f64> = (0..2)
        .map(|k| found["factors"][k]["kept"].as_f64().expect("a part"))
        .collect();
    assert!(
        kept.iter().all(|kept| (0.3..0.999).contains(kept)),
        "{kept:?}"
    );
    // (16 * r + r * 48) + 48 + 96 a layer.
    assert_eq!(
        number(&found, "recurrent_parameters", "after"),
        f64::from(64 * 8 + 2 * 144)
    );
    assert!(number(&found, "flops_per_word", "after") < number(&found, "flops_per_word", "before"));
    // The text output has the same numbers.
    let shown = factorize(&run, &folder.path("shown"), &["--factor", "5,3"]);
    let perplexity = format!("{:.2}", number(&found, "perplexity", "after"));
    assert!(
        shown.stdout.contains(&format!("-> {perplexity}")),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stderr.contains("config.toml --init"),
        "{}",
        shown.stderr
    );
    // The start of a training.
    let tuned = folder.path("tuned");
    let config = few.join("config.toml");
    train(
        &config,
        &tuned,
        "cpu",
        &["--init", text(&few), "--steps", "20"],
    );
}

#[test]
fn permuted_groups_are_found() {
    permuted_groups("full");
    permuted_groups("adaptive");
}

fn permuted_groups(softmax: &str) {
    let folder = Folder::new();
    let kind = format!("softmax.kind={softmax}");
    let cell = "cell = \"glstm\"\ngroups = 2";
    let (_, run) = trained(&folder, cell, &["--set", &kind]);
    let checkpoint = run.join("checkpoints/step-00000040.safetensors");
    let file = Tensors::read(&checkpoint);
    // The same model, dense, its cells and the numbers between the layers in another order.
    let mut dice = Dice(9);
    let mut order = |len: usize| {
        let mut order: Vec<usize> = (0..len).collect();
        for k in (1..len).rev() {
            order.swap(k, dice.below(k + 1));
        }
        order
    };
    let axes = [order(8), order(8), order(8)];
    let cells = [order(12), order(12)];
    let columns = |values: &[f32], order: &[usize]| -> Vec<f32> {
        let rows = values.chunks(order.len());
        rows.flat_map(|row| order.iter().map(|&k| row[k])).collect()
    };
    let mut dense = Vec::new();
    for (name, (shape, _)) in &file.tensors {
        let values = file.values(name);
        let values = match name.as_str() {
            "embedding.weight" => columns(&values, &axes[0]),
            "softmax.weight" | "softmax.head.weight" => columns(&values, &axes[2]),
            "softmax.tails.0.projection" => {
                let rows = axes[2].iter();
                rows.flat_map(|row| values[row * 2..][..2].to_vec())
                    .collect()
            }
            name if name.starts_with("softmax.") => values,
            _ => continue,
        };
        dense.push((name.clone(), shape.clone(), values));
    }
    for k in 0..2 {
        let of = |name: &str| file.values(&format!("ema.layers.{k}.{name}"));
        let blocks = of("gates.weight");
        let mut weight = vec![0.0; 16 * 48];
        for row in 0..16 {
            // Row `row` of the dense matrix is of number `from` of the input or the output, which is in group `g`.
            let from = axes[k + row / 8][row % 8];
            let (g, inside) = (from / 4, row / 8 * 4 + from % 4);
            for column in 0..48 {
                let cell = cells[k][column % 12];
                if cell / 6 == g {
                    let place = (g * 8 + inside) * 24 + column / 12 * 6 + cell % 6;
                    weight[row * 48 + column] = blocks[place];
                }
            }
        }
        let projection = of("projection.weight");
        let rows: Vec<f32> = cells[k]
            .iter()
            .flat_map(|cell| projection[cell * 8..][..8].to_vec())
            .collect();
        let name = |what: &str| format!("layers.{k}.{what}");
        dense.push((name("gates.weight"), vec![16, 48], weight));
        dense.push((
            name("gates.bias"),
            vec![48],
            columns(&of("gates.bias"), &cells[k]),
        ));
        dense.push((
            name("projection.weight"),
            vec![12, 8],
            columns(&rows, &axes[k + 1]),
        ));
    }
    let dense_file = folder.path("dense.safetensors");
    write_tensors(&dense_file, &dense);
    let imported = folder.path("imported");
    let config = folder.path("model.toml");
    let line = [
        "import",
        text(&dense_file),
        "--config",
        text(&config),
        "--out",
        text(&imported),
    ];
    let sets = ["--set", "model.cell=lstmp", "--set", &kind];
    let ended = wlstm(&[&line[..], &sets].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_same(&run, &imported);

    let grouped = folder.path("grouped");
    let found = factorized(&imported, &grouped, &["--groups", "2"]);
    for layer in found["groups"].as_array().expect("layers") {
        assert!(
            layer["kept"].as_f64().expect("a part") > 0.999_999,
            "{layer}"
        );
        assert!(
            layer["kept_unordered"].as_f64().expect("a part") < 0.9,
            "{layer}"
        );
    }
    assert_same(&run, &grouped);
}

#[test]
fn models_with_shared_axes_keep_their_meaning() {
    // With one group nothing is lost, and with several the axes that are added or tied stay together.
    for (more, groups) in [
        (&["--set", "model.tied=true"][..], "1"),
        (&["--set", "model.residual=true"], "1"),
        (
            &["--set", "model.projection=0", "--set", "model.hidden=8"],
            "1",
        ),
    ] {
        let folder = Folder::new();
        let (_, run) = trained(&folder, "cell = \"lstmp\"", more);
        let out = folder.path("out");
        factorized(&run, &out, &["--groups", groups]);
        assert_same(&run, &out);
        factorized(&run, &folder.path("two"), &["--groups", "2,4"]);
    }
}

#[test]
fn what_cannot_be_factorized_is_refused() {
    let folder = Folder::new();
    let (_, run) = trained(&folder, "cell = \"lstmp\"", &[]);
    let out = folder.path("out");
    for (more, code, what) in [
        (&["--factor", "17"][..], 2, "no more than 16 factors"),
        (&["--factor", "0"], 2, "0 is not in 1.."),
        (
            &["--factor", "1,2,3"],
            2,
            "3 numbers, but the model has 2 layers",
        ),
        (&["--groups", "3"], 2, "groups"),
        (
            &["--groups", "2", "--factor", "2"],
            2,
            "cannot be used with",
        ),
        (&[], 2, "--factor"),
        (
            &["--factor", "2", "--data", "nowhere.txt"],
            3,
            "nowhere.txt",
        ),
    ] {
        let ended = factorize(&run, &out, more);
        assert_eq!(ended.code, Some(code), "{more:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(what), "{more:?}: {}", ended.stderr);
        assert!(!out.exists(), "{more:?}");
    }
    let taken = factorize(&run, &run, &["--factor", "2"]);
    assert_eq!(taken.code, Some(3), "{}", taken.stderr);
    let first = factorize(&run, &out, &["--factor", "2"]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let again = factorize(&out, &folder.path("again"), &["--factor", "2"]);
    assert_eq!(again.code, Some(2), "{}", again.stderr);
    assert!(again.stderr.contains("only models with `lstmp` cells"));
}
