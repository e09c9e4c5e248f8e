//! What a reader of the description of models and training predicts, without a look at the program: every loss and norm of
//! the first steps, and every weight, optimizer tensor, moving average and state after them. With shuffling off, dropout 0
//! and `--init`, nothing is left to chance but the candidates of the sampled softmax, whose ids alone are taken from the
//! program.
//!
//! [`text`] makes batches, [`model`] computes and trains, [`tape`] differentiates; all in `f64`, one number at a time.

mod model;
mod tape;
mod text;

use crate::common::program::{
    Dice, Folder, Tensors, checkpoint, lines_of, number, train, write_tensors,
};
use crate::common::{Trial, on_every_gpu};
use libtest_mimic::Failed;
use model::{Cell, Model, Spec};
use text::{Unroll, contiguous, contiguous_once, sentences};

/// The words of the text that the vocabulary knows, in order of falling frequency.
const KNOWN: [&str; 9] = ["the", "cat", "dog", "sat", "ran", "on", "mat", "far", "of"];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, spec) in specs() {
        let on_gpus = [
            "glstm_per_layer_groups_sampled",
            "flstm_full_clipped",
            "plain_momentum_sampled_short_unroll",
            "paper_two_devices_sampled_clipped",
        ]
        .contains(&name);
        let again = spec.clone();
        trials.push(Trial::test(format!("{name}::cpu"), move || {
            check(name, &spec, "cpu")
        }));
        if on_gpus {
            trials.extend(on_every_gpu(name, move |gpu| {
                check(name, &again, &format!("gpu:{}", gpu.adapter.summary.index))
            }));
        }
    }
    trials
}

/// What is tested, each with its name.
fn specs() -> Vec<(&'static str, Spec)> {
    let paper = Spec {
        cells: vec![Cell::Lstmp],
        embedding: 4,
        hidden: 6,
        projection: 4,
        residual: false,
        tied: false,
        forget_bias: 1.0,
        samples: None,
        contiguous: false,
        devices: 1,
        batch: 3,
        unroll: 4,
        optimizer: "adagrad",
        learning_rate: 0.2,
        clip: 10.0,
        ema: 0.9,
        plain: false,
        seed: 5,
        steps: 9,
    };
    let plain = Spec {
        optimizer: "sgd",
        learning_rate: 1.5,
        plain: true,
        contiguous: true,
        ema: 0.0,
        ..paper.clone()
    };
    vec![
        ("lstmp_full", paper.clone()),
        (
            "lstmp_two_layers_sampled_clipped",
            Spec {
                cells: vec![Cell::Lstmp; 2],
                samples: Some(5),
                clip: 0.2,
                embedding: 5,
                ..paper.clone()
            },
        ),
        (
            "flstm_full_clipped",
            Spec {
                cells: vec![Cell::Flstm(2), Cell::Flstm(3)],
                clip: 0.1,
                learning_rate: 1.0,
                ema: 0.99,
                ..paper.clone()
            },
        ),
        (
            "glstm_per_layer_groups_sampled",
            Spec {
                cells: vec![Cell::Glstm(2), Cell::Glstm(4)],
                hidden: 8,
                residual: true,
                samples: Some(6),
                ..paper.clone()
            },
        ),
        (
            "mixed_cells_contiguous",
            Spec {
                cells: vec![Cell::Flstm(2), Cell::Glstm(2), Cell::Lstmp],
                contiguous: true,
                learning_rate: 1.0,
                steps: 20,
                forget_bias: 0.5,
                ..paper.clone()
            },
        ),
        (
            "tied_full",
            Spec {
                tied: true,
                ..paper.clone()
            },
        ),
        (
            "tied_sampled_residual",
            Spec {
                tied: true,
                residual: true,
                samples: Some(4),
                ..paper.clone()
            },
        ),
        (
            "no_projection",
            Spec {
                projection: 0,
                cells: vec![Cell::Lstmp, Cell::Glstm(3)],
                ..paper.clone()
            },
        ),
        (
            "plain_sgd_clipped_no_projection",
            Spec {
                projection: 0,
                cells: vec![Cell::Lstmp; 2],
                clip: 0.25,
                forget_bias: 0.0,
                ..plain.clone()
            },
        ),
        ("plain_sgd", plain.clone()),
        (
            "plain_momentum_sampled",
            Spec {
                optimizer: "momentum",
                learning_rate: 0.3,
                samples: Some(3),
                contiguous: false,
                batch: 2,
                unroll: 2,
                ..plain.clone()
            },
        ),
        (
            "plain_adam",
            Spec {
                optimizer: "adam",
                learning_rate: 0.01,
                ema: 0.9,
                cells: vec![Cell::Glstm(2)],
                ..plain.clone()
            },
        ),
        (
            "plain_momentum_sampled_short_unroll",
            Spec {
                optimizer: "momentum",
                learning_rate: 0.3,
                samples: Some(3),
                clip: 0.3,
                unroll: 11,
                steps: 9,
                ..plain.clone()
            },
        ),
        (
            "plain_adam_full_tied_short_unroll",
            Spec {
                optimizer: "adam",
                learning_rate: 0.01,
                tied: true,
                unroll: 11,
                steps: 9,
                ..plain.clone()
            },
        ),
        (
            "paper_tied_sampled_short_unroll",
            Spec {
                tied: true,
                contiguous: true,
                samples: Some(4),
                unroll: 11,
                steps: 9,
                ..paper.clone()
            },
        ),
        (
            "paper_adam_tied",
            Spec {
                optimizer: "adam",
                learning_rate: 0.01,
                tied: true,
                clip: 0.05,
                batch: 2,
                unroll: 2,
                ..paper.clone()
            },
        ),
        (
            "plain_clipped_tied_sampled",
            Spec {
                tied: true,
                samples: Some(7),
                clip: 0.2,
                ..plain
            },
        ),
        (
            "paper_two_devices_sampled_clipped",
            Spec {
                cells: vec![Cell::Glstm(2), Cell::Flstm(2)],
                devices: 2,
                batch: 2,
                samples: Some(5),
                clip: 0.2,
                ..paper.clone()
            },
        ),
        (
            "paper_three_devices_tied_contiguous",
            Spec {
                devices: 3,
                batch: 1,
                tied: true,
                samples: Some(4),
                contiguous: true,
                ..paper.clone()
            },
        ),
        (
            "paper_two_devices_full",
            Spec {
                devices: 2,
                batch: 2,
                clip: 0.3,
                ..paper.clone()
            },
        ),
        (
            "plain_two_devices_short_unroll",
            Spec {
                devices: 2,
                batch: 2,
                optimizer: "momentum",
                learning_rate: 0.3,
                samples: Some(3),
                clip: 0.3,
                plain: true,
                contiguous: true,
                ema: 0.0,
                unroll: 11,
                steps: 9,
                ..paper.clone()
            },
        ),
        ("one_stream", Spec { batch: 1, ..paper }),
    ]
}

fn config(spec: &Spec) -> String {
    let list = |of: &dyn Fn(&Cell) -> String| {
        let values: Vec<String> = spec.cells.iter().map(of).collect();
        format!("[{}]", values.join(", "))
    };
    let cells = list(&|cell| match cell {
        Cell::Lstmp => "\"lstmp\"".into(),
        Cell::Flstm(_) => "\"flstm\"".into(),
        Cell::Glstm(_) => "\"glstm\"".into(),
    });
    let factors = list(&|cell| match cell {
        Cell::Flstm(factor) => factor.to_string(),
        _ => "1".into(),
    });
    let groups = list(&|cell| match cell {
        Cell::Glstm(groups) => groups.to_string(),
        _ => "1".into(),
    });
    let softmax = match spec.samples {
        None => "kind = \"full\"".to_owned(),
        Some(samples) => format!("kind = \"sampled\"\nsamples = {samples}"),
    };
    let Spec {
        embedding,
        hidden,
        projection,
        residual,
        tied,
        forget_bias,
        batch,
        unroll,
        optimizer,
        learning_rate,
        clip,
        ema,
        seed,
        steps,
        ..
    } = spec;
    format!(
        r#"
[model]
cell = {cells}
layers = {layers}
embedding = {embedding}
hidden = {hidden}
projection = {projection}
factor = {factors}
groups = {groups}
dropout = 0.0
residual = {residual}
tied = {tied}
forget_bias = {forget_bias:?}
[softmax]
{softmax}
[data]
order = "{order}"
train = ["text/*.txt"]
valid = ["valid.txt"]
vocab = "words.txt"
shuffle = false
[train]
batch = {batch}
unroll = {unroll}
optimizer = "{optimizer}"
learning_rate = {learning_rate:?}
clip_norm = {clip:?}
ema = {ema:?}
recipe = "{recipe}"
steps = {steps}
seed = {seed}
"#,
        layers = spec.cells.len(),
        order = if spec.contiguous {
            "contiguous"
        } else {
            "sentences"
        },
        recipe = if spec.plain { "plain" } else { "paper" },
    )
}

/// Trains, predicts and compares.
fn check(name: &str, spec: &Spec, device: &str) -> Result<(), Failed> {
    let folder = Folder::new();
    let mut dice = Dice(spec.seed);
    // The ids of the special words are neither the first nor the last.
    let mut words = KNOWN.to_vec();
    let (mark, unknown) = match spec.contiguous {
        true => ("<eos>", "<unk>"),
        false => ("<S>", "<UNK>"),
    };
    words.insert(1, mark);
    words.insert(4, unknown);
    let list: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(id, word)| format!("{word} {}\n", 100 - id))
        .collect();
    folder.write("words.txt", list.concat());
    // Words that are in no vocabulary, blank lines, sentences of one word and sentences longer than an unroll.
    let said = [&KNOWN[..], &["pangolin", "quixotic"]].concat();
    let mut texts = Vec::new();
    for lines in [2, 3, 4] {
        let mut text = dice.text(lines, 6, &said);
        text += &format!("\n{}\n", said[dice.below(said.len())]);
        texts.push(text);
    }
    if spec.contiguous {
        texts.push(dice.text(20, 6, &said));
    }
    // Written in another order than that of the names.
    for k in (0..texts.len()).rev() {
        folder.write(&format!("text/{k}.txt"), &texts[k]);
    }
    let valid = dice.text(7, 6, &said);
    folder.write("valid.txt", &valid);
    let shapes = spec.shapes(words.len());
    let init: Vec<(String, Vec<usize>, Vec<f32>)> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let len = shape.iter().product();
            let values = (0..len).map(|_| dice.within(0.8) as f32).collect();
            (name, shape, values)
        })
        .collect();
    let start = folder.path("start.safetensors");
    write_tensors(&start, &init);

    let config = folder.write("config.toml", config(spec));
    let run = folder.path("run");
    let init_option = start.to_str().expect("a Unicode path");
    let mut more = vec!["--init", init_option];
    for _ in 1..spec.devices {
        more.extend(["--device", device]);
    }
    train(&config, &run, device, &more);

    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (batch, unroll) = (spec.devices * spec.batch, spec.unroll);
    let unrolls: Vec<Unroll> = match spec.contiguous {
        true => contiguous(&texts, &words, batch, unroll)
            .take(spec.steps)
            .collect(),
        false => sentences(&texts, &words, batch, unroll, 0)
            .take(spec.steps)
            .collect(),
    };
    if name.ends_with("short_unroll") {
        let short = |unroll: &Unroll| unroll.pairs.iter().flatten().any(Option::is_none);
        let shorts: Vec<bool> = unrolls.iter().map(short).collect();
        // The states after a short unroll are not compared: an epoch ends there.
        if !shorts.contains(&true) || shorts.ends_with(&[true]) {
            return Err(format!("short unrolls: {shorts:?}").into());
        }
    }
    let weights: model::Tensors = init
        .iter()
        .map(|(name, shape, values)| {
            let values = values.iter().map(|value| f64::from(*value));
            (name.clone(), (shape.clone(), values.collect()))
        })
        .collect();
    let before = weights.clone();
    let mut model = Model::new(spec, weights);
    let shown: Vec<_> = unrolls.iter().map(|unroll| model.step(unroll)).collect();
    let lines = lines_of(&run, "step");
    if lines.len() != spec.steps {
        return Err(format!("{} lines for {} steps", lines.len(), spec.steps).into());
    }
    for (k, (line, shown)) in lines.iter().zip(&shown).enumerate() {
        close(
            number(line, "loss"),
            shown.loss,
            2e-5,
            &format!("loss {}", k + 1),
        )?;
        let norm = number(line, "grad_norm");
        close(norm, shown.norm, 1e-4, &format!("norm {}", k + 1))?;
        // A clip that is meant to act must act, and the other way round.
        if (spec.clip < 1.0) != (shown.norm > spec.clip) && k == 0 {
            return Err(format!("a norm of {} and a limit of {}", shown.norm, spec.clip).into());
        }
    }

    let valid = [valid.as_str()];
    let (nll, targets) = match spec.contiguous {
        // A validation has the streams of one device.
        true => model.evaluate(contiguous_once(&valid, &words, spec.batch, unroll)),
        false => model.evaluate(sentences(&valid, &words, spec.batch, unroll, 1)),
    };
    let line = lines_of(&run, "valid").pop().ok_or("no validation")?;
    if number(&line, "targets") != targets as f64 {
        return Err(format!("{} targets, not {targets}", line["targets"]).into());
    }
    close(number(&line, "nll"), nll, 2e-5, "validation")?;

    let saved = Tensors::read(&checkpoint(&run, spec.steps as u64));
    let mut expected = model.weights.clone();
    for (name, tensor) in &model.averages {
        expected.insert(format!("ema.{name}"), tensor.clone());
    }
    for (which, tensors) in &model.optimizer {
        for (name, tensor) in tensors {
            expected.insert(format!("optimizer.{name}.{which}"), tensor.clone());
        }
    }
    for (k, layer) in model.states.iter().enumerate() {
        for (which, name) in ["h", "c"].iter().enumerate() {
            let rows: Vec<f64> = layer.iter().flat_map(|s| s[which].clone()).collect();
            let shape = vec![batch, rows.len() / batch];
            expected.insert(format!("state.layers.{k}.{name}"), (shape, rows));
        }
    }
    let mut names: Vec<&String> = saved
        .tensors
        .keys()
        .filter(|name| *name != "vocab")
        .collect();
    names.sort();
    if !names.iter().copied().eq(expected.keys()) {
        return Err(format!("tensors {names:?}, not {:?}", expected.keys()).into());
    }
    for (name, (shape, want)) in &expected {
        if saved.tensors[name].0 != *shape {
            return Err(format!("`{name}` is {:?}, not {shape:?}", saved.tensors[name].0).into());
        }
        let largest = want.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        for (k, (got, want)) in saved.values(name).iter().zip(want).enumerate() {
            let error = (f64::from(*got) - want).abs();
            if error.is_nan() || error > 1e-4 * largest {
                return Err(format!("`{name}` element {k} is {got}, not {want}").into());
            }
        }
        // Had nothing been trained, this test would notice.
        if let Some((_, start)) = before.get(name) {
            let moved = want.iter().zip(start).map(|(x, y)| (x - y).abs());
            if moved.fold(0.0, f64::max) < 20.0 * 1e-4 * largest {
                return Err(format!("`{name}` has hardly moved: nothing is shown").into());
            }
        }
    }
    Ok(())
}

fn close(got: f64, want: f64, tolerance: f64, what: &str) -> Result<(), Failed> {
    if (got - want).abs() <= tolerance * want.abs() {
        return Ok(());
    }
    Err(format!("{what} is {got}, not {want}").into())
}
