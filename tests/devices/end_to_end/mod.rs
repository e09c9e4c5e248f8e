//! From text to perplexity: every cell learns a language whose best possible perplexity is known, and a run folder has
//! the documented contents.

mod bits;
mod folder;
mod learning;
mod mixed;
mod shapes;
mod tools;

use crate::common::program::{losses, train};
use crate::common::{Trial, on_every_gpu};

use self::bits::{plain_sgd, tuning};
use self::folder::{limits, log_every, run_folder};
use self::learning::{grammar, grammar_with, pattern};
use self::mixed::{lowest_scale, mixed_losses, overflow};
use self::shapes::shapes;
use self::tools::{Setup, balanced, grammar_text, last_perplexity, near};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for cell in ["lstmp", "flstm", "glstm"] {
        for kind in ["full", "sampled", "adaptive"] {
            trials.push(Trial::test(format!("grammar::{cell}::{kind}"), move || {
                grammar(cell, kind)
            }));
        }
        trials.push(Trial::test(format!("pattern::{cell}"), move || {
            pattern(cell)
        }));
    }
    trials.push(Trial::test("mixed::grammar", || {
        grammar_with("lstmp", "sampled", "precision = \"mixed\"")
    }));
    trials.push(Trial::test("mixed::overflow::cpu", || overflow("cpu")));
    trials.push(Trial::test(
        "mixed::overflow_at_the_lowest_scale",
        lowest_scale,
    ));
    trials.extend(on_every_gpu("mixed::overflow", |gpu| {
        if gpu.adapter.summary.f16 {
            overflow(&format!("gpu:{}", gpu.adapter.summary.index))
        } else {
            Ok(())
        }
    }));
    trials.extend(on_every_gpu("mixed::losses_agree_with_the_cpu", |gpu| {
        if gpu.adapter.summary.f16 {
            mixed_losses(&format!("gpu:{}", gpu.adapter.summary.index))
        } else {
            Ok(())
        }
    }));
    trials.push(Trial::test("a_run_folder_is_complete", run_folder));
    trials.push(Trial::test("log_every", log_every));
    trials.push(Trial::test("limits", limits));
    for order in ["sentences", "contiguous"] {
        let name = format!("batch_shapes_of_evaluation::{order}");
        trials.push(Trial::test(name, move || shapes(order)));
    }
    trials.extend(on_every_gpu("first_losses_agree_with_the_cpu", |gpu| {
        let device = format!("gpu:{}", gpu.adapter.summary.index);
        let setup = Setup::new("sentences", &grammar_text(60, 1), &balanced(50));
        let config = setup.config("glstm", "sampled", "");
        let runs = ["cpu", &device].map(|device| {
            let run = setup.folder.path(&device.replace(':', "-"));
            train(&config, &run, device, &["--steps", "20"]);
            run
        });
        let (want, got) = (losses(&runs[0]), losses(&runs[1]));
        if want.len() != 20 || !want.keys().eq(got.keys()) {
            return Err(format!("steps {:?}", got.keys()).into());
        }
        for (step, want) in &want {
            near(got[step], *want, 1e-3)
                .map_err(|e| format!("step {step}: {}", e.message().unwrap_or_default()))?;
        }
        let perplexities = runs.each_ref().map(|run| last_perplexity(run));
        near(perplexities[1], perplexities[0], 1e-3)
    }));
    // In a wide layer sums are split into parts; a few steps are enough to compare those.
    for (name, hidden, steps) in [("", 48, 50), ("_in_a_wide_layer", 520, 3)] {
        let name = format!("plain_sgd{name}_has_the_bits_of_the_cpu");
        trials.extend(on_every_gpu(&name, move |gpu| {
            let device = format!("gpu:{}", gpu.adapter.summary.index);
            plain_sgd(&device, !gpu.adapter.summary.is_hardware(), hidden, steps)
        }));
    }
    // `XDG_CACHE_HOME` sets the folder of caches on Linux alone.
    if cfg!(target_os = "linux") {
        trials.extend(on_every_gpu("tuning_changes_no_bit", |gpu| {
            tuning(&format!("gpu:{}", gpu.adapter.summary.index))
        }));
    }
    trials
}
