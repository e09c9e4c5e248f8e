//! The host: its description and its available memory. Operating systems grant more memory than exists and
//! kill the process later, so plans for the CPU and software adapters are checked against the available
//! memory first.

use std::path::{Path, PathBuf};

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::numbers::{bytes, counted};

/// A description of the machine: `Debian GNU/Linux 12, x86_64, Intel(R) Xeon(R) Processor, 2 threads, 24.0 GiB`.
pub fn describe_system() -> String {
    let asked = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(asked).ok();
    let name = System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned());
    let processor = system.as_ref().and_then(|system| system.cpus().first());
    let processor = processor.map(|cpu| cpu.brand().trim().to_owned());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = [
        Some(name),
        Some(std::env::consts::ARCH.to_owned()),
        processor.filter(|name| !name.is_empty()),
        Some(counted(threads as u64, "thread")),
        system.map(|system| bytes(system.total_memory())),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The bytes of memory that this process can still allocate, on Linux: the memory available on the machine, or the rest of the
/// limits of its control groups (containers), whichever is less. `None` on other systems.
pub fn available_memory() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok();
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok();
    let free = machine.as_deref().and_then(available_of);
    let left = groups
        .iter()
        .flat_map(|groups| folders_of(groups))
        .filter_map(|folder| left_of(&folder))
        .min();
    [free, left].into_iter().flatten().min()
}

/// The available bytes in the text of `/proc/meminfo`.
fn available_of(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The folders of the control groups that may limit memory, from the text of `/proc/self/cgroup`: the group of this process and
/// its ancestors, in both versions. Inside a container the path may be the host's, of which only the root is visible.
fn folders_of(text: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            _ if controllers.split(',').any(|name| name == "memory") => "/sys/fs/cgroup/memory",
            _ => continue,
        };
        let path = Path::new(root).join(path.trim_start_matches('/'));
        // Drops a trailing slash.
        let path: PathBuf = path.components().collect();
        folders.extend(
            path.ancestors()
                .take_while(|folder| folder.starts_with(root))
                .map(Path::to_owned),
        );
    }
    folders
}

/// The bytes left in a control group: its limit minus its usage, not counting page cache that can be dropped.
fn left_of(folder: &Path) -> Option<u64> {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
    // A group without a limit has `max` here, which does not parse.
    let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let droppable = text("memory.stat").and_then(|text| {
        let file = |name| text.lines().find_map(|line| line.strip_prefix(name));
        let bytes = file("total_inactive_file ").or_else(|| file("inactive_file "))?;
        bytes.trim().parse().ok()
    });
    Some(limit.saturating_sub(used.saturating_sub(droppable.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read() {
        let text = "MemTotal:       24606396 kB\nMemAvailable:   24057632 kB\nSwapTotal: 0 kB\n";
        assert_eq!(available_of(text), Some(24_057_632 << 10));
        assert_eq!(available_of("MemTotal: 1 kB\n"), None);
        assert_eq!(available_of("MemAvailable: much\n"), None);
    }

    #[test]
    fn control_groups_are_found() {
        let folders = |text| -> Vec<String> {
            let folders = folders_of(text).into_iter();
            folders.map(|path| path.display().to_string()).collect()
        };
        assert_eq!(
            folders("9:name=systemd:/\n4:cpu,memory:/box/a\n3:cpuset:/\n0::/\nrubbish\n"),
            [
                "/sys/fs/cgroup/memory/box/a",
                "/sys/fs/cgroup/memory/box",
                "/sys/fs/cgroup/memory",
                "/sys/fs/cgroup",
            ]
        );
        assert_eq!(folders("0::/x\n"), ["/sys/fs/cgroup/x", "/sys/fs/cgroup"]);
    }

    #[test]
    fn a_control_group_has_its_limit_less_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(left_of(folder.path()), None);
        write("memory.current", "600\n");
        write("memory.max", "max\n");
        assert_eq!(left_of(folder.path()), None);
        write("memory.max", "1000\n");
        assert_eq!(left_of(folder.path()), Some(400));
        write("memory.stat", "anon 5\ninactive_file 250\nactive_file 7\n");
        assert_eq!(left_of(folder.path()), Some(650));
        write("memory.current", "2000\n");
        assert_eq!(left_of(folder.path()), Some(0));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_memory() {
        assert!(available_memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
