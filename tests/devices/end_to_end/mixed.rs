//! Mixed precision: rounding, and gradients that overflow `f16`.

use crate::common::program::{
    Tensors, checkpoint, lines_of, losses, number, train, training, wlstm, write_tensors,
};

use super::tools::{Outcome, Setup, balanced, grammar_text, near};

/// In mixed precision devices round where the CPU rounds, and the losses agree with those of `f32` to the precision of `f16`.
pub fn mixed_losses(device: &str) -> Outcome {
    let setup = Setup::new("sentences", &grammar_text(60, 1), &balanced(50));
    let config = setup.config("glstm", "full", "");
    let mixed = "train.precision=mixed";
    let run = |name: &str, device: &str, more: &[&str]| {
        let run = setup.folder.path(name);
        let arguments = [&["--steps", "20"], more].concat();
        train(&config, &run, device, &arguments);
        losses(&run)
    };
    let single = run("single", "cpu", &[]);
    let host = run("host", "cpu", &["--set", mixed]);
    let got = run("device", device, &["--set", mixed]);
    if got.len() != 20 || host == single {
        return Err("mixed precision has the losses of f32".into());
    }
    for (step, got) in &got {
        near(*got, host[step], 3e-3)?;
        near(*got, single[step], 1e-2)?;
    }
    Ok(())
}

/// Large weights make gradients overflow `f16` at the first loss scale. Such steps are reported, change no
/// parameter and halve the scale until the gradients fit.
pub fn overflow(device: &str) -> Outcome {
    let setup = Setup::new("sentences", &grammar_text(60, 1), &balanced(50));
    let more = "precision = \"mixed\"\ninit_range = 0.8\ncheckpoint_every = 1\nkeep = 100";
    let config = setup.config("lstmp", "full", more);
    let run = setup.folder.path("run");
    let ended = train(&config, &run, device, &["--steps", "12"]);
    let skipped = lines_of(&run, "skipped");
    let count = skipped.len();
    if !(1..10).contains(&count) {
        return Err(format!("{count} steps were skipped").into());
    }
    if ended.stderr.matches("was skipped").count() != count {
        return Err(format!("not every skipped step is reported: {}", ended.stderr).into());
    }
    let summary = format!("because gradients overflowed f16: {count}\n");
    if !ended.stdout.contains(&summary) {
        return Err(format!("the summary does not count them: {}", ended.stdout).into());
    }
    let at = |step| Tensors::read(&checkpoint(&run, step)).tensors;
    let (mut last_skipped, mut scale) = (0, 65_536.0);
    for (k, line) in skipped.iter().enumerate() {
        let step = number(line, "step") as u64;
        if step <= last_skipped || number(line, "loss_scale") != scale {
            return Err(format!("{line} after {k}").into());
        }
        (last_skipped, scale) = (step, scale / 2.0);
        if step == 1 {
            continue;
        }
        let (before, after) = (at(step - 1), at(step));
        for (name, tensor) in &before {
            let changes = name.starts_with("state.") || name == "optimizer.loss_scale";
            // The moving average still approaches the unchanged parameters.
            if !changes && !name.starts_with("ema.") && after[name] != *tensor {
                return Err(format!("`{name}` changed in step {step}").into());
            }
        }
    }
    let last = Tensors::read(&checkpoint(&run, 12));
    if last.values("optimizer.loss_scale") != [scale as f32, (12 - last_skipped) as f32] {
        return Err(format!("scale {:?}", last.values("optimizer.loss_scale")).into());
    }
    let first = at(last_skipped);
    if first["embedding.weight"] == last.tensors["embedding.weight"] {
        return Err("nothing is learned".into());
    }
    Ok(())
}

/// The gradient of the embedding, which is not clipped, overflows at every scale. At the lowest scale the run has diverged.
pub fn lowest_scale() -> Outcome {
    let setup = Setup::new("sentences", &grammar_text(60, 1), &balanced(50));
    let config = setup.config("lstmp", "full", "");
    let layers = ["--set", "model.layers=1"];
    let first = setup.folder.path("first");
    train(
        &config,
        &first,
        "cpu",
        &[&["--steps", "1"][..], &layers[..]].concat(),
    );
    let tensors = Tensors::read(&checkpoint(&first, 1)).tensors;
    let parameters = tensors.into_iter().filter(|(name, _)| {
        ["embedding", "layers", "softmax"]
            .iter()
            .any(|part| name.starts_with(part))
    });
    // The output of the layer is zero, but its gradient grows with every matrix.
    let parameters: Vec<(String, Vec<usize>, Vec<f32>)> = parameters
        .map(|(name, (shape, _))| {
            let len: usize = shape.iter().product();
            let value = |k: usize| match name.as_str() {
                "layers.0.gates.weight" if k < len / 2 => 1e4,
                "layers.0.projection.weight" => 1e4,
                "softmax.weight" => [1e4, -1e4][k * 7 % 5 % 2],
                _ => 0.0,
            };
            let values = (0..len).map(value).collect();
            (name, shape, values)
        })
        .collect();
    let start = setup.folder.path("start.safetensors");
    write_tensors(&start, &parameters);
    let run = setup.folder.path("run");
    let start = start.to_str().expect("a Unicode path");
    let more = [
        "--steps",
        "45",
        "--init",
        start,
        "--set",
        "train.precision=mixed",
    ];
    let more = [&more[..], &layers[..]].concat();
    let ended = wlstm(&training(&config, &run, "cpu", &more));
    let skipped = lines_of(&run, "skipped").len();
    let helps = ended.stderr.contains("train.precision = \"f32\"");
    if ended.code != Some(5) || skipped != 30 || !helps {
        return Err(format!("code {:?}, {skipped} skipped: {}", ended.code, ended.stderr).into());
    }
    Ok(())
}
