//! Runs that are stopped by a limit on steps.

use crate::common::program::{lines_of, number};

use super::tools::{FULL, Outcome, SAMPLED, Text, same};

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
