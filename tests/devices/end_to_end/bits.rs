//! The bits of a run: the same with every form of a kernel; on software adapters the same as on the CPU.

use std::path::PathBuf;

use crate::common::program::{Dice, Tensors, checkpoint, losses, program, train, training};
use serde_json::Value;

use super::tools::{Outcome, Setup, balanced, grammar_text, near};

/// Tuning chooses forms of kernels but changes no bit. Trains without tuning and with every run-time check,
/// with tuning, and with a cache that names another form for every size.
pub fn tuning(device: &str) -> Outcome {
    let setup = Setup::new("sentences", &grammar_text(60, 1), &balanced(50));
    let config = setup.config("glstm", "sampled", "");
    let caches = setup.folder.path("caches");
    std::fs::create_dir_all(&caches)?;
    let run = |name: &str, more: &[&str]| {
        let out = setup.folder.path(name);
        let mut arguments = training(&config, &out, device, &["--steps", "6"]);
        arguments.extend(more);
        let output = program()
            .env("XDG_CACHE_HOME", &caches)
            .args(arguments)
            .output()
            .expect("the program starts");
        assert!(output.status.success(), "{output:?}");
        Tensors::read(&checkpoint(&out, 6)).tensors
    };
    let untuned = run("untuned", &["--no-tune", "--checked"]);
    if caches.join("wlstm").exists() {
        return Err("--no-tune wrote the tuning cache".into());
    }
    let tuned = run("tuned", &[]);
    let files: Vec<PathBuf> = std::fs::read_dir(caches.join("wlstm"))?
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let [file] = &files[..] else {
        return Err(format!("expected one file for the one adapter: {files:?}").into());
    };
    let mut known: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let choices = known["choices"].as_object_mut().expect("choices");
    if choices.len() < 5 {
        return Err(format!("only {} sizes were measured", choices.len()).into());
    }
    for form in choices.values_mut() {
        *form = "matmul/product_tiled".into();
    }
    let changed = serde_json::to_vec(&known)?;
    std::fs::write(file, &changed)?;
    let other = run("other", &[]);
    if std::fs::read(file)? != changed {
        return Err("forms in the cache were measured again".into());
    }
    if untuned != tuned || untuned != other {
        return Err("the form of a kernel or its checks change the bits".into());
    }
    Ok(())
}

/// A small version of `wikitext2-200`. Its first steps amplify rounding differences: the losses diverge within fifty steps.
/// Software adapters follow IEEE 754, and their results are bitwise identical to those of the CPU. Other adapters round
/// divisions and square roots differently, so only their first steps are compared.
pub fn plain_sgd(device: &str, exact: bool, hidden: usize, steps: u64) -> Outcome {
    let words: Vec<String> = (0..600).map(|k| format!("w{k}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let text = Dice(3).text(1500, 12, &words);
    let setup = Setup::new("contiguous", &text, &text[..1000]);
    let config = setup.config("lstmp", "full", "");
    let sets = [
        "model.embedding=48",
        &format!("model.hidden={hidden}"),
        "model.projection=0",
        "model.dropout=0.2",
        "model.forget_bias=0",
        "train.unroll=12",
        "train.optimizer=sgd",
        "train.learning_rate=20",
        "train.init_range=0.1",
        "train.clip_norm=0.25",
        "train.ema=0",
        "train.recipe=plain",
        "train.fused=true",
    ];
    let count = steps.to_string();
    let mut more = vec!["--steps", &count];
    more.extend(sets.iter().flat_map(|set| ["--set", *set]));
    let runs = ["cpu", device].map(|device| {
        let run = setup.folder.path(&device.replace(':', "-"));
        train(&config, &run, device, &more);
        run
    });
    let (want, got) = (losses(&runs[0]), losses(&runs[1]));
    for step in 1..=steps.min(5) {
        near(got[&step], want[&step], 1e-4)?;
    }
    let learned = want[&1] - want[&steps];
    if steps >= 50 && learned < 0.05 {
        return Err(format!("nothing was learned: {learned}").into());
    }
    let tensors = runs.map(|run| Tensors::read(&checkpoint(&run, steps)).tensors);
    let differing: Vec<&String> = tensors[0]
        .iter()
        .filter(|(name, tensor)| tensors[1][*name] != **tensor)
        .map(|(name, _)| name)
        .collect();
    if exact && !(want == got && differing.is_empty()) {
        return Err(format!("different bits in {differing:?}").into());
    }
    Ok(())
}
