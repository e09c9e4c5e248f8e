//! Runs that are stopped by a limit on steps.

use crate::common::program::{Tensors, checkpoint, lines_of, number};

use super::tools::{FULL, Outcome, SAMPLED, Text, in_precision, same};

pub fn one_seed_gives_the_same_bits() -> Outcome {
    for config in [SAMPLED, FULL] {
        let text = Text::new(config);
        let runs = ["one", "two", "other"];
        let [one, two, other] =
            runs.map(|name| text.run(name, "cpu", &["--steps", "20", "--seed", seed_of(name)]));
        same(&one, &two, 20)?;
        if same(&one, &other, 20).is_ok() {
            return Err("another seed gives the same run".into());
        }
    }
    Ok(())
}

fn seed_of(name: &str) -> &'static str {
    if name == "other" { "8" } else { "7" }
}

/// Stops once at every step: before, at and after the ends of epochs, validations and checkpoints.
pub fn stop_at_any_step(config: &str) -> Outcome {
    const STEPS: u64 = 22;
    let text = Text::new(config);
    let whole = text.run("whole", "cpu", &["--steps", "22"]);
    let lines = lines_of(&whole, "step");
    let rates: Vec<f64> = lines
        .iter()
        .map(|line| number(line, "learning_rate"))
        .collect();
    let epochs = lines.iter().map(|line| number(line, "epoch") as u64).max();
    if epochs < Some(3) || rates[0] == rates[rates.len() - 1] {
        return Err(format!(
            "{epochs:?} epochs, rates {rates:?}: the run does not cover what this test is for"
        )
        .into());
    }
    for k in 1..STEPS {
        let name = format!("stopped-{k}");
        let run = text.run(&name, "cpu", &["--steps", &k.to_string()]);
        text.run(&name, "cpu", &["--steps", "22", "--resume"]);
        same(&whole, &run, STEPS)
            .map_err(|e| format!("stopped at {k}: {}", e.message().unwrap_or_default()))?;
    }
    // One run that stops many times.
    let run = text.run("often", "cpu", &["--steps", "1"]);
    for k in [2, 5, 8, 9, 13, 15, 16, 22] {
        text.run("often", "cpu", &["--steps", &k.to_string(), "--resume"]);
    }
    same(&whole, &run, STEPS)
}

/// A resumed run continues with the loss scale of its checkpoint and with the steps since its last change, in every precision that
/// has one.
pub fn the_loss_scale_is_restored() -> Outcome {
    const NAME: &str = "optimizer.loss_scale";
    for precision in ["mixed", "f32x3"] {
        let text = Text::new(&in_precision(precision));
        let run = text.run("run", "cpu", &["--steps", "4"]);
        let saved = checkpoint(&run, 4);
        // As if overflows had halved the scale ten times, the last one 1990 steps ago: it doubles ten steps later.
        let state = [64.0f32, 1990.0].map(f32::to_le_bytes).concat();
        let mut bytes = std::fs::read(&saved).expect("a checkpoint");
        let at = place_of(&bytes, NAME);
        bytes[at..at + state.len()].copy_from_slice(&state);
        std::fs::write(&saved, bytes).expect("a writable checkpoint");
        text.run("run", "cpu", &["--steps", "16", "--resume"]);
        let scale = Tensors::read(&checkpoint(&run, 16)).values(NAME);
        if scale != [128.0, 2.0] {
            return Err(format!("{precision}: {scale:?} after 16 steps").into());
        }
    }
    Ok(())
}

/// Where the bytes of a tensor begin in a safetensors file.
fn place_of(bytes: &[u8], name: &str) -> usize {
    let file = safetensors::SafeTensors::deserialize(bytes).expect("a safetensors file");
    let data = file.tensor(name).expect("a tensor").data();
    data.as_ptr() as usize - bytes.as_ptr() as usize
}
