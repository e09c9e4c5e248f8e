//! The bits of a run: the same with any form of a kernel, and on software adapters those of the CPU.

use std::path::PathBuf;

use crate::common::program::{Dice, Tensors, checkpoint, losses, program, train, training};
use serde_json::Value;

use super::tools::{Outcome, Place, balanced, grammar_text, near};

/// A training as it is and with every run-time check, one whose kernels are measured, one that finds in the cache that another
/// form is the fastest for every size: all end with the same bits.
pub fn tuning(device: &str) -> Outcome {
    let place = Place::new("sentences", &grammar_text(60, 1), &balanced(50));
    let config = place.config("glstm", "sampled", "");
    let caches = place.folder.path("caches");
    std::fs::create_dir_all(&caches)?;
    let run = |name: &str, more: &[&str]| {
        let out = place.folder.path(name);
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
        return Err("--no-tune has tuned".into());
    }
    let tuned = run("tuned", &[]);
    let files: Vec<PathBuf> = std::fs::read_dir(caches.join("wlstm"))?
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let [file] = &files[..] else {
        return Err(format!("one adapter, and these files: {files:?}").into());
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
        return Err("what is known is measured again".into());
    }
    if untuned != tuned || untuned != other {
        return Err("the form of a kernel, or its checks, change the bits".into());
    }
    Ok(())
}

/// The recipe of `wikitext2-200`, smaller. Its first steps are chaotic: one rounding more or less and the losses part within
/// fifty of them. Software adapters compute as IEEE 754 says, and end with the same bits; other adapters divide and take
/// roots less exactly, and only begin alike.
pub fn plain_sgd(device: &str, exact: bool, hidden: usize, steps: u64) -> Outcome {
    let words: Vec<String> = (0..600).map(|k| format!("w{k}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let text = Dice(3).text(1500, 12, &words);
    let place = Place::new("contiguous", &text, &text[..1000]);
    let config = place.config("lstmp", "full", "");
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
        let run = place.folder.path(&device.replace(':', "-"));
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
        return Err(format!("other bits: {differing:?}").into());
    }
    Ok(())
}
