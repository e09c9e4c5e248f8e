//! Advice to the operating system about its page cache.

use std::fs::File;

/// Fills `bytes` from a large file that is read once, from byte `start` on. Advises the operating system to drop these bytes from
/// the page cache and to read ahead by the same amount.
///
/// # Errors
///
/// If the file cannot be read or is too short.
pub fn read_once(file: &File, start: u64, bytes: &mut [u8]) -> std::io::Result<()> {
    #[cfg(unix)]
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, start)?;
    #[cfg(not(unix))]
    {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = file;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(bytes)?;
    }
    let len = bytes.len() as u64;
    read_ahead(file, start + len, len);
    drop_from_cache(file, start, len);
    Ok(())
}

/// Drops a range of a file from the page cache. A hint: has no effect where the system has no such call, or the call fails.
pub(super) fn drop_from_cache(file: &File, start: u64, bytes: u64) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    advise(file, start, bytes, rustix::fs::Advice::DontNeed);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (file, start, bytes);
}

/// Reads a range of a file into the page cache. A hint, as [`drop_from_cache`].
fn read_ahead(file: &File, start: u64, bytes: u64) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    advise(file, start, bytes, rustix::fs::Advice::WillNeed);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (file, start, bytes);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn advise(file: &File, start: u64, bytes: u64, advice: rustix::fs::Advice) {
    if let Some(bytes) = std::num::NonZeroU64::new(bytes) {
        let _ = rustix::fs::fadvise(file, start, Some(bytes), advice);
    }
}
