//! The memory of this machine, for devices that live in it: the CPU and software adapters. Operating systems promise them
//! more than there is and kill the program later, so that what does not fit must be refused before.

/// The bytes of memory that this program can still take, where the operating system says so (Linux).
pub fn available_memory() -> Option<u64> {
    available_of(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// From the text of `/proc/meminfo`.
fn available_of(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
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
    #[cfg(target_os = "linux")]
    fn this_machine_has_memory() {
        assert!(available_memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
