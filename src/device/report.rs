//! The text of `wlstm devices`: the adapters, or what to install if there are none.

use std::fmt::Write as _;

use super::adapter::AdapterSummary;
use crate::numbers::bytes;

/// How to install a GPU driver on this operating system, as the end of a sentence.
pub fn driver_help() -> String {
    let what = if cfg!(target_os = "windows") {
        "install the graphics driver from the vendor of the card (it includes DirectX 12)"
    } else if cfg!(target_os = "macos") {
        "update macOS (it includes Metal)"
    } else {
        "install a Vulkan driver and its loader: on Debian and Ubuntu `apt install libvulkan1 mesa-vulkan-drivers` \
         (AMD, Intel, and llvmpipe in software), for NVIDIA the driver package `nvidia-driver-...`; \
         on Fedora `dnf install vulkan-loader mesa-vulkan-drivers`; on Arch `pacman -S vulkan-icd-loader` \
         and `vulkan-radeon`, `vulkan-intel` or `nvidia-utils`"
    };
    match std::env::var("WGPU_BACKEND") {
        Ok(backend) => format!("unset WGPU_BACKEND (it is `{backend}`), or {what}"),
        Err(_) => what.to_owned(),
    }
}

/// What is missing for a GPU, judged by the files of the system: the Vulkan loader, its drivers, or the dependencies of these.
#[cfg(target_os = "linux")]
fn missing() -> Vec<String> {
    use std::path::{Path, PathBuf};

    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let given = |name: &str| -> Vec<PathBuf> {
        let paths = std::env::var_os(name).unwrap_or_default();
        std::env::split_paths(&paths)
            .filter(|path| !path.as_os_str().is_empty())
            .collect()
    };
    let mut folders = given("LD_LIBRARY_PATH");
    folders
        .extend(["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib"].map(PathBuf::from));
    // Debian has a folder for each architecture.
    let of_processor: Vec<PathBuf> = list(Path::new("/usr/lib"))
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("-linux-"))
        .collect();
    folders.extend(of_processor);
    let has_loader = folders
        .iter()
        .any(|folder| folder.join("libvulkan.so.1").exists());
    // These variables replace the search paths.
    let named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].map(|name| (name, given(name)));
    let named = named.into_iter().find(|(_, files)| !files.is_empty());
    let of_system = || -> Vec<PathBuf> {
        let folders = ["/etc", "/usr/share", "/usr/local/share", "/usr/local/etc"];
        let folders = folders.map(|folder| Path::new(folder).join("vulkan/icd.d"));
        folders.iter().flat_map(|folder| list(folder)).collect()
    };
    let mut drivers = match &named {
        Some((_, files)) => files.clone(),
        None => of_system(),
    };
    drivers.retain(|driver| driver.exists());
    let mut missing = Vec::new();
    if !has_loader {
        missing.push("The Vulkan loader, libvulkan.so.1, is not installed.".to_owned());
    }
    if let (true, Some((name, files))) = (drivers.is_empty(), &named) {
        let files: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        missing.push(format!(
            "{name} names files that do not exist: {}.",
            files.join(", ")
        ));
    } else if drivers.is_empty() {
        missing.push("No Vulkan driver is installed: vulkan/icd.d is empty.".to_owned());
    } else {
        let names: Vec<String> = drivers
            .iter()
            .filter_map(|driver| Some(driver.file_name()?.to_string_lossy().into_owned()))
            .collect();
        missing.push(format!(
            "These Vulkan drivers are installed but find no device: {}.",
            names.join(", ")
        ));
    }
    if Path::new("/proc/driver/nvidia/version").exists() {
        missing.push(
            "The kernel has an NVIDIA driver, but its Vulkan driver (nvidia_icd.json) may not be installed. A container needs the \
             capability `graphics` (NVIDIA_DRIVER_CAPABILITIES=all)."
                .to_owned(),
        );
    } else if list(Path::new("/dev/dri")).is_empty() {
        missing.push(
            "There is no GPU in /dev/dri: the machine has none, or a container hides it."
                .to_owned(),
        );
    }
    missing
}

#[cfg(not(target_os = "linux"))]
fn missing() -> Vec<String> {
    Vec::new()
}

/// The adapters as JSON: an array of [`AdapterSummary`].
pub fn devices_json(adapters: &[AdapterSummary]) -> String {
    serde_json::to_string_pretty(adapters).expect("an adapter has a JSON form")
}

/// The adapters as text of at most 80 columns, one block each, followed by the CPU.
pub fn devices_text(adapters: &[AdapterSummary]) -> String {
    let mut text = String::new();
    if adapters.is_empty() {
        text.push_str("no GPU adapter found\n");
        for fact in missing() {
            for line in wrap(&fact, 76) {
                line_to(&mut text, format_args!("  {line}"));
            }
        }
        for line in wrap(&format!("To train on a GPU, {}.", driver_help()), 76) {
            line_to(&mut text, format_args!("  {line}"));
        }
    }
    for adapter in adapters {
        text += &adapter_text(adapter);
    }
    line_to(
        &mut text,
        format_args!(
            "cpu    {} threads",
            std::thread::available_parallelism().map_or(1, usize::from)
        ),
    );
    text
}

/// One adapter as text of at most 80 columns.
pub fn adapter_text(adapter: &AdapterSummary) -> String {
    let mut text = format!("gpu:{:<3}{}\n", adapter.index, cut(&adapter.name, 72));
    for (name, value) in facts(adapter) {
        for (k, line) in wrap(&value, 57).into_iter().enumerate() {
            let name = if k == 0 { name } else { "" };
            line_to(&mut text, format_args!("       {name:<15} {line}"));
        }
    }
    text
}

fn line_to(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

fn facts(adapter: &AdapterSummary) -> [(&'static str, String); 8] {
    let subgroups = if !adapter.subgroups {
        "no".to_owned()
    } else if adapter.subgroup_min == adapter.subgroup_max {
        format!("{} wide", adapter.subgroup_min)
    } else {
        format!("{} to {} wide", adapter.subgroup_min, adapter.subgroup_max)
    };
    let units: Vec<String> = adapter
        .matrix_units
        .iter()
        .map(|unit| {
            format!(
                "{}x{}x{} {}->{}",
                unit.m, unit.n, unit.k, unit.operands, unit.result
            )
        })
        .collect();
    let multiprocessors = match (adapter.multiprocessors, adapter.multiprocessors_for_plans()) {
        (Some(count), _) => count.to_string(),
        (None, 0) => "none (software)".to_owned(),
        (None, assumed) => format!("unknown, {assumed} assumed"),
    };
    let yes_no = |yes| if yes { "yes" } else { "no" };
    [
        (
            "backend",
            format!(
                "{}, {} {}",
                adapter.backend,
                adapter.vendor,
                adapter.hardware.word()
            ),
        ),
        (
            "driver",
            format!("{} {}", adapter.driver, adapter.driver_info)
                .trim()
                .to_owned(),
        ),
        (
            "memory limits",
            format!(
                "binding {}, buffer {}",
                bytes(adapter.max_binding_bytes),
                bytes(adapter.max_buffer_bytes)
            ),
        ),
        ("f16", yes_no(adapter.f16).to_owned()),
        ("multiprocessors", multiprocessors),
        ("subgroups", subgroups),
        (
            "matrix units",
            if units.is_empty() {
                "no".to_owned()
            } else {
                units.join(", ")
            },
        ),
        ("timestamps", yes_no(adapter.timestamps).to_owned()),
    ]
}

fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

/// Wraps text into lines of at most `width` characters; truncates longer words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = cut(word, width);
        let last = lines.len() - 1;
        let used = lines[last].chars().count();
        if used == 0 {
            lines[last] = word;
        } else if used + 1 + word.chars().count() <= width {
            lines[last].push(' ');
            lines[last].push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::adapter::{Hardware, MatrixUnit};

    fn adapter() -> AdapterSummary {
        let unit = MatrixUnit {
            m: 16,
            n: 16,
            k: 16,
            operands: "f16".to_owned(),
            result: "f32".to_owned(),
        };
        AdapterSummary {
            index: 0,
            name: "A card with a name that is much longer than any terminal line can be, and then some more".to_owned(),
            vendor_id: 0x10de,
            vendor: "NVIDIA".to_owned(),
            hardware: Hardware::Discrete,
            backend: "vulkan".to_owned(),
            driver: "NVIDIA".to_owned(),
            driver_info: "550.54.15 ".repeat(12),
            max_binding_bytes: 2_147_483_647,
            max_buffer_bytes: 1 << 40,
            max_workgroup_bytes: 32 << 10,
            f16: true,
            subgroups: true,
            subgroup_min: 32,
            subgroup_max: 32,
            multiprocessors: Some(132),
            matrix_units: vec![unit; 9],
            timestamps: true,
        }
    }

    #[test]
    fn both_tables_fit_80_columns() {
        for text in [devices_text(&[]), devices_text(&[adapter(), adapter()])] {
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }

    #[test]
    fn an_empty_list_says_what_to_install() {
        let text = devices_text(&[]);
        assert!(text.starts_with("no GPU adapter found\n"));
        assert!(text.contains("install") || text.contains("update"));
    }

    #[test]
    fn every_fact_is_shown_and_in_json() {
        let text = devices_text(&[adapter()]);
        for part in [
            "vulkan, NVIDIA discrete",
            "550.54.15",
            "2.0 GiB",
            "1.0 TiB",
            "multiprocessors 132",
            "32 wide",
            "16x16x16 f16->f32",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let json: serde_json::Value = serde_json::from_str(&devices_json(&[adapter()])).unwrap();
        assert_eq!(json[0]["max_binding_bytes"], 2_147_483_647_u64);
        assert_eq!(json[0]["matrix_units"][8]["k"], 16);
        assert_eq!(json[0]["hardware"], "discrete");
        assert_eq!(json[0]["multiprocessors"], 132);
    }
}
