//! An independent implementation of models and training predicts every loss and norm of the first steps, and every weight,
//! optimizer tensor, moving average and state after them. It follows the documentation and shares no code with the program.
//! Without shuffling and dropout and with `--init` nothing is random but the candidates of the sampled softmax, which are taken
//! from the program.
//!
//! [`text`] makes batches, [`model`] computes and trains, [`tape`] differentiates: all in `f64`, one number at a time.

mod model;
mod softmax;
mod spec;
mod specs;
mod tape;
mod text;

use self::model::Model;
use self::spec::{Cell, Spec};
use self::specs::specs;
use self::text::{Unroll, contiguous, contiguous_once, sentences};
use crate::common::program::{
    Dice, Folder, Tensors, checkpoint, lines_of, number, train, write_tensors,
};
use crate::common::{Trial, on_every_gpu};
use libtest_mimic::Failed;

/// Words of the text in the vocabulary, most frequent first.
const KNOWN: [&str; 9] = ["the", "cat", "dog", "sat", "ran", "on", "mat", "far", "of"];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, spec) in specs() {
        let on_gpus = [
            "glstm_per_layer_groups_sampled",
            "flstm_full_clipped",
            "plain_momentum_adaptive_short_unroll",
            "paper_two_devices_adaptive",
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
        None if !spec.cutoffs.is_empty() => format!(
            "kind = \"adaptive\"\ncutoffs = {:?}\ndivide = 2",
            spec.cutoffs
        ),
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
    // The special words get ids in the middle.
    let mut words = KNOWN.to_vec();
    let (mark, unknown) = if spec.contiguous {
        ("<eos>", "<unk>")
    } else {
        ("<S>", "<UNK>")
    };
    words.insert(1, mark);
    words.insert(4, unknown);
    let list: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(id, word)| format!("{word} {}\n", 100 - id))
        .collect();
    folder.write("words.txt", list.concat());
    // Includes unknown words, blank lines, sentences of one word and sentences longer than an unroll.
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
    // Created in reverse order of the names.
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
    let unrolls: Vec<Unroll> = if spec.contiguous {
        contiguous(&texts, &words, batch, unroll)
            .take(spec.steps)
            .collect()
    } else {
        sentences(&texts, &words, batch, unroll, 0)
            .take(spec.steps)
            .collect()
    };
    if name.ends_with("short_unroll") {
        let short = |unroll: &Unroll| unroll.pairs.iter().flatten().any(Option::is_none);
        let shorts: Vec<bool> = unrolls.iter().map(short).collect();
        // The run must not end with a short unroll, because the next epoch resets the states.
        if !shorts.contains(&true) || shorts.ends_with(&[true]) {
            return Err(format!("short unrolls: {shorts:?}").into());
        }
    }
    let weights: spec::Tensors = init
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
        // The first step is clipped in the models with a low limit, and only there.
        if (spec.clip < 1.0) != (shown.norm > spec.clip) && k == 0 {
            return Err(format!("a norm of {} and a limit of {}", shown.norm, spec.clip).into());
        }
    }

    let valid = [valid.as_str()];
    // A validation runs on one device.
    let (nll, targets) = if spec.contiguous {
        model.evaluate(contiguous_once(&valid, &words, spec.batch, unroll))
    } else {
        model.evaluate(sentences(&valid, &words, spec.batch, unroll, 1))
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
        // Weights that have not changed would prove nothing.
        if let Some((_, start)) = before.get(name) {
            let moved = want.iter().zip(start).map(|(x, y)| (x - y).abs());
            if moved.fold(0.0, f64::max) < 20.0 * 1e-4 * largest {
                return Err(format!(
                    "`{name}` has hardly changed, so the comparison proves nothing"
                )
                .into());
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
