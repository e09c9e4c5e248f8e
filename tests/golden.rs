//! Three training steps of twelve small models against values computed by automatic differentiation in `f64`: losses,
//! outputs, states, gradients, norms, updated parameters, moving averages.
//!
//! The files hold the parameters after the third step in all three places called `STEP.after`. Those after the first and
//! the second are computed here, from the gradients and norms of the files by Adagrad as the README has it; the third step's,
//! computed so, must be the file's.
//!
//! `f64` on the CPU agrees to 1e-9, `f32` on the CPU and on every GPU to 2e-5 on losses and 1e-4 on the rest. So do the plans of
//! mixed precision in `f64`, where nothing is rounded: their gradients are those of a loss times [`SCALE`]. Where they are
//! rounded to `f16`, whose numbers have 11 bits, losses agree to 2e-3 and the rest to 5e-2. Plans that make the gates again in
//! the backward pass, all at once, two steps at a time or step by step, agree as those that keep them.

mod common;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use common::{Gpu, on_every_gpu};
use libtest_mimic::{Arguments, Failed, Trial};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use wlstm::config::Config;
use wlstm::device::{CpuExecutor, Data, Executor, GpuExecutor, Inputs, PlanId};
use wlstm::graph::memory::Limits;
use wlstm::graph::plan::Plan;
use wlstm::graph::split::oversized;
use wlstm::graph::{Graph, LOSS_SCALE};
use wlstm::kernels::embedding::rows::row_index;
use wlstm::model::parameters::{Group, Parameter, parameters};
use wlstm::train::update::{training_plan, training_plan_in};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the golden folder")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "safetensors")
        })
        .collect();
    files.sort();
    assert_eq!(files.len(), 12, "all golden cases are there");
    for path in files {
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let file = path.clone();
        trials.push(Trial::test(format!("golden::{name}::cpu-f64"), move || {
            let mut device = Double(CpuExecutor::new());
            check(&file, &mut device, false, 1e-9, 1e-9)
        }));
        let file = path.clone();
        let mixed = format!("golden::{name}::mixed");
        trials.push(Trial::test(format!("{mixed}::cpu-f64"), move || {
            let mut device = Double(CpuExecutor::new());
            check(&file, &mut device, true, 1e-9, 1e-9)
        }));
        let file = path.clone();
        trials.push(Trial::test(format!("{mixed}::cpu-f32"), move || {
            let mut device = Single(CpuExecutor::<f32>::new());
            check(&file, &mut device, true, 2e-3, 5e-2)
        }));
        let file = path.clone();
        trials.extend(on_every_gpu(&mixed, move |gpu| {
            if !gpu.adapter.summary.f16 {
                return Ok(());
            }
            let open = match gpu.adapter.summary.unit() {
                Some(_) => GpuExecutor::with_units,
                None => GpuExecutor::new,
            };
            let executor = open(&gpu.adapter).map_err(|error| error.chain().to_string())?;
            check(&file, &mut Single(executor), true, 2e-3, 5e-2)
        }));
        for (kind, mixed) in [("", false), ("::mixed", true)] {
            let file = path.clone();
            let label = format!("golden::{name}{kind}::cut::cpu-f64");
            trials.push(Trial::test(label, move || {
                let mut device = Double(CpuExecutor::new());
                check_cut(&file, &mut device, mixed, 1e-9, 1e-9)
            }));
        }
        let file = path.clone();
        trials.extend(on_every_gpu(&format!("golden::{name}::cut"), move |gpu| {
            let executor =
                GpuExecutor::new(&gpu.adapter).map_err(|error| error.chain().to_string())?;
            check_cut(&file, &mut Single(executor), false, 2e-5, 1e-4)
        }));
        for (kind, mixed) in [("", false), ("::mixed", true)] {
            let file = path.clone();
            let label = format!("golden::{name}{kind}::recompute::cpu-f64");
            trials.push(Trial::test(label, move || {
                for steps in [1, 2, usize::MAX] {
                    let mut device = Double(CpuExecutor::new());
                    check_again(&file, &mut device, (mixed, steps), 1e-9, 1e-9)?;
                }
                Ok(())
            }));
        }
        let file = path.clone();
        let label = format!("golden::{name}::recompute::cpu-f32");
        trials.push(Trial::test(label, move || {
            let mut device = Single(CpuExecutor::<f32>::new());
            check_again(&file, &mut device, (false, 2), 2e-5, 1e-4)
        }));
        let file = path.clone();
        let label = format!("golden::{name}::recompute");
        trials.extend(on_every_gpu(&label, move |gpu| {
            let executor =
                GpuExecutor::new(&gpu.adapter).map_err(|error| error.chain().to_string())?;
            check_again(&file, &mut Single(executor), (false, 2), 2e-5, 1e-4)
        }));
        let file = path.clone();
        trials.extend(on_every_gpu(
            &format!("golden::{name}::mixed::recompute"),
            move |gpu| {
                if !gpu.adapter.summary.f16 {
                    return Ok(());
                }
                let open = match gpu.adapter.summary.unit() {
                    Some(_) => GpuExecutor::with_units,
                    None => GpuExecutor::new,
                };
                let executor = open(&gpu.adapter).map_err(|error| error.chain().to_string())?;
                check_again(&file, &mut Single(executor), (true, 2), 2e-3, 5e-2)
            },
        ));
        let file = path.clone();
        trials.push(Trial::test(format!("golden::{name}::cpu-f32"), move || {
            let mut device = Single(CpuExecutor::<f32>::new());
            check(&file, &mut device, false, 2e-5, 1e-4)
        }));
        trials.extend(on_every_gpu(&format!("golden::{name}"), move |gpu| {
            let executor =
                GpuExecutor::new(&gpu.adapter).map_err(|error| error.chain().to_string())?;
            check(&path, &mut Single(executor), false, 2e-5, 1e-4)
        }));
    }
    trials.extend(on_every_gpu("golden::trusted", |gpu| trusted(gpu, false)));
    trials.extend(on_every_gpu("golden::recompute::bits", same_bits_again));
    trials.extend(on_every_gpu("golden::trusted::mixed", |gpu| {
        match gpu.adapter.summary.f16 {
            true => trusted(gpu, true),
            false => Ok(()),
        }
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

/// A device with all the digits that it has.
trait Device {
    fn executor(&mut self) -> &mut dyn Executor;
    fn values(&mut self, name: &str) -> Vec<f64>;
}

struct Double(CpuExecutor<f64>);
struct Single<E>(E);

impl Device for Double {
    fn executor(&mut self) -> &mut dyn Executor {
        &mut self.0
    }
    fn values(&mut self, name: &str) -> Vec<f64> {
        self.0.tensor(name).to_vec()
    }
}

impl<E: Executor> Device for Single<E> {
    fn executor(&mut self) -> &mut dyn Executor {
        &mut self.0
    }
    fn values(&mut self, name: &str) -> Vec<f64> {
        self.0
            .read(name)
            .expect("readable")
            .into_iter()
            .map(f64::from)
            .collect()
    }
}

/// The loss scale of mixed precision.
const SCALE: f64 = 1024.0;

/// A golden file.
struct Golden {
    tensors: HashMap<String, Vec<f64>>,
    config: Value,
}

impl Golden {
    fn read(path: &PathBuf) -> Golden {
        let bytes = std::fs::read(path).expect("a golden file");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
        let config = header.metadata().as_ref().expect("metadata")["config"].clone();
        let values = |dtype, data: &[u8]| -> Vec<f64> {
            match dtype {
                Dtype::F32 => data
                    .as_chunks()
                    .0
                    .iter()
                    .map(|b| f32::from_le_bytes(*b).into())
                    .collect(),
                Dtype::F64 => data
                    .as_chunks()
                    .0
                    .iter()
                    .map(|b| f64::from_le_bytes(*b))
                    .collect(),
                Dtype::I32 => data
                    .as_chunks()
                    .0
                    .iter()
                    .map(|b| i32::from_le_bytes(*b).into())
                    .collect(),
                _ => panic!("an unexpected type in a golden file"),
            }
        };
        Golden {
            tensors: file
                .iter()
                .map(|(name, view)| (name.to_owned(), values(view.dtype(), view.data())))
                .collect(),
            config: serde_json::from_str(&config).expect("a configuration"),
        }
    }

    fn get(&self, name: &str) -> &[f64] {
        self.tensors
            .get(name)
            .unwrap_or_else(|| panic!("the golden file has no `{name}`"))
    }

    fn number(&self, key: &str) -> usize {
        self.config[key].as_u64().expect("a number") as usize
    }

    /// The configuration as a user would write it.
    fn config(&self, mixed: bool) -> Config {
        let c = &self.config;
        let mut text = format!(
            "[model]\ncell = {}\nlayers = {}\nembedding = {}\nhidden = {}\nprojection = {}\nresidual = {}\ntied = {}\n\
             forget_bias = {}\ndropout = 0.0\n",
            c["cell"],
            c["layers"],
            c["embedding"],
            c["hidden"],
            c["projection"],
            c["residual"],
            c["tied"],
            c["forget_bias"]
        );
        for key in ["factor", "groups"] {
            if !c[key].is_null() {
                text += &format!("{key} = {}\n", c[key]);
            }
        }
        text += &format!("[softmax]\nkind = {}\n", c["softmax"]);
        if c["softmax"] == "sampled" {
            text += &format!("samples = {}\n", c["samples"]);
        }
        text += &format!(
            "[data]\ntrain = [\"x.txt\"]\n[train]\nbatch = {}\nunroll = {}\nlearning_rate = {}\nclip_norm = {}\nema = {}\n\
             optimizer = \"adagrad\"\nrecipe = \"paper\"\nsteps = 3\nprecision = {:?}\n",
            c["batch"],
            c["unroll"],
            c["learning_rate"],
            c["clip_norm"],
            c["ema"],
            if mixed { "mixed" } else { "f32" }
        );
        Config::parse(&text, "golden", &std::env::temp_dir(), &[]).expect("a good configuration")
    }

    /// Inputs and targets of a step, `[B, T]` in the file, time-major here.
    fn time_major(&self, name: &str, step: usize) -> Vec<u32> {
        let (batch, unroll) = (self.number("batch"), self.number("unroll"));
        let values = &self.get(name)[step * batch * unroll..][..batch * unroll];
        (0..unroll * batch)
            .map(|row| values[row % batch * unroll + row / batch] as u32)
            .collect()
    }

    fn inputs(&self, step: usize, plan: &Plan) -> Inputs {
        let inputs = self.time_major("x", step);
        let targets = self.time_major("y", step);
        let number = |key: &str| self.config[key].as_f64().expect("a number");
        let control = vec![
            number("learning_rate"),
            number("clip_norm"),
            number("ema"),
            0.0,
            0.0,
            1.0,
            1.0,
        ];
        let mut made: Inputs = vec![
            ("inputs", Data::Index(inputs.clone())),
            ("targets", Data::Index(targets.clone())),
            ("rows.embedding", Data::Index(row_index(&inputs))),
            ("control", Data::Real(control)),
        ];
        if self.config["softmax"] == "sampled" {
            let (samples, vocabulary) = (self.number("samples"), self.number("vocab"));
            let candidates: Vec<u32> = self.get("candidates")[step * samples..][..samples]
                .iter()
                .map(|id| *id as u32)
                .collect();
            let tries = self.get("tries")[step];
            let ids: Vec<u32> = candidates.iter().chain(&targets).copied().collect();
            let log_q = ids.iter().map(|id| {
                let k = f64::from(*id);
                let p = ((k + 2.0) / (k + 1.0)).ln() / (vocabulary as f64 + 1.0).ln();
                (-(tries * (-p).ln_1p()).exp_m1()).ln()
            });
            made.push(("log_q", Data::Real(log_q.collect())));
            made.push(("rows.softmax", Data::Index(row_index(&ids))));
            made.push(("candidates", Data::Index(candidates)));
        }
        made.retain(|(name, _)| plan.find(name).is_some());
        made
    }
}

/// What is compared, with its tolerance; every difference is collected.
struct Comparison {
    failures: Vec<String>,
}

impl Comparison {
    /// `|got - want| <= tolerance * (largest |want|)` everywhere: relative to the tensor.
    fn close(&mut self, what: &str, got: &[f64], want: &[f64], tolerance: f64) {
        assert_eq!(got.len(), want.len(), "length of {what}");
        let scale = want
            .iter()
            .fold(f64::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
        let mut worst = (0.0, 0);
        for (k, (got, want)) in got.iter().zip(want).enumerate() {
            let difference = (got - want).abs() / scale;
            // A NaN is the worst, and stays: nothing is larger than it.
            if difference.is_nan() || difference > worst.0 {
                worst = (difference, k);
            }
        }
        if worst.0.is_nan() || worst.0 > tolerance {
            self.failures.push(format!(
                "{what}[{}]: {} instead of {}, relative error {:.2e}",
                worst.1, got[worst.1], want[worst.1], worst.0
            ));
        }
    }
}

fn check(
    path: &PathBuf,
    device: &mut dyn Device,
    mixed: bool,
    of_losses: f64,
    of_the_rest: f64,
) -> Result<(), Failed> {
    let golden = Golden::read(path);
    let (config, vocabulary) = (golden.config(mixed), golden.number("vocab"));
    let limits = device.executor().limits();
    let plan = training_plan(&config, vocabulary, &limits, true);
    check_plan(&golden, device, mixed, plan, of_losses, of_the_rest)
}

/// The same with the gates made again in the backward pass, so many steps at a time.
fn check_again(
    path: &PathBuf,
    device: &mut dyn Device,
    (mixed, steps): (bool, usize),
    of_losses: f64,
    of_the_rest: f64,
) -> Result<(), Failed> {
    let golden = Golden::read(path);
    let (config, vocabulary) = (golden.config(mixed), golden.number("vocab"));
    let limits = device.executor().limits();
    let mut graph = Graph::new("train", &limits);
    graph.keep_gradients();
    graph.builder.publish("output");
    let rows = golden.number("batch").saturating_mul(steps);
    graph.builder.recompute_gates(rows);
    let plan = training_plan_in(graph, &config, vocabulary);
    let cells = |plan: &Plan| {
        let steps = plan.steps.iter();
        let cells = steps.filter(|step| step.kernel.name == "lstm/cell_forward");
        cells.count()
    };
    let kept = training_plan(&config, vocabulary, &limits, true);
    assert_eq!(cells(&plan), 2 * cells(&kept), "every cell is made twice");
    check_plan(&golden, device, mixed, plan, of_losses, of_the_rest)
}

/// The same on a device that can hardly bind anything: with the least limit that the model can be trained with.
fn check_cut(
    path: &PathBuf,
    device: &mut dyn Device,
    mixed: bool,
    of_losses: f64,
    of_the_rest: f64,
) -> Result<(), Failed> {
    let golden = Golden::read(path);
    let (config, vocabulary) = (golden.config(mixed), golden.number("vocab"));
    let limits = device.executor().limits();
    let whole = training_plan(&config, vocabulary, &limits, true);
    let most = |slice| Limits {
        slice,
        arena: slice,
        ..limits
    };
    let made = |slice| training_plan(&config, vocabulary, &most(slice), true);
    // What is bound begins at multiples of 64 elements.
    let mut sizes = (68..4096).step_by(4);
    let least = sizes.find(|&slice| oversized(&made(slice), &most(slice)).is_none());
    let plan = made(least.expect("some limit is enough"));
    let pieces = plan.tensors.iter().filter(|info| info.is_in_pieces());
    let (steps, pieces) = (plan.steps.len(), pieces.count());
    if steps < 2 * whole.steps.len() || pieces < 4 {
        return Err(format!("{steps} steps and {pieces} tensors in pieces at {least:?}").into());
    }
    check_plan(&golden, device, mixed, plan, of_losses, of_the_rest)
}

fn check_plan(
    golden: &Golden,
    device: &mut dyn Device,
    mixed: bool,
    plan: Plan,
    of_losses: f64,
    of_the_rest: f64,
) -> Result<(), Failed> {
    let config = golden.config(mixed);
    let vocabulary = golden.number("vocab");
    let table = parameters(&config, vocabulary);
    let plan = Arc::new(plan);
    let id = load(device.executor(), &plan, golden, &table);
    let scale = if mixed { SCALE } else { 1.0 };
    if mixed {
        let state = [SCALE as f32, 0.0];
        device
            .executor()
            .write(LOSS_SCALE, &state)
            .expect("writable");
    }
    let mut comparison = Comparison {
        failures: Vec::new(),
    };
    let mut updated = Updated::new(golden, &table);
    for step in 0..3 {
        let inputs = golden.inputs(step, &plan);
        device.executor().run(id, &inputs).expect("a run");
        let outputs: HashMap<_, _> = device
            .executor()
            .fetch()
            .expect("outputs")
            .into_iter()
            .collect();
        let of = |what: &str| format!("{step}.{what}");
        let close = |comparison: &mut Comparison, what: &str, got: &[f64], tolerance| {
            comparison.close(what, got, golden.get(what), tolerance);
        };
        close(&mut comparison, &of("loss"), &outputs["loss"], of_losses);
        close(
            &mut comparison,
            &of("norm"),
            &outputs["norm"][..1],
            of_the_rest,
        );
        close(
            &mut comparison,
            &of("output"),
            &batch_major(golden, &outputs["output"]),
            of_the_rest,
        );
        for layer in 0..golden.number("layers") {
            for part in ["h", "c"] {
                let got = device.values(&format!("state.layers.{layer}.{part}"));
                close(
                    &mut comparison,
                    &of(&format!("{part}.{layer}")),
                    &got,
                    of_the_rest,
                );
            }
        }
        for line in &table {
            let mut gradient = dense_gradient(device, &plan, &inputs, line);
            gradient.iter_mut().for_each(|g| *g /= scale);
            close(
                &mut comparison,
                &of(&format!("grad.{}", line.name)),
                &line.layout.outside(gradient),
                of_the_rest,
            );
            let after = line.layout.outside(device.values(&line.name));
            let what = of(&format!("after.{}", line.name));
            let want = updated.step(golden, line, step);
            comparison.close(&what, &after, want, of_the_rest);
            if step == 2 {
                let file = golden.get(&what);
                comparison.close(&format!("the file's {what}"), file, want, 1e-12);
            }
            if line.group == Group::Recurrent {
                let average = device.values(&format!("ema.{}", line.name));
                close(
                    &mut comparison,
                    &of(&format!("ema.{}", line.name)),
                    &line.layout.outside(average),
                    of_the_rest,
                );
            }
        }
    }
    if comparison.failures.is_empty() {
        Ok(())
    } else {
        Err(comparison.failures.join("\n").into())
    }
}

/// Without the run-time checks of wgpu kernels give the same bits, and each is tried before.
fn trusted(gpu: &Gpu, mixed: bool) -> Result<(), Failed> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let golden = Golden::read(&folder.join("glstm_sampled.safetensors"));
    let config = golden.config(mixed);
    let vocabulary = golden.number("vocab");
    let table = parameters(&config, vocabulary);
    let bits = |executor: &mut GpuExecutor| {
        let plan = training_plan(&config, vocabulary, &executor.limits(), false);
        bits_of(executor, plan, &golden, &table)
    };
    let open = || GpuExecutor::new(&gpu.adapter).map_err(|error| error.chain().to_string());
    let want = bits(&mut open()?);
    let mut executor = open()?;
    executor.trust();
    let got = bits(&mut executor);
    let (good, tried) = executor.trusted();
    if good < 10 || good < tried {
        return Err(format!("{good} of {tried} kernels are trusted").into());
    }
    match got == want {
        true => Ok(()),
        false => Err("other bits without run-time checks".into()),
    }
}

/// The bits of all outputs and parameters of three steps.
fn bits_of(
    executor: &mut GpuExecutor,
    plan: Plan,
    golden: &Golden,
    table: &[Parameter],
) -> Vec<u64> {
    let plan = Arc::new(plan);
    let id = load(executor, &plan, golden, table);
    let mut found = Vec::new();
    for step in 0..3 {
        let inputs = golden.inputs(step, &plan);
        executor.run(id, &inputs).expect("a run");
        let outputs = executor.fetch().expect("outputs");
        let values = outputs.into_iter().flat_map(|(_, values)| values);
        found.extend(values.map(f64::to_bits));
    }
    for line in table {
        let values = executor.read(&line.name).expect("readable");
        found.extend(values.into_iter().map(|value| f64::from(value).to_bits()));
    }
    found
}

/// Gates that are made again, all at once, have the bits of those that are kept, where products are too small for pieces.
fn same_bits_again(gpu: &Gpu) -> Result<(), Failed> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let names = ["lstmp_sampled", "flstm", "glstm_sampled", "lstm_plain"];
    for name in names.map(|name| format!("{name}.safetensors")) {
        let golden = Golden::read(&folder.join(&name));
        let (config, vocabulary) = (golden.config(false), golden.number("vocab"));
        let table = parameters(&config, vocabulary);
        let open = || GpuExecutor::new(&gpu.adapter).map_err(|e| e.chain().to_string());
        let bits = |executor: &mut GpuExecutor, again: bool| {
            let mut graph = Graph::new("train", &executor.limits());
            if again {
                graph.builder.recompute_gates(usize::MAX);
            }
            let plan = training_plan_in(graph, &config, vocabulary);
            bits_of(executor, plan, &golden, &table)
        };
        if bits(&mut open()?, true) != bits(&mut open()?, false) {
            return Err(format!("{name}: other bits with gates that are made again").into());
        }
    }
    Ok(())
}

/// Parameters and accumulators by Adagrad from the gradients of a golden file.
struct Updated {
    weights: HashMap<String, (Vec<f64>, Vec<f64>)>,
}

impl Updated {
    fn new(golden: &Golden, table: &[Parameter]) -> Updated {
        let start = |line: &Parameter| {
            let weights = golden.get(&format!("init.{}", line.name)).to_vec();
            let accumulators = vec![1.0; weights.len()];
            (line.name.clone(), (weights, accumulators))
        };
        Updated {
            weights: table.iter().map(start).collect(),
        }
    }

    /// The parameter after a step.
    fn step(&mut self, golden: &Golden, line: &Parameter, step: usize) -> &[f64] {
        let number = |key: &str| golden.config[key].as_f64().expect("a number");
        let norm = golden.get(&format!("{step}.norm"))[0];
        let factor = match line.group {
            Group::Recurrent => (number("clip_norm") / norm).min(1.0),
            _ => 1.0,
        };
        let (weights, accumulators) = self.weights.get_mut(&line.name).expect("in the table");
        let gradient = golden.get(&format!("{step}.grad.{}", line.name));
        for ((w, a), g) in weights.iter_mut().zip(accumulators).zip(gradient) {
            let g = factor * g;
            *a += g * g;
            *w -= number("learning_rate") * g / a.sqrt();
        }
        weights
    }
}

fn load(
    executor: &mut dyn Executor,
    plan: &Arc<Plan>,
    golden: &Golden,
    table: &[Parameter],
) -> PlanId {
    let id = executor.load(plan.clone()).expect("a small plan");
    for line in table {
        let values: Vec<f32> = golden
            .get(&format!("init.{}", line.name))
            .iter()
            .map(|value| *value as f32)
            .collect();
        let values = line.layout.inside(values);
        executor.write(&line.name, &values).expect("writable");
        if line.group == Group::Recurrent {
            executor
                .write(&format!("ema.{}", line.name), &values)
                .expect("writable");
        }
        let ones = vec![1.0; values.len()];
        executor
            .write(&format!("optimizer.{}.accumulator", line.name), &ones)
            .expect("writable");
    }
    id
}

/// `[T, B, P]` to `[B, T, P]`.
fn batch_major(golden: &Golden, values: &[f64]) -> Vec<f64> {
    let (batch, unroll) = (golden.number("batch"), golden.number("unroll"));
    let width = values.len() / (batch * unroll);
    let mut out = Vec::with_capacity(values.len());
    for b in 0..batch {
        for t in 0..unroll {
            out.extend_from_slice(&values[(t * batch + b) * width..][..width]);
        }
    }
    out
}

/// The gradient of a parameter, written out if it is sparse by rows.
fn dense_gradient(
    device: &mut dyn Device,
    plan: &Plan,
    inputs: &Inputs,
    line: &Parameter,
) -> Vec<f64> {
    let values = device.values(&format!("gradient.{}", line.name));
    let update = plan
        .steps
        .iter()
        .find(|step| step.label == format!("update {}", line.name))
        .expect("every parameter is updated");
    let rows = update
        .slices
        .iter()
        .map(|slice| &plan.tensor(slice.tensor).name)
        .find(|name| name.starts_with("rows."));
    let Some(name) = rows else { return values };
    let (_, Data::Index(rows)) = inputs
        .iter()
        .find(|(input, _)| input == name)
        .expect("an input")
    else {
        panic!("a row index holds indices")
    };
    let capacity = (rows.len() - 2) / 3;
    let width = values.len() / capacity;
    let mut dense = vec![0.0; line.shape.len()];
    for k in 0..rows[0] as usize {
        let id = rows[1 + k] as usize;
        dense[id * width..][..width].copy_from_slice(&values[k * width..][..width]);
    }
    dense
}
