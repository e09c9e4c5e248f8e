//! `wlstm validate`: whether a device computes right.

mod args;

pub(super) use self::args::ValidateArgs;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::atomic::Ordering;

use serde::Serialize;

use super::args::Invocation;
use super::context::{Purpose, TUNE, executor_on};
use super::messages::note;
use super::output;
use super::progress::Live;
use super::wrap::wrap;
use crate::config::Precision;
use crate::device::{
    AdapterSummary, CpuExecutor, Device, Executor, GpuExecutor, adapter_text, choose,
    describe_system, every_adapter,
};
use crate::error::{Error, Kind, Result};
use crate::kernel::Kernel;
use crate::kernels::catalogue;
use crate::numbers::{counted, grouped};
use crate::report::{Column, Table};
use crate::validate::golden::{Difference, Golden, Single, Tolerance, worst};
use crate::validate::kernels::{KernelFound, Place, Thoroughness, kernel, on_host};

/// What was found of one device.
#[derive(Serialize)]
struct Document {
    /// The version of wlstm.
    version: &'static str,
    /// Operating system and processor.
    system: String,
    device: String,
    /// None of the CPU.
    adapter: Option<AdapterSummary>,
    /// Whether nothing disagrees.
    agrees: bool,
    kernels: Vec<KernelFound>,
    training: Vec<Trained>,
}

/// Three training steps of a model.
#[derive(Serialize)]
struct Trained {
    model: &'static str,
    precision: &'static str,
    agrees: bool,
    /// The tensors that were compared.
    tensors: usize,
    /// The largest difference, as part of its tolerance.
    worst: Option<Difference>,
    /// Why it could not be trained, if so.
    failure: Option<String>,
}

/// What is to be compared: kernels and models by part of their name.
struct Wanted {
    kernels: Vec<&'static Kernel>,
    models: Vec<&'static str>,
}

impl Wanted {
    fn new(filter: &str) -> Result<Wanted> {
        let models: Vec<&'static str> = Golden::names().collect();
        let wanted = Wanted {
            kernels: catalogue()
                .filter(|kernel| kernel.name.contains(filter))
                .collect(),
            models: models
                .iter()
                .copied()
                .filter(|model| format!("golden/{model}").contains(filter))
                .collect(),
        };
        if wanted.kernels.is_empty() && wanted.models.is_empty() {
            let kernels = catalogue().map(|kernel| kernel.name.to_owned());
            let models = models.iter().map(|model| format!("golden/{model}"));
            let names: Vec<String> = kernels.chain(models).collect();
            return Err(
                Error::usage(format!("no kernel and no model is called `{filter}`"))
                    .help(format!("part of one of these: {}", names.join(", "))),
            );
        }
        Ok(wanted)
    }
}

/// Validates one device, or all.
pub(super) fn run(arguments: &ValidateArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let wanted = Wanted::new(&arguments.filter)?;
    let (mut documents, mut failed) = (Vec::new(), None);
    if arguments.all {
        let gpus = every_adapter().into_iter().map(Device::Gpu);
        for device in gpus.chain([Device::Cpu]) {
            let name = match &device {
                Device::Cpu => "cpu".to_owned(),
                Device::Gpu(adapter) => {
                    format!("{}, {}", adapter.summary.name, adapter.summary.backend)
                }
            };
            note(quiet, &format!("Validating {name} ..."));
            match validate(device, &wanted, quiet) {
                Ok(document) => documents.push(document),
                // The others are still to be heard of.
                Err(error) => {
                    let error = error.context(format!("{name} could not be validated"));
                    if let Some(before) = failed.replace(error) {
                        tracing::error!("{}", told(&before));
                    }
                }
            }
        }
    } else {
        let choice = choose(&[&arguments.device])?;
        note(quiet, &choice.reason);
        documents.push(validate(choice.device, &wanted, quiet)?);
    }
    if arguments.json {
        match documents.as_slice() {
            [one] if !arguments.all => output::print_json(one)?,
            all => output::print_json(&all)?,
        }
    } else {
        let width = output::terminal_width();
        let texts: Vec<String> = documents
            .iter()
            .map(|document| document.text(width))
            .collect();
        output::print(texts.join("\n").as_bytes())?;
    }
    verdict(&documents)?;
    failed.map_or(Ok(()), Err)
}

/// The failure, if there is one.
fn verdict(documents: &[Document]) -> Result<()> {
    let mut wrong = Vec::new();
    for document in documents.iter().filter(|document| !document.agrees) {
        let kernels = document
            .kernels
            .iter()
            .filter(|found| found.failure.is_some());
        let models = document.training.iter().filter(|trained| !trained.agrees);
        let names: Vec<String> = kernels
            .map(|found| found.kernel.to_owned())
            .chain(
                models.map(|trained| format!("golden/{} ({})", trained.model, trained.precision)),
            )
            .collect();
        wrong.push(format!("{} on {}", names.join(", "), document.device));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Kind::Mismatch,
        format!("these disagree with their reference: {}", wrong.join("; ")),
    )
    .help(
        "do not train on this device: update its driver and try again, name another --device, or another WGPU_BACKEND; and report it \
         with the output above",
    ))
}

/// An executor for kernels alone, with the run-time checks of all.
fn for_kernels(device: &Device) -> Result<Box<dyn Executor>> {
    Ok(match device {
        Device::Cpu => Box::new(CpuExecutor::<f32>::new()),
        Device::Gpu(adapter) if adapter.summary.unit().is_some() => {
            Box::new(GpuExecutor::beside_units(adapter)?)
        }
        Device::Gpu(adapter) => Box::new(GpuExecutor::new(adapter)?),
    })
}

fn validate(device: Device, wanted: &Wanted, quiet: bool) -> Result<Document> {
    let adapter = match &device {
        Device::Cpu => None,
        Device::Gpu(adapter) => Some(adapter.summary.clone()),
    };
    let mut executor = for_kernels(&device)?;
    let name = executor.describe();
    let precisions: &[Precision] = match &adapter {
        Some(adapter) if !adapter.f16 => &[Precision::F32],
        _ => &[Precision::F32, Precision::Mixed],
    };
    let all = wanted.kernels.len() + precisions.len() * wanted.models.len();
    let live = Live::new("validating", quiet);
    let mut done = 0;
    let mut show = |name: &str| {
        live.show_named(name, done, all as u64);
        done += 1;
    };
    let thoroughness = Thoroughness {
        every_form: adapter.as_ref().is_none_or(AdapterSummary::is_real),
    };
    let mut kernels = Vec::new();
    for one in &wanted.kernels {
        show(one.name);
        kernels.push(match &device {
            Device::Cpu => on_host(&mut *executor, one)?,
            Device::Gpu(_) => kernel(&mut *executor, one, thoroughness)?,
        });
    }
    drop(executor);
    let mut training = Vec::new();
    for &precision in precisions {
        let mixed = precision == Precision::Mixed;
        for &model in &wanted.models {
            show(model);
            // Models have tensors of one name and of different sizes.
            // As in training, but that software adapters would measure for long.
            let is_real = adapter.as_ref().is_some_and(AdapterSummary::is_real);
            let tunes = is_real && TUNE.load(Ordering::Relaxed);
            let mut executor = executor_on(&device, true, &Purpose::Plans(precision), tunes)?;
            let tolerance = match mixed {
                true => Tolerance::MIXED,
                false => Tolerance::SINGLE,
            };
            let golden = Golden::named(model);
            let found = golden.check(&mut Single(&mut *executor), mixed, tolerance);
            training.push(trained(&*executor, model, precision.as_str(), found)?);
        }
    }
    live.end();
    let agrees = kernels.iter().all(|found| found.failure.is_none())
        && training.iter().all(|trained| trained.agrees);
    Ok(Document {
        version: env!("CARGO_PKG_VERSION"),
        system: describe_system(),
        device: name,
        adapter,
        agrees,
        kernels,
        training,
    })
}

/// An error with its causes, where it is known to be one.
fn told(error: &Error) -> String {
    let chain = error.chain().to_string();
    chain.trim_start_matches("error: ").to_owned()
}

fn trained(
    executor: &dyn Executor,
    model: &'static str,
    precision: &'static str,
    found: Result<Vec<Difference>>,
) -> Result<Trained> {
    let (tensors, worst, failure) = match found {
        Ok(found) => (found.len(), worst(&found).cloned(), None),
        Err(error) => {
            executor.check()?;
            (0, None, Some(told(&error)))
        }
    };
    Ok(Trained {
        model,
        precision,
        agrees: failure.is_none() && worst.as_ref().is_none_or(Difference::is_tolerable),
        tensors,
        worst,
        failure,
    })
}

impl Document {
    fn text(&self, width: Option<usize>) -> String {
        let mut out = format!("wlstm {} on {}\n", self.version, self.system);
        match &self.adapter {
            Some(adapter) => out += &adapter_text(adapter),
            None => out += &format!("{}\n", self.device),
        }
        let say = |out: &mut String, line: std::fmt::Arguments<'_>| {
            writeln!(out, "{line}").expect("strings take everything");
        };
        if !self.kernels.is_empty() {
            say(
                &mut out,
                format_args!("\nKernels against f64 on the CPU; times of one case"),
            );
            out += &kernel_table(&self.kernels).text(width);
            let legend = "largest errors of all runs: absolute, relative, in units in the last place (ulp), and of what is \
                          tolerated (of tol.), which decides: more than 100 % is wrong";
            say(
                &mut out,
                format_args!("{}", wrap(legend, width.unwrap_or(100))),
            );
        }
        if !self.training.is_empty() {
            say(
                &mut out,
                format_args!("\nThree training steps against values computed elsewhere in f64"),
            );
            out += &training_table(&self.training).text(width);
        }
        out.push('\n');
        let mut left_out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for found in &self.kernels {
            if let Some(reason) = found.left_out {
                left_out.entry(reason).or_default().push(found.kernel);
            }
        }
        for (reason, kernels) in left_out {
            let kernels = kernels.join(", ");
            say(&mut out, format_args!("left out, as {reason}: {kernels}"));
        }
        for found in &self.kernels {
            if let Some(failure) = &found.failure {
                say(&mut out, format_args!("WRONG {}: {failure}", found.kernel));
            }
        }
        for trained in self.training.iter().filter(|trained| !trained.agrees) {
            let worst = trained.worst.as_ref().map(Difference::to_string);
            let why = trained.failure.clone().or(worst).unwrap_or_default();
            let Trained {
                model, precision, ..
            } = trained;
            say(
                &mut out,
                format_args!("WRONG golden/{model} ({precision}): {why}"),
            );
        }
        let ran = || self.kernels.iter().filter(|found| found.left_out.is_none());
        let right = ran().filter(|found| found.failure.is_none()).count();
        let runs: usize = ran().map(|found| found.runs).sum();
        let good = self
            .training
            .iter()
            .filter(|trained| trained.agrees)
            .count();
        let mut parts = Vec::new();
        if !self.kernels.is_empty() {
            let (all, runs) = (ran().count(), grouped(runs as u64));
            parts.push(format!("{right} of {all} kernels agree ({runs} runs)"));
        }
        if !self.training.is_empty() {
            let models: BTreeSet<&str> =
                self.training.iter().map(|trained| trained.model).collect();
            parts.push(format!(
                "{good} of {} trainings agree ({})",
                self.training.len(),
                counted(models.len() as u64, "model")
            ));
        }
        say(&mut out, format_args!("{}", parts.join(", ")));
        if self.adapter.is_none() {
            say(
                &mut out,
                format_args!("no shader was run: these are the kernels of the CPU"),
            );
        }
        out
    }
}

fn kernel_table(kernels: &[KernelFound]) -> Table {
    let mut table = Table::new([
        Column::words("kernel"),
        Column::words(""),
        Column::numbers("runs"),
        Column::numbers("absolute"),
        Column::numbers("relative"),
        Column::numbers("ulp"),
        Column::numbers("of tol.").optional(),
        Column::numbers("us").optional(),
        Column::numbers("rate").optional(),
        Column::words("largest ulp error at").optional(),
    ]);
    for found in kernels.iter().filter(|found| found.left_out.is_none()) {
        let error = |place: &Option<Place>| match place {
            Some(place) => format!("{:.1e}", place.error),
            None => "0".to_owned(),
        };
        let ulp = match &found.ulp {
            Some(place) if place.error < 1e6 => format!("{:.1}", place.error),
            other => error(other),
        };
        let (time, rate) = match &found.timed {
            Some(timed) if timed.flops_per_second > 0.0 => (
                format!("{:.1}", timed.seconds * 1e6),
                format!("{:.1} GFLOP/s", timed.flops_per_second / 1e9),
            ),
            Some(timed) => (
                format!("{:.1}", timed.seconds * 1e6),
                format!("{:.1} GB/s", timed.bytes_per_second / 1e9),
            ),
            None => (String::new(), String::new()),
        };
        let place = found.ulp.as_ref().map(|place| {
            format!(
                "{}[{}] of {} ({})",
                place.binding, place.element, place.case, place.variant
            )
        });
        table.row([
            found.kernel.to_owned(),
            if found.failure.is_none() {
                "ok"
            } else {
                "WRONG"
            }
            .to_owned(),
            found.runs.to_string(),
            error(&found.absolute),
            error(&found.relative),
            ulp,
            format!("{:.0} %", 100.0 * found.of_tolerance),
            time,
            rate,
            place.unwrap_or_default(),
        ]);
    }
    table
}

fn training_table(training: &[Trained]) -> Table {
    let mut table = Table::new([
        Column::words("model"),
        Column::words("precision"),
        Column::words(""),
        Column::numbers("tensors").optional(),
        Column::numbers("worst"),
        Column::numbers("tolerance"),
        Column::words("at").optional(),
    ]);
    for trained in training {
        let of_worst = |show: fn(&Difference) -> String| {
            let worst = trained.worst.as_ref();
            worst.map(show).unwrap_or_default()
        };
        table.row([
            trained.model.to_owned(),
            trained.precision.to_owned(),
            if trained.agrees { "ok" } else { "WRONG" }.to_owned(),
            trained.tensors.to_string(),
            of_worst(|worst| format!("{:.1e}", worst.error)),
            of_worst(|worst| format!("{:.0e}", worst.tolerance)),
            of_worst(|worst| format!("{}[{}]", worst.tensor, worst.element)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::pointwise::add;

    #[test]
    fn a_wrong_kernel_is_named_and_ends_with_code_6() {
        let mut executor = CpuExecutor::<f32>::new();
        let mut document = Document {
            version: "1",
            system: "here".to_owned(),
            device: "cpu".to_owned(),
            adapter: None,
            agrees: true,
            kernels: vec![on_host(&mut executor, &add::KERNEL).unwrap()],
            training: Vec::new(),
        };
        assert!(verdict(std::slice::from_ref(&document)).is_ok());
        assert!(document.text(None).contains("1 of 1 kernels agree"));
        assert!(document.text(None).contains("no shader was run"));
        document.agrees = false;
        document.kernels[0].failure = Some("odd length: sum[3] is 1".to_owned());
        let text = document.text(Some(60));
        assert!(
            text.contains("WRONG pointwise/add: odd length: sum[3] is 1"),
            "{text}"
        );
        assert!(text.contains("0 of 1 kernels agree"), "{text}");
        let error = verdict(&[document]).unwrap_err();
        assert_eq!(error.kind().exit_code(), 6);
        assert!(error.to_string().contains("pointwise/add on cpu"));
    }
}
