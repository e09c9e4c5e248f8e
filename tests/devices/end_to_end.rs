//! From text to perplexity: every cell learns a language whose best possible perplexity is known, and a run leaves behind
//! what it promises.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::program::{
    Dice, Folder, Tensors, checkpoint, checkpoints, lines_of, losses, metrics, number, program,
    train, training, wlstm, write_tensors,
};
use crate::common::{Trial, on_every_gpu};
use libtest_mimic::Failed;
use serde_json::Value;
use wlstm::checkpoint::Checkpoint;
use wlstm::config::Config;
use wlstm::corpus::{Corpus, Order, Text, TokenKind, Vocabulary};
use wlstm::device::CpuExecutor;
use wlstm::train::evaluate::{Evaluation, evaluate};
use wlstm::train::session::Session;

type Outcome = Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for cell in ["lstmp", "flstm", "glstm"] {
        for kind in ["full", "sampled"] {
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
        match gpu.adapter.summary.f16 {
            true => overflow(&format!("gpu:{}", gpu.adapter.summary.index)),
            false => Ok(()),
        }
    }));
    trials.extend(on_every_gpu(
        "mixed::losses_agree_with_the_cpu",
        |gpu| match gpu.adapter.summary.f16 {
            true => mixed_losses(&format!("gpu:{}", gpu.adapter.summary.index)),
            false => Ok(()),
        },
    ));
    trials.push(Trial::test("a_run_leaves_what_it_promises", run_folder));
    trials.push(Trial::test("seldom_written_steps", seldom_written_steps));
    trials.push(Trial::test("limits", limits));
    for order in ["sentences", "contiguous"] {
        let name = format!("batch_shapes_of_evaluation::{order}");
        trials.push(Trial::test(name, move || shapes(order)));
    }
    trials.extend(on_every_gpu("first_losses_agree_with_the_cpu", |gpu| {
        let device = format!("gpu:{}", gpu.adapter.summary.index);
        let place = Place::new("sentences", &grammar_text(60, 1), &balanced(50));
        let config = place.config("glstm", "sampled", "");
        let runs = ["cpu", &device].map(|device| {
            let run = place.folder.path(&device.replace(':', "-"));
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
    // Of a wide layer a sum is made in several parts; a few steps of one tell.
    for (name, hidden, steps) in [("", 48, 50), ("_in_a_wide_layer", 520, 3)] {
        let name = format!("plain_sgd{name}_has_the_bits_of_the_cpu");
        trials.extend(on_every_gpu(&name, move |gpu| {
            let device = format!("gpu:{}", gpu.adapter.summary.index);
            plain_sgd(&device, !gpu.adapter.summary.is_real(), hidden, steps)
        }));
    }
    // Where the user's caches are is asked as Linux has it.
    if cfg!(target_os = "linux") {
        trials.extend(on_every_gpu("tuning_changes_no_bit", |gpu| {
            tuning(&format!("gpu:{}", gpu.adapter.summary.index))
        }));
    }
    trials
}

/// A training as it is and with every run-time check, one whose kernels are measured, one that finds in the cache that another
/// form is the fastest for every size: all end with the same bits.
fn tuning(device: &str) -> Outcome {
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
fn plain_sgd(device: &str, exact: bool, hidden: usize, steps: u64) -> Outcome {
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

/// Eight sentences, each as likely as any other: who is of four, what they do follows from it, where is of two. The best
/// possible model knows just that.
fn sentence(k: usize) -> String {
    let who = ["cats", "dogs", "birds", "fish"][k % 4];
    let does = ["sleep", "run", "fly", "swim"][k % 4];
    let place = ["here", "there"][k / 4];
    format!("{who} {does} {place}\n")
}

/// `exp` of three bits for four targets: who, what, where, end.
fn best_of_grammar() -> f64 {
    8f64.powf(0.25)
}

fn grammar_text(sentences: usize, seed: u64) -> String {
    let mut dice = Dice(seed);
    (0..sentences).map(|_| sentence(dice.below(8))).collect()
}

/// Every sentence `often` times, so that no model is better than the best by luck, in any order.
fn balanced(often: usize) -> String {
    let mut sentences: Vec<usize> = (0..8 * often).map(|k| k % 8).collect();
    let mut dice = Dice(77);
    for k in (1..sentences.len()).rev() {
        sentences.swap(k, dice.below(k + 1));
    }
    sentences.into_iter().map(sentence).collect()
}

/// A folder with text.
struct Place {
    folder: Folder,
    order: &'static str,
}

impl Place {
    fn new(order: &'static str, train: &str, valid: &str) -> Place {
        let folder = Folder::new();
        folder.write("train.txt", train);
        folder.write("valid.txt", valid);
        Place { folder, order }
    }

    /// Writes a configuration; `more` goes on in its last section, `[train]`.
    fn config(&self, cell: &str, softmax: &str, more: &str) -> PathBuf {
        let order = self.order;
        let text = format!(
            r#"
[model]
cell = "{cell}"
layers = 2
embedding = 16
hidden = 32
projection = 16
factor = 8
groups = [2, 4]
dropout = 0.0
[softmax]
kind = "{softmax}"
samples = 6
[data]
order = "{order}"
train = ["train.txt"]
valid = ["valid.txt"]
[train]
batch = 8
unroll = 8
learning_rate = 0.2
ema = 0.9
{more}
"#
        );
        self.folder.write("config.toml", text)
    }

    /// Trains on the CPU.
    fn train(&self, config: &Path, more: &[&str]) -> PathBuf {
        let run = self.folder.path("run");
        train(config, &run, "cpu", more);
        run
    }
}

fn last_perplexity(run: &Path) -> f64 {
    let lines = lines_of(run, "valid");
    number(lines.last().expect("a validation"), "perplexity")
}

fn near(got: f64, want: f64, tolerance: f64) -> Outcome {
    if (got - want).abs() <= tolerance * want {
        return Ok(());
    }
    Err(format!("{got} is not near {want}").into())
}

/// In mixed precision devices round where the CPU does, and the losses are those of `f32` within what `f16` can tell apart.
fn mixed_losses(device: &str) -> Outcome {
    let place = Place::new("sentences", &grammar_text(60, 1), &balanced(50));
    let config = place.config("glstm", "full", "");
    let mixed = "train.precision=mixed";
    let run = |name: &str, device: &str, more: &[&str]| {
        let run = place.folder.path(name);
        let arguments = [&["--steps", "20"], more].concat();
        train(&config, &run, device, &arguments);
        losses(&run)
    };
    let single = run("single", "cpu", &[]);
    let host = run("host", "cpu", &["--set", mixed]);
    let got = run("device", device, &["--set", mixed]);
    if got.len() != 20 || host == single {
        return Err("mixed precision rounds nothing".into());
    }
    for (step, got) in &got {
        near(*got, host[step], 3e-3)?;
        near(*got, single[step], 1e-2)?;
    }
    Ok(())
}

/// Large weights make gradients that no `f16` holds at the first loss scale: these steps are told, change no parameter, and
/// halve the scale until the gradients fit.
fn overflow(device: &str) -> Outcome {
    let place = Place::new("sentences", &grammar_text(60, 1), &balanced(50));
    let more = "precision = \"mixed\"\ninit_range = 0.8\ncheckpoint_every = 1\nkeep = 100";
    let config = place.config("lstmp", "full", more);
    let run = place.folder.path("run");
    let ended = train(&config, &run, device, &["--steps", "12"]);
    let skipped = lines_of(&run, "skipped");
    let count = skipped.len();
    if !(1..10).contains(&count) {
        return Err(format!("{count} steps were skipped").into());
    }
    if ended.stderr.matches("was skipped").count() != count {
        return Err(format!("not every skipped step is told: {}", ended.stderr).into());
    }
    let summary = format!("too large for f16: {count}\n");
    if !ended.stdout.contains(&summary) {
        return Err(format!("the summary leaves them out: {}", ended.stdout).into());
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
            // The average goes on towards the parameters that did not change.
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

/// A gradient that is not clipped, that of the embedding, overflows at every scale: at the lowest one the run has diverged.
fn lowest_scale() -> Outcome {
    let place = Place::new("sentences", &grammar_text(60, 1), &balanced(50));
    let config = place.config("lstmp", "full", "");
    let layers = ["--set", "model.layers=1"];
    let first = place.folder.path("first");
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
    // Nothing comes out of the layer, but what goes back grows with each matrix.
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
    let start = place.folder.path("start.safetensors");
    write_tensors(&start, &parameters);
    let run = place.folder.path("run");
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

fn grammar(cell: &str, softmax: &str) -> Outcome {
    grammar_with(cell, softmax, "")
}

fn grammar_with(cell: &str, softmax: &str, set: &str) -> Outcome {
    // Every stream of an evaluation starts from a state of zero, which training leaves behind in its first step: streams
    // must be long, or this start is what is measured.
    const OFTEN: usize = 500;
    let place = Place::new("sentences", &grammar_text(20_000, 1), &balanced(OFTEN));
    let config = place.config(cell, softmax, &format!("validate_every = 250\n{set}"));
    let more = [
        "--steps",
        "500",
        "--set",
        "train.batch=32",
        "--set",
        "train.ema=0.98",
    ];
    let run = place.train(&config, &more);
    let valid = lines_of(&run, "valid");
    let (first, last) = (number(&valid[0], "perplexity"), last_perplexity(&run));
    if last >= first {
        return Err(format!("the perplexity went from {first} to {last}").into());
    }
    // Three words a sentence and its end.
    if number(&valid[0], "targets") != (8 * OFTEN * 4) as f64 {
        return Err(format!("{} targets", valid[0]["targets"]).into());
    }
    // Better than the best is as wrong as worse.
    if last < 0.999 * best_of_grammar() {
        return Err(format!("a perplexity of {last}, which nobody can reach").into());
    }
    near(last, best_of_grammar(), 0.03)
}

/// A line that repeats forever can be known by heart: a perplexity of 1.
fn pattern(cell: &str) -> Outcome {
    let line = "one two three one two four one two five\n";
    let place = Place::new("contiguous", &line.repeat(100), &line.repeat(12));
    let config = place.config(cell, "full", "");
    let run = place.train(&config, &["--steps", "300"]);
    let valid = lines_of(&run, "valid").pop().ok_or("no validation")?;
    // The first token of the text is given, not predicted.
    if number(&valid, "targets") != 119.0 {
        return Err(format!("{} targets", valid["targets"]).into());
    }
    // The first words of each of the eight columns cannot be known.
    let perplexity = last_perplexity(&run);
    if !(1.0..1.35).contains(&perplexity) {
        return Err(format!("a perplexity of {perplexity}").into());
    }
    let last = losses(&run)[&300];
    if last >= 0.02 {
        return Err(format!("a loss of {last}").into());
    }
    Ok(())
}

/// The keys of a JSON object.
fn keys(line: &Value) -> Vec<&str> {
    let object = line.as_object().expect("an object");
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn run_folder() -> Outcome {
    let place = Place::new("sentences", &grammar_text(300, 1), &balanced(50));
    // A rate that explodes, so that the best is not the last.
    let more = "validate_every = 10\ncheckpoint_every = 10\nkeep = 2";
    let config = place.config("lstmp", "full", more);
    let run = place.folder.path("run");
    let ended = train(&config, &run, "cpu", &["--steps", "75"]);
    let lines = metrics(&run);
    let kinds: Vec<&str> = lines
        .iter()
        .map(|l| l["kind"].as_str().unwrap_or(""))
        .collect();
    if kinds.first() != Some(&"start") || kinds.last() != Some(&"end") {
        return Err(format!("{kinds:?}").into());
    }
    let start = &lines[0];
    for key in ["digest", "devices", "memory", "parameters", "version"] {
        if start.get(key).is_none() {
            return Err(format!("no `{key}` in {start}").into());
        }
    }
    let expected = [
        (
            "step",
            "epoch grad_norm kind learning_rate loss seconds step words words_per_second",
        ),
        (
            "valid",
            "kind nll perplexity seconds step targets unknown unknown_trained",
        ),
        ("sample", "kind step text"),
        ("end", "kind reason"),
    ];
    for line in &lines[1..] {
        let wanted = expected.iter().find(|(kind, _)| line["kind"] == *kind);
        let (_, wanted) = wanted.ok_or_else(|| format!("{line}"))?;
        if keys(line).join(" ") != *wanted {
            return Err(format!("{line}").into());
        }
    }
    let steps: Vec<u64> = losses(&run).into_keys().collect();
    if steps != (1..=75).collect::<Vec<_>>() {
        return Err(format!("steps {steps:?}").into());
    }
    let mut before = 0.0;
    for line in lines.iter().filter(|line| line.get("seconds").is_some()) {
        let seconds = number(line, "seconds");
        if seconds < before {
            return Err(format!("time runs back at {line}").into());
        }
        before = seconds;
    }
    let valid = lines_of(&run, "valid");
    for line in &valid {
        let perplexity = (number(line, "nll") / number(line, "targets")).exp();
        near(number(line, "perplexity"), perplexity, 1e-12)?;
    }
    // The best by the metrics, by the record and in the folder; the newest two beside it.
    let best = valid
        .iter()
        .min_by(|x, y| number(x, "nll").total_cmp(&number(y, "nll")))
        .ok_or("no validation")?;
    let best_step = number(best, "step") as u64;
    let text = std::fs::read_to_string(run.join("run.json"))?;
    let record: Value = serde_json::from_str(&text)?;
    let facts = [
        (&record["best"]["step"], Value::from(best_step)),
        (&record["last"]["step"], Value::from(75)),
        (&record["status"], "finished".into()),
        (&record["seed"], Value::from(1)),
        (&record["version"], env!("CARGO_PKG_VERSION").into()),
    ];
    for (got, want) in facts {
        if *got != want {
            return Err(format!("{want} is not in {text}").into());
        }
    }
    for which in ["best", "last"] {
        let file = record[which]["checkpoint"]
            .as_str()
            .ok_or("no checkpoint")?;
        if !run.join(file).is_file() {
            return Err(format!("{file} is not there").into());
        }
    }
    let kept = checkpoints(&run);
    let mut wanted = kept[kept.len().saturating_sub(2)..].to_vec();
    if !wanted.contains(&best_step) {
        wanted.insert(0, best_step);
    }
    if kept != wanted || kept.last() != Some(&75) {
        return Err(format!("checkpoints {kept:?}, the best {best_step}").into());
    }
    // A checkpoint needs nothing beside it.
    let saved = Tensors::read(&checkpoint(&run, 75));
    let words = String::from_utf8(saved.tensors["vocab"].1.clone())?;
    if !words.contains("cats ") || !words.contains("<UNK> ") {
        return Err(format!("the vocabulary {words}").into());
    }
    let resolved = std::fs::read_to_string(run.join("config.toml"))?;
    if saved.texts["config"] != resolved || !resolved.contains("hidden = 32") {
        return Err("the resolved configuration is not the one of the checkpoint".into());
    }
    // What a person hears.
    let perplexity = format!("{:.2}", number(best, "perplexity"));
    if !ended.stdout.contains(&perplexity) || !ended.stdout.contains("75 steps") {
        return Err(ended.stdout.into());
    }
    if ended.stdout.contains("ETA") || !ended.stderr.contains("validation perplexity") {
        return Err(format!("{}{}", ended.stdout, ended.stderr).into());
    }
    Ok(())
}

fn seldom_written_steps() -> Outcome {
    let place = Place::new("sentences", &grammar_text(100, 1), &balanced(50));
    let config = place.config("lstmp", "full", "log_every = 7");
    let run = place.train(&config, &["--steps", "31", "--quiet"]);
    let steps: Vec<u64> = losses(&run).into_keys().collect();
    let wanted: Vec<u64> = (1..=10).chain([14, 21, 28, 31]).collect();
    if steps != wanted {
        return Err(format!("steps {steps:?}").into());
    }
    Ok(())
}

/// The first limit that is reached ends a run.
fn limits() -> Outcome {
    let place = Place::new("contiguous", &grammar_text(130, 1), &balanced(50));
    let config = place.config("lstmp", "full", "");
    let reason = |name: &str, more: &[&str]| {
        let run = place.folder.path(name);
        train(&config, &run, "cpu", more);
        let end = lines_of(&run, "end").pop().expect("an end");
        (
            losses(&run).len(),
            end["reason"].as_str().unwrap_or("").to_owned(),
        )
    };
    // 520 tokens in 8 columns of 65: 8 unrolls of 8 an epoch.
    let (steps, why) = reason("epochs", &["--set", "train.epochs=2", "--steps", "100"]);
    if (steps, why.as_str()) != (16, "2 epochs") {
        return Err(format!("{steps} steps, {why}").into());
    }
    let (steps, why) = reason("steps", &["--set", "train.epochs=2", "--steps", "9"]);
    if (steps, why.as_str()) != (9, "9 steps") {
        return Err(format!("{steps} steps, {why}").into());
    }
    let (steps, why) = reason("seconds", &["--seconds", "0.3"]);
    if steps == 0 || !why.contains("seconds") {
        return Err(format!("{steps} steps, {why}").into());
    }
    Ok(())
}

/// Any batch shape meets every target once; one stream gives the same figure for any unroll.
fn shapes(order: &'static str) -> Outcome {
    let place = Place::new(
        order,
        &grammar_text(200, 1),
        &(balanced(50) + "cows moo\n\nfish\n"),
    );
    let config = place.config("glstm", "full", "");
    let run = place.train(&config, &["--steps", "40"]);
    let config = Config::load(&config, &[]).map_err(|e| e.chain().to_string())?;
    let found = |batch: usize, unroll: usize| -> wlstm::error::Result<Evaluation> {
        let mut config = config.clone();
        (config.train.batch, config.train.unroll) = (batch, unroll);
        let file = Checkpoint::open(&checkpoint(&run, 40))?;
        let order = if order == "sentences" {
            Order::Sentences
        } else {
            Order::Contiguous
        };
        let words = Arc::new(Vocabulary::from_bytes(
            file.tensor_u8("vocab")?,
            order,
            "test",
        )?);
        let executor = Box::new(CpuExecutor::<f32>::new());
        let mut session = Session::training(executor, &config, words.len())?;
        session.initialise_from(&file)?;
        let corpus = Arc::new(Corpus::open(&config.data.valid)?);
        evaluate(
            &mut session,
            &Text::new(corpus, words, TokenKind::Whitespace),
            0,
            |_, _| Ok(()),
        )
    };
    let found = |batch, unroll| found(batch, unroll).map_err(|e| e.chain().to_string());
    // The sentences have 3 words and an end, two more have 2 words and 1; a blank line is a line of a contiguous text. Its first token
    // is given.
    let targets = match order {
        "sentences" => 400 * 4 + 3 + 2,
        _ => 400 * 4 + 3 + 1 + 2 - 1,
    };
    let one = found(1, 7)?;
    for (batch, unroll) in [(1, 7), (1, 1), (1, 300), (8, 8), (3, 5), (200, 2)] {
        let other = found(batch, unroll)?;
        if (other.targets, other.unknown) != (targets, 2) {
            return Err(format!("batch {batch}, unroll {unroll}: {other:?}").into());
        }
        if batch == 1 {
            near(other.nll, one.nll, 1e-6)?;
        }
    }
    // The figure of the run itself.
    let valid = lines_of(&run, "valid").pop().ok_or("no validation")?;
    near(number(&valid, "nll"), found(8, 8)?.nll, 1e-6)
}
