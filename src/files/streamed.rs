//! Writes files of several gigabytes, on another thread and without filling the page cache.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::mpsc;

use super::atomic::replace;
use super::failure::cannot_write;
use super::page_cache::drop_from_cache;
use crate::error::Result;

/// Size of a buffer in bytes.
const BUFFER: usize = 8 << 20;
/// Number of buffers that wait for the disk.
const QUEUED: usize = 2;
/// Number of buffers after which the file is flushed to the disk.
const FLUSH_EVERY: usize = 4;

/// Largest memory of [`write_large_atomically`] in bytes: the buffers that wait for the disk, and the one that is being filled.
pub const WRITE_BUFFERS: usize = (QUEUED + 1) * BUFFER;

/// Writes a large file, as [`write_atomically`](super::write_atomically) does. Another thread writes to the disk while `fill`
/// produces the next buffer. What was written does not stay in the page cache, where it would evict everything else.
///
/// # Errors
///
/// Same as [`write_atomically`](super::write_atomically).
pub fn write_large_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    replace(path, |file| write_in_background(path, file, fill))
}

/// Writes `file` as [`write_large_atomically`] does. `path` is its final path, for messages.
pub(super) fn write_in_background(
    path: &Path,
    file: &File,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let (full, buffers) = mpsc::sync_channel(QUEUED);
        let (recycle, empty) = mpsc::channel();
        for _ in 0..QUEUED {
            // The receiver is alive, so this always succeeds.
            let _ = recycle.send(Vec::new());
        }
        let mut writer = BackgroundWriter {
            full,
            empty,
            buffer: Vec::new(),
        };
        let disk = std::thread::Builder::new()
            .name("disk".to_owned())
            .spawn_scoped(scope, move || write_buffers(file, &buffers, &recycle));
        let Ok(disk) = disk else {
            // Without a thread, writing is slower, but it succeeds.
            let mut writer = BufWriter::with_capacity(BUFFER, file);
            fill(&mut writer)?;
            return writer.flush().map_err(|error| cannot_write(path, error));
        };
        let filled = fill(&mut writer)
            .and_then(|()| writer.flush().map_err(|error| cannot_write(path, error)));
        drop(writer);
        let written = match disk.join() {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        // An error of the disk also makes `fill` fail, so it is reported first.
        written.map_err(|error| cannot_write(path, error))?;
        filled
    })
}

/// Hands full buffers to the thread that writes them.
struct BackgroundWriter {
    full: mpsc::SyncSender<Vec<u8>>,
    /// Buffers that were written.
    empty: mpsc::Receiver<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Write for BackgroundWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.buffer.len() == BUFFER {
            self.flush()?;
        }
        self.buffer.reserve_exact(BUFFER - self.buffer.len());
        let count = bytes.len().min(BUFFER - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let stopped = || std::io::Error::other("writing to the disk has stopped");
        let next = self.empty.recv().map_err(|_| stopped())?;
        let buffer = std::mem::replace(&mut self.buffer, next);
        self.full.send(buffer).map_err(|_| stopped())
    }
}

/// Writes buffers as they come. Flushes the file regularly and drops the written pages from the page cache.
fn write_buffers(
    mut file: &File,
    buffers: &mpsc::Receiver<Vec<u8>>,
    recycle: &mpsc::Sender<Vec<u8>>,
) -> std::io::Result<()> {
    let (mut unflushed, mut end) = (0, 0);
    for mut buffer in buffers {
        file.write_all(&buffer)?;
        end += buffer.len() as u64;
        unflushed += 1;
        if unflushed == FLUSH_EVERY {
            file.sync_data()?;
            drop_from_cache(file, 0, end);
            unflushed = 0;
        }
        buffer.clear();
        // Fails at the end, when no more buffers are needed.
        let _ = recycle.send(buffer);
    }
    Ok(())
}
