//! The choice of a device: parses `--device SEL` and resolves it against the adapters of the machine.

use std::fmt;
use std::str::FromStr;

use super::adapter::{Adapter, AdapterSummary, adapters};
use super::report::driver_help;
use crate::error::{Error, Result};

/// A parsed `--device SEL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// `auto`: the best hardware GPU, or the CPU if there is none.
    Auto,
    /// `cpu`.
    Cpu,
    /// `gpu`: the best adapter, hardware if there is any.
    Gpu,
    /// `gpu:all`: every hardware adapter.
    All,
    /// `gpu:N`: adapter N in the list of `wlstm devices`.
    Index(usize),
    /// `gpu:TEXT`: the first adapter whose name contains this text, ignoring case.
    Name(String),
}

impl FromStr for Selector {
    type Err = Error;

    fn from_str(text: &str) -> Result<Selector> {
        match text.split_once(':') {
            None => match text {
                "auto" => return Ok(Selector::Auto),
                "cpu" => return Ok(Selector::Cpu),
                "gpu" => return Ok(Selector::Gpu),
                _ => {}
            },
            Some(("gpu", "all")) => return Ok(Selector::All),
            Some(("gpu", which)) if !which.trim().is_empty() => {
                return Ok(match which.parse() {
                    Ok(index) => Selector::Index(index),
                    Err(_) => Selector::Name(which.to_owned()),
                });
            }
            Some(_) => {}
        }
        Err(Error::usage(format!("`{text}` is not a device"))
            .help("use `auto`, `cpu`, `gpu`, `gpu:N` (number N of `wlstm devices`) or `gpu:TEXT` (the adapter whose name contains TEXT), for example `gpu:nvidia`"))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Auto => write!(f, "auto"),
            Selector::Cpu => write!(f, "cpu"),
            Selector::Gpu => write!(f, "gpu"),
            Selector::All => write!(f, "gpu:all"),
            Selector::Index(index) => write!(f, "gpu:{index}"),
            Selector::Name(name) => write!(f, "gpu:{name}"),
        }
    }
}

/// A chosen device.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a process has a few of them")]
pub enum Device {
    /// The CPU.
    Cpu,
    /// A GPU, through this adapter.
    Gpu(Adapter),
}

/// A chosen device with the reason for the choice.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The device.
    pub device: Device,
    /// The reason as a sentence for the user.
    pub reason: String,
}

/// Resolves selectors (none: `auto`) to one device. Does not list adapters if only `cpu` is named.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if a selector is invalid or several devices are named,
/// [`Kind::Device`](crate::error::Kind::Device) if there is no such device.
pub fn choose<S: AsRef<str>>(selectors: &[S]) -> Result<Choice> {
    let mut choices = choose_all(selectors, 0)?;
    if choices.len() > 1 {
        let names: Vec<&str> = selectors.iter().map(AsRef::as_ref).collect();
        return Err(Error::usage(format!(
            "`--device {}` names several devices, and only training uses more than one",
            names.join(", ")
        ))
        .help("give one device, for example `--device gpu`"));
    }
    Ok(choices.swap_remove(0))
}

/// Resolves selectors (none: `auto`) to devices, in the order of the selectors; a device named twice appears twice. Does not list
/// adapters if only `cpu` is named. `process` is the index of this process among those of the job on this machine: for `auto` and
/// `gpu`, the GPUs of the same kind as the best one are assigned to processes one after the other.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if a selector is invalid,
/// [`Kind::Device`](crate::error::Kind::Device) if there is no such device.
pub fn choose_all<S: AsRef<str>>(selectors: &[S], process: usize) -> Result<Vec<Choice>> {
    let mut parsed = Vec::new();
    for text in selectors {
        parsed.push(text.as_ref().parse::<Selector>()?);
    }
    if parsed.is_empty() {
        parsed.push(Selector::Auto);
    }
    let only_cpu = parsed.iter().all(|selector| *selector == Selector::Cpu);
    let found = if only_cpu { Vec::new() } else { adapters() };
    let summaries: Vec<AdapterSummary> = found.iter().map(|a| a.summary.clone()).collect();
    let mut choices = Vec::new();
    for selector in &parsed {
        for (index, reason) in pick_all(selector, &summaries, process)? {
            let device = match index {
                Some(index) => Device::Gpu(found[index].clone()),
                None => Device::Cpu,
            };
            choices.push(Choice { device, reason });
        }
    }
    Ok(choices)
}

/// Same as [`pick`], for selectors that may mean several devices: all adapters of the same backend and kind (hardware or
/// software) as the best one, so that a GPU listed by two backends counts once. For `auto` and `gpu` in a job of several
/// processes on this machine, the GPU that is assigned to this process.
fn pick_all(
    selector: &Selector,
    found: &[AdapterSummary],
    process: usize,
) -> Result<Vec<(Option<usize>, String)>> {
    let first = pick(selector, found)?;
    let Some(best) = first.0 else {
        return Ok(vec![first]);
    };
    let best = &found[best];
    let alike = found.iter().enumerate().filter(|(_, adapter)| {
        adapter.backend == best.backend && adapter.is_hardware() == best.is_hardware()
    });
    Ok(match selector {
        Selector::All => alike
            .map(|(index, adapter)| {
                let reason = format!("Running on {} ({}).", adapter.name, adapter.backend);
                (Some(index), reason)
            })
            .collect(),
        Selector::Auto | Selector::Gpu if process > 0 => {
            let alike = alike.filter(|(_, adapter)| adapter.hardware == best.hardware);
            let alike: Vec<_> = alike.collect();
            let turn = process % alike.len();
            let (index, adapter) = alike[turn];
            let reason = format!(
                "Running on {} ({}): GPU {} of {} for process {process} of this machine.",
                adapter.name,
                adapter.backend,
                turn + 1,
                alike.len()
            );
            vec![(Some(index), reason)]
        }
        _ => vec![first],
    })
}

/// The index in `found` of the device that a selector means (`None`: the CPU), with the reason.
fn pick(selector: &Selector, found: &[AdapterSummary]) -> Result<(Option<usize>, String)> {
    let named = |index: usize| format!("{} ({})", found[index].name, found[index].backend);
    // `found` is sorted by preference.
    let real = found.iter().position(AdapterSummary::is_hardware);
    match selector {
        Selector::Cpu => Ok((None, "Running on the CPU, as requested.".to_owned())),
        Selector::Auto => Ok(match (real, found.first()) {
            (Some(index), _) => {
                let kind = found[index].hardware.word();
                let reason = format!("Running on {}: the best GPU found ({kind}).", named(index));
                (Some(index), reason)
            }
            (None, Some(software)) => {
                let reason = format!(
                    "Running on the CPU: the only GPU adapter, {}, is software and slower (`--device gpu` selects it).",
                    software.name
                );
                (None, reason)
            }
            (None, None) => (
                None,
                "Running on the CPU: no GPU adapter found (`wlstm devices` says more).".to_owned(),
            ),
        }),
        Selector::Gpu | Selector::All => {
            let index = match real {
                Some(index) => index,
                None if found.is_empty() => return Err(missing(selector, found)),
                None => 0,
            };
            Ok((Some(index), format!("Running on {}.", named(index))))
        }
        Selector::Index(index) => {
            if *index >= found.len() {
                return Err(missing(selector, found));
            }
            Ok((
                Some(*index),
                format!("Running on {}, as requested.", named(*index)),
            ))
        }
        Selector::Name(part) => {
            let part = part.to_lowercase();
            let index = found
                .iter()
                .position(|adapter| adapter.name.to_lowercase().contains(&part))
                .ok_or_else(|| missing(selector, found))?;
            Ok((
                Some(index),
                format!("Running on {}, as requested.", named(index)),
            ))
        }
    }
}

fn missing(selector: &Selector, found: &[AdapterSummary]) -> Error {
    if found.is_empty() {
        return Error::device(format!("no device `{selector}`: no GPU adapter found"))
            .help(format!("use `--device cpu`, or {}", driver_help()));
    }
    let list: Vec<String> = found
        .iter()
        .map(|adapter| format!("gpu:{} is {}", adapter.index, adapter.name))
        .collect();
    Error::device(format!("no device `{selector}`: {}", list.join(", "))).help(format!(
        "use one of these or `cpu`; if a GPU is missing here, {}",
        driver_help()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::adapter::Hardware;
    use crate::error::Kind;

    fn summary(index: usize, name: &str, hardware: Hardware) -> AdapterSummary {
        AdapterSummary {
            index,
            name: name.to_owned(),
            vendor_id: 0,
            vendor: String::new(),
            hardware,
            backend: "vulkan".to_owned(),
            driver: String::new(),
            driver_info: String::new(),
            max_binding_bytes: 0,
            max_buffer_bytes: 0,
            max_workgroup_bytes: 32 << 10,
            f16: false,
            subgroups: false,
            subgroup_min: 4,
            subgroup_max: 128,
            multiprocessors: None,
            matrix_units: Vec::new(),
            timestamps: false,
        }
    }

    fn pick_of(text: &str, found: &[AdapterSummary]) -> Result<(Option<usize>, String)> {
        pick(&text.parse()?, found)
    }

    #[test]
    fn selectors_read_as_they_print() {
        for text in ["auto", "cpu", "gpu", "gpu:all", "gpu:3", "gpu:NVIDIA H100"] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
        for text in ["", "cuda", "gpu:", "gpu: ", "cpu:0", "GPU", "gpu,cpu"] {
            assert_eq!(
                text.parse::<Selector>().unwrap_err().kind(),
                Kind::Usage,
                "{text}"
            );
        }
    }

    #[test]
    fn several_devices_are_refused_before_any_work() {
        assert_eq!(choose(&["cpu", "cpu"]).unwrap_err().kind(), Kind::Usage);
        assert_eq!(choose_all(&["cpu", "cpu"], 0).unwrap().len(), 2);
        assert!(matches!(choose(&["cpu"]).unwrap().device, Device::Cpu));
    }

    #[test]
    fn auto_prefers_the_cpu_to_software() {
        let software = [summary(0, "llvmpipe (LLVM 15)", Hardware::Software)];
        assert_eq!(pick_of("auto", &[]).unwrap().0, None);
        let (index, reason) = pick_of("auto", &software).unwrap();
        assert_eq!(index, None);
        assert!(reason.contains("llvmpipe"), "{reason}");
        assert_eq!(pick_of("gpu", &software).unwrap().0, Some(0));
        assert_eq!(pick_of("gpu:LLVMpipe", &software).unwrap().0, Some(0));
    }

    #[test]
    fn real_adapters_come_first() {
        let found = [
            summary(0, "NVIDIA H100", Hardware::Discrete),
            summary(1, "Intel UHD", Hardware::Integrated),
            summary(2, "llvmpipe", Hardware::Software),
        ];
        assert_eq!(pick_of("auto", &found).unwrap().0, Some(0));
        assert_eq!(pick_of("gpu:intel", &found).unwrap().0, Some(1));
        assert_eq!(pick_of("gpu:2", &found).unwrap().0, Some(2));
        let error = pick_of("gpu:3", &found).unwrap_err();
        assert_eq!(error.kind(), Kind::Device);
        assert!(error.chain().to_string().contains("gpu:1 is Intel UHD"));
        assert_eq!(pick_of("gpu:amd", &found).unwrap_err().kind(), Kind::Device);
    }

    #[test]
    fn processes_of_a_machine_take_turns() {
        let found = [
            summary(0, "NVIDIA H100", Hardware::Discrete),
            summary(1, "NVIDIA H100", Hardware::Discrete),
            summary(2, "Intel UHD", Hardware::Integrated),
            summary(3, "llvmpipe", Hardware::Software),
        ];
        let of = |text: &str, process| {
            let picked = pick_all(&text.parse().unwrap(), &found, process).unwrap();
            picked.into_iter().map(|(index, _)| index).collect()
        };
        for (text, want) in [
            ("auto", [0, 1, 0, 1]),
            ("gpu", [0, 1, 0, 1]),
            ("gpu:2", [2; 4]),
        ] {
            for (process, index) in want.into_iter().enumerate() {
                let picked: Vec<Option<usize>> = of(text, process);
                assert_eq!(picked, [Some(index)], "{text} of process {process}");
            }
        }
        assert_eq!(of("gpu:all", 1), [Some(0), Some(1), Some(2)]);
        assert_eq!(of("cpu", 1), [None]);
    }

    #[test]
    fn without_adapters_the_error_says_what_to_install() {
        let error = pick_of("gpu", &[]).unwrap_err();
        assert_eq!(error.kind(), Kind::Device);
        assert!(error.chain().to_string().contains(&driver_help()));
    }
}
