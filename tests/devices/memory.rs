//! The estimated memory of a run agrees with the memory that it uses.
//!
//! Executors must allocate for their plans exactly the estimated bytes. Whole runs also use memory for
//! drivers, allocators and the system, so their peak is measured relative to a run of the same steps with
//! tiny tensors (Linux; pages of files not counted): the estimate must be within 10 % of the difference.
//! `--nocapture` prints the figures.

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::common::program::{Dice, Folder, program, wlstm};
use crate::common::{Gpu, Trial, batch, on_every_gpu};
use libtest_mimic::Failed;
use serde_json::Value;
use wlstm::config::Config;
use wlstm::device::{
    CpuExecutor, Data, Executor, Footprint, GpuExecutor, MemoryInfo, MemoryModel, available_memory,
};
use wlstm::graph::memory::Limits;
use wlstm::model::language_model::Division;
use wlstm::train::estimate::{CommunicationCost, DeviceBytes, Estimate, RunSpec, Topology};
use wlstm::train::prepare::Preparer;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("taken::cpu", || {
            taken(|| Ok(Box::new(CpuExecutor::<f32>::new())))
        }),
        Trial::test("refused::cpu", || refused("cpu")),
        Trial::test("exchange", exchange),
        Trial::test("micro_batches_use_less_than_a_whole_batch", micro_batches),
        Trial::test("prepared_batches", prepared_batches),
    ];
    trials.extend(on_every_gpu("taken", |gpu| {
        let open = || GpuExecutor::new(&gpu.adapter).map_err(|error| error.chain().to_string());
        taken(|| Ok(Box::new(open()?)))
    }));
    trials.extend(on_every_gpu("refused", |gpu| {
        if gpu.adapter.summary.is_hardware() {
            Ok(())
        } else {
            refused(&device_of(gpu))
        }
    }));
    if cfg!(target_os = "linux") {
        trials.push(Trial::test("runs::cpu", || {
            runs(
                "cpu",
                &Limits::HOST,
                &CpuExecutor::<f32>::new().memory_info(),
            )
        }));
        // The memory of a real GPU is not measured here.
        trials.extend(on_every_gpu("runs", |gpu| {
            if gpu.adapter.summary.is_hardware() {
                return Ok(());
            }
            let adapter = &gpu.adapter;
            runs(
                &device_of(gpu),
                &adapter.limits(false),
                &adapter.memory_info(),
            )
        }));
    }
    trials
}

fn device_of(gpu: &Gpu) -> String {
    format!("gpu:{}", gpu.adapter.summary.index)
}

/// A configuration; `more` continues its last section, `[train]`.
fn model(sizes: [usize; 3], [batch, unroll, samples]: [usize; 3], more: &str) -> String {
    let [embedding, hidden, projection] = sizes;
    let tables = if more == HOST { "host" } else { "device" };
    let (kind, samples) = match more {
        FULL => ("full", String::new()),
        ADAPTIVE => ("adaptive", "dropout = 0.4".to_owned()),
        _ => ("sampled", format!("samples = {samples}")),
    };
    format!(
        "[model]\ncell = [\"glstm\", \"flstm\"]\ngroups = 2\nfactor = 8\nlayers = 2\ntables = \"{tables}\"\nembedding = {embedding}\n\
         hidden = {hidden}\nprojection = {projection}\n\
         [softmax]\nkind = \"{kind}\"\n{samples}\n\
         [data]\ntrain = [\"train.txt\"]\nvalid = [\"valid.txt\"]\nvocab = \"words.txt\"\n\
         [train]\nbatch = {batch}\nunroll = {unroll}\nsteps = 2\nvalidate_every = 0\ncheckpoint_every = 0\n{more}\n"
    )
}

/// Values of `more` that select tables on the host, a full and an adaptive softmax.
const HOST: &str = "# host";
const FULL: &str = "# full";
const ADAPTIVE: &str = "# adaptive";

/// For each plan of a run, an executor allocates exactly the bytes of the plan's footprint.
fn taken(open: impl Fn() -> Result<Box<dyn Executor>, Failed>) -> Result<(), Failed> {
    let binding = "[device]\nmax_binding = 65536";
    for (sizes, batches, more) in [
        ([8, 8, 8], [2, 2, 5], ""),
        ([96, 160, 64], [9, 7, 50], ""),
        (
            [96, 160, 64],
            [9, 7, 50],
            "recompute = true\nema = 0.0\noptimizer = \"adam\"",
        ),
        ([96, 160, 64], [9, 7, 50], binding),
        ([96, 160, 64], [9, 7, 50], "accumulate = 3"),
        ([96, 160, 64], [9, 7, 50], HOST),
        ([96, 160, 64], [9, 7, 50], FULL),
        ([96, 160, 64], [9, 7, 50], ADAPTIVE),
    ] {
        let text = model(sizes, batches, more);
        let config = Config::parse(&text, "test", &std::env::temp_dir(), &[])
            .map_err(|error| error.chain().to_string())?;
        let mut executor = open()?;
        let plans = spec(&config, 5000, Topology::SINGLE).plans(&executor.limits());
        let model = executor.memory_info().model;
        let mut footprint = Footprint::default();
        for plan in plans.iter() {
            let loaded = executor.load(Arc::new(plan.clone()));
            loaded.map_err(|error| error.chain().to_string())?;
            footprint.add(plan, model);
            let (want, found) = (
                footprint.total() - footprint.params,
                executor.allocated_bytes(),
            );
            if want != found || found < 100_000 {
                return Err(
                    format!("{more} plan {}: expected {want}, found {found}", plan.name).into(),
                );
            }
        }
    }
    Ok(())
}

/// A run that cannot fit is refused before anything is written; the error proposes settings that fit.
fn refused(device: &str) -> Result<(), Failed> {
    let folder = texts(100);
    let text = model([256, 256, 256], [60_000, 30, 5], "").replace("layers = 2", "layers = 60");
    let text = text.replace("[\"glstm\", \"flstm\"]", "\"glstm\"");
    folder.write("large.toml", text);
    let config = folder.path("large.toml");
    let estimate = estimate(&config, device);
    let need = estimate["need"].as_u64().expect("bytes");
    if available_memory().is_none_or(|bytes| bytes > need / 2) {
        // This machine has enough memory, or does not report it.
        return Ok(());
    }
    assert_eq!(estimate["fits"], false, "{device}");
    let out = folder.path("run");
    let line = [
        "train",
        path(&config),
        "--out",
        path(&out),
        "--device",
        device,
    ];
    let ended = wlstm(&line);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    for part in [
        "error: out of memory: this run needs ",
        "help: one of these settings makes it fit: `--set ",
        "train.batch=",
    ] {
        assert!(
            ended.stderr.contains(part),
            "no `{part}` in\n{}",
            ended.stderr
        );
    }
    assert!(!out.exists(), "the run folder was created");
    Ok(())
}

fn spec(config: &Config, vocabulary: usize, topology: Topology) -> RunSpec<'_> {
    RunSpec {
        config,
        vocabulary,
        topology,
    }
}

/// The communication cost of a small model, counted by hand.
fn exchange() -> Result<(), Failed> {
    let of = |more: &str, devices| {
        let text = model([8, 16, 8], [3, 5, 20], more);
        let folder = std::env::temp_dir();
        let config = Config::parse(&text, "test", &folder, &[]).expect("a configuration");
        let topology = Topology {
            devices,
            ..Topology::SINGLE
        };
        let plans = spec(&config, 1000, topology).plans(&Limits::HOST);
        CommunicationCost::of(plans.reduced_gradients(), &config, devices as u64)
    };
    assert_eq!(of("", 1), CommunicationCost::default());
    // Gates in two groups and in two factors, their biases, two projections.
    let recurrent = (2 * 8 * 32) + (16 * 8 + 8 * 64) + 2 * 64 + 2 * (16 * 8);
    // The rows of 15 inputs, and of 15 targets and 20 candidates with their biases.
    let rows = 15 * 8 + 35 * (8 + 1);
    let found = of("", 4);
    assert_eq!((found.dense, found.rows), (4 * recurrent, 4 * rows));
    assert_eq!(found.sent, 4 * (recurrent + rows));
    assert_eq!(found.received, 4 * (recurrent + 4 * rows));
    // An all-reduce sends 3/4 twice; an all-gather sends the rows of the three others.
    assert_eq!(found.between_machines, 2 * 3 * recurrent + 4 * 3 * rows);
    let mixed = of("precision = \"mixed\"", 2);
    assert_eq!((mixed.dense, mixed.rows), (2 * recurrent, 2 * rows));
    Ok(())
}

/// Micro-batches use less memory than the whole batch at once, wherever the tables are.
fn micro_batches() -> Result<(), Failed> {
    for more in ["", HOST] {
        let of = |batch, accumulate| {
            let text = model([128, 512, 128], [batch, 20, 2000], more);
            let text = text + &format!("accumulate = {accumulate}\n");
            let folder = std::env::temp_dir();
            let config = Config::parse(&text, "test", &folder, &[]).expect("a configuration");
            let run = spec(&config, 40_000, Topology::SINGLE);
            let estimate = Estimate::of(&run, &Limits::COMMON, MemoryModel::Device);
            estimate.device
        };
        let (all, one, micro_batches) = (of(64, 1), of(4, 1), of(4, 16));
        assert!(
            micro_batches.total < all.total,
            "{more}: {micro_batches:?} of {all:?}"
        );
        // Besides one micro-batch there are the gradients, and the rows that micro-batches do not share.
        let beside = |bytes: &DeviceBytes| bytes.total - bytes.parameters - bytes.optimizer;
        assert!(
            2 * beside(&micro_batches) < beside(&all),
            "{more}: {micro_batches:?} of {all:?}"
        );
        assert!(
            one.total < micro_batches.total,
            "{more}: {one:?} of {micro_batches:?}"
        );
    }
    Ok(())
}

/// The estimate of prepared batches agrees with the size of the prepared batches, for any number of devices and micro-batches.
fn prepared_batches() -> Result<(), Failed> {
    const WORDS: usize = 1000;
    /// Batches that exist at once.
    const BATCHES: u64 = 6;
    for (devices, accumulate) in [(1, 1), (2, 1), (1, 3), (16, 1), (8, 4)] {
        let text = model(
            [8, 16, 8],
            [3, 5, 20],
            &format!("accumulate = {accumulate}"),
        );
        let folder = std::env::temp_dir();
        let mut config = Config::parse(&text, "test", &folder, &[]).expect("a configuration");
        config.data.valid.clear();
        let topology = Topology {
            devices,
            local_devices: 1,
            local_processes: 1,
        };
        let limits = Limits::HOST;
        let estimate = Estimate::of(&spec(&config, WORDS, topology), &limits, MemoryModel::Host);
        let division = Division {
            devices,
            micro_batches: accumulate,
        };
        let mut preparer = Preparer::new(&config, WORDS, 0, division).expect("a sampler");
        let tokens = config.train.batch * config.train.unroll * division.parts();
        let ids: Vec<u32> = (0..tokens as u32).map(|k| k * 7 % WORDS as u32).collect();
        let streams = config.train.batch * division.parts();
        let mut inputs = preparer.prepare(batch(0, streams, ids.clone(), ids)).inputs;
        inputs.set_control(vec![0.0; 7]);
        let all = inputs.parts.iter().chain([&inputs.update]).flatten();
        let bytes = all.map(|(_, data)| match data {
            Data::Real(values) => 8 * values.len() as u64,
            Data::Index(values) => 4 * values.len() as u64,
        });
        let want = BATCHES * bytes.sum::<u64>();
        let found = estimate.host.batches;
        if found.abs_diff(want) > want / 50 {
            return Err(format!(
                "{devices} devices, {accumulate} micro-batches: {found} and not {want}"
            )
            .into());
        }
    }
    Ok(())
}

/// Writes a vocabulary of `words` words, and texts of 90 of them.
fn texts(words: usize) -> Folder {
    let folder = Folder::new();
    let names: Vec<String> = (2..words).map(|k| format!("w{k}")).collect();
    let mut vocabulary = "<S> 999999\n<UNK> 999998\n".to_owned();
    for (k, name) in names.iter().enumerate() {
        vocabulary += &format!("{name} {}\n", words - k);
    }
    folder.write("words.txt", vocabulary);
    let few: Vec<&str> = names.iter().take(90).map(String::as_str).collect();
    folder.write("train.txt", Dice(1).text(6000, 20, &few));
    folder.write("valid.txt", Dice(2).text(20, 20, &few));
    folder
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a Unicode path")
}

/// The estimate that `wlstm plan` prints for a device.
fn estimate(config: &Path, device: &str) -> Value {
    let ended = wlstm(&["plan", path(config), "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let places = document["places"].as_array_mut().expect("places");
    let mut places = places.iter_mut();
    let place = places.find(|place| place["device"] == device);
    place.expect("the device").take()
}

/// The accepted ratio of estimate and measurement.
const WITHIN: RangeInclusive<f64> = 0.9..=1.1;

/// Runs of each configuration: more than the first number only while a measured peak is below the accepted range. On a busy
/// machine it can fall between two samples.
const RUNS: RangeInclusive<usize> = 2..=5;

/// Whole runs: large tables on the device and on the host, a full softmax, large activations, recomputed
/// gates, micro-batches, two devices.
fn runs(device: &str, limits: &Limits, memory: &MemoryInfo) -> Result<(), Failed> {
    let mut wrong = Vec::new();
    // For the many kernels of micro-batches a software adapter was seen to use 30 MB less than estimated for
    // shaders and copies: the tensors must be large compared with that.
    let micro_batches = match memory.model {
        MemoryModel::Host => 20_000,
        MemoryModel::Device => 80_000,
    };
    for (what, devices, words, sizes, batches, more) in [
        ("tables", 1, 60_000, [256, 256, 256], [8, 10, 500], ""),
        ("host", 1, 60_000, [256, 256, 256], [8, 10, 500], HOST),
        ("full", 1, 20_000, [256, 256, 256], [8, 10, 500], FULL),
        ("activations", 1, 100, [64, 2048, 64], [64, 20, 50], ""),
        (
            "recompute",
            1,
            100,
            [64, 2048, 64],
            [256, 20, 50],
            "recompute = true",
        ),
        (
            "micro-batches",
            1,
            micro_batches,
            [256, 512, 256],
            [16, 10, 1000],
            "accumulate = 4",
        ),
        ("two", 2, 20_000, [256, 1024, 256], [16, 10, 2000], ""),
    ] {
        let folder = texts(words);
        let [_, unroll, _] = batches;
        let small = folder.write("small.toml", model([8, 8, 8], [2, unroll, 5], more));
        let small = std::fs::read_to_string(small).expect("just written");
        folder.write("few.txt", "<S> 3\n<UNK> 2\nw2 1\nw3 1\nw4 1\nw5 1\n");
        folder.write("small.toml", small.replace("words.txt", "few.txt"));
        folder.write("large.toml", model(sizes, batches, more));
        let [small, large] = ["small", "large"].map(|name| {
            let config = folder.path(&format!("{name}.toml"));
            let parsed = Config::load(&config, &[]).expect("a configuration");
            let topology = Topology {
                devices,
                local_devices: devices,
                local_processes: 1,
            };
            let words = if name == "small" { 6 } else { words };
            let estimate = Estimate::of(&spec(&parsed, words, topology), limits, memory.model);
            let need = estimate.need(memory, devices, topology);
            (need as f64, config, folder.path(name))
        });
        let need = large.0;
        let devices = vec![device; devices];
        // Both peaks contain the program, drivers and shaders, which are not estimated.
        let mut peaks = [0.0_f64; 2];
        let (mut taken, mut ratio) = (0.0, f64::INFINITY);
        for run in 1..=*RUNS.end() {
            if run > *RUNS.start() && ratio <= *WITHIN.end() {
                break;
            }
            for (most, (_, config, out)) in peaks.iter_mut().zip([&small, &large]) {
                let _ = std::fs::remove_dir_all(out);
                *most = most.max(peak(config, out, &devices));
            }
            taken = peaks[1] - peaks[0];
            ratio = need / taken;
        }
        println!(
            "{device} {what}: {:.1} MB of {:.1} MB, {ratio:.3}",
            need / 1e6,
            taken / 1e6
        );
        if !WITHIN.contains(&ratio) {
            wrong.push(format!(
                "{what}: {:.1} MB of {:.1} MB",
                need / 1e6,
                taken / 1e6
            ));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("; ").into())
    }
}

/// Peak memory of a run in bytes.
fn peak(config: &Path, out: &Path, devices: &[&str]) -> f64 {
    // Tuning uses memory that a run with a tuning cache does not.
    let line = [
        "train",
        path(config),
        "--out",
        path(out),
        "--no-tune",
        "--quiet",
    ];
    let mut command: Command = program();
    command.args(line);
    for device in devices {
        command.args(["--device", device]);
    }
    let mut child = command.stdout(Stdio::null()).spawn().expect("the program");
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0.0_f64;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        // Pages of files are not counted, because the system may drop those of libraries.
        let kinds = ["RssAnon:", "RssShmem:", "VmSwap:"].map(|kind| {
            let line = text.lines().find_map(|line| line.strip_prefix(kind));
            let kilobytes = line.and_then(|line| line.split_whitespace().next());
            kilobytes.map_or(0.0, |kilobytes| kilobytes.parse().expect("a number"))
        });
        most = most.max(1024.0 * kinds.iter().sum::<f64>());
        if let Some(ended) = child.try_wait().expect("a child") {
            assert!(ended.success(), "{ended}");
            return most;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
