//! Files that appear whole or not at all. A leaf.
//!
//! A file is written into a temporary sibling, flushed to the disk, renamed over the old one, and the folder is flushed
//! too: whatever happens in between, the old file stays. What a killed process leaves behind has a name that
//! [`sweep`] knows.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};

/// How the names of temporary siblings begin.
const PARTIAL: &str = ".wlstm-partial-";

/// Writes the file at `path` with `fill`, in place of what is there, once all is written.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be written or the disk is full, and what `fill`
/// returns. The old file is as it was, and nothing else is left.
pub fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    replace(path, |file| {
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        fill(&mut writer)?;
        writer.flush().map_err(|error| cannot_write(path, error))
    })
}

/// Writes a text in the same way.
///
/// # Errors
///
/// As [`write_atomically`].
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    write_atomically(path, |writer| {
        writer
            .write_all(text.as_bytes())
            .map_err(|error| cannot_write(path, error))
    })
}

/// The same for a file of gigabytes: what `fill` gives goes to the disk while it makes the next piece, and does not stay in
/// the memory that the system keeps files in, where it would push out everything else.
///
/// # Errors
///
/// As [`write_atomically`].
pub fn write_large_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    replace(path, |file| {
        std::thread::scope(|scope| {
            let (full, pieces) = mpsc::sync_channel(AHEAD);
            let (written, spare) = mpsc::channel();
            for _ in 0..AHEAD {
                written.send(Vec::new()).expect("its receiver is here");
            }
            let piece = Vec::new();
            let mut behind = Behind { full, spare, piece };
            let disk = scope.spawn(move || to_disk(file, &pieces, &written));
            let filled = fill(&mut behind)
                .and_then(|()| behind.flush().map_err(|error| cannot_write(path, error)));
            drop(behind);
            let done = disk.join().expect("the disk's thread does not panic");
            // What stopped the disk is why `fill` could not go on.
            done.map_err(|error| cannot_write(path, error))?;
            filled
        })
    })
}

/// Bytes that go to the disk in one piece.
const PIECE: usize = 8 << 20;
/// Pieces that wait for the disk.
const AHEAD: usize = 2;
/// Pieces after which it is waited for the disk.
const FLUSH: usize = 4;

/// The most memory that [`write_large_atomically`] takes: the pieces that wait, and the one that is being made.
pub const IN_FLIGHT: usize = (AHEAD + 1) * PIECE;

/// Hands pieces to the thread that writes them.
struct Behind {
    full: mpsc::SyncSender<Vec<u8>>,
    /// Pieces that are written.
    spare: mpsc::Receiver<Vec<u8>>,
    piece: Vec<u8>,
}

impl Write for Behind {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        self.piece.reserve_exact(PIECE - self.piece.len());
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let stopped = || std::io::Error::other("the disk takes no more");
        let next = self.spare.recv().map_err(|_| stopped())?;
        let piece = std::mem::replace(&mut self.piece, next);
        self.full.send(piece).map_err(|_| stopped())
    }
}

/// Writes pieces as they come, each few of them onto the disk and out of memory.
fn to_disk(
    mut file: &File,
    pieces: &mpsc::Receiver<Vec<u8>>,
    written: &mpsc::Sender<Vec<u8>>,
) -> std::io::Result<()> {
    let (mut unflushed, mut end) = (0, 0);
    for mut piece in pieces {
        file.write_all(&piece)?;
        end += piece.len() as u64;
        unflushed += 1;
        if unflushed == FLUSH {
            file.sync_data()?;
            forget(file, 0, end);
            unflushed = 0;
        }
        piece.clear();
        // Nobody waits for the last ones.
        let _ = written.send(piece);
    }
    Ok(())
}

/// Fills `bytes` with those of a large file from byte `start` on, for who reads on from there and not again: the system is told
/// that what was read need not stay in memory, and that as much will be read next.
///
/// # Errors
///
/// If the file cannot be read or has not so many bytes.
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
    expect(file, start + len, len);
    forget(file, start, len);
    Ok(())
}

/// Tells the system that bytes of a file need not be kept in memory. A hint: where there is no such call, or it fails, nothing
/// is different.
fn forget(file: &File, start: u64, bytes: u64) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    advise(file, start, bytes, rustix::fs::Advice::DontNeed);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (file, start, bytes);
}

/// Tells the system that bytes of a file are read next. A hint, as [`forget`].
fn expect(file: &File, start: u64, bytes: u64) {
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

/// Has `fill` write a temporary sibling, which then takes the place of the file at `path`.
fn replace(path: &Path, fill: impl FnOnce(&File) -> Result<()>) -> Result<()> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL);
    #[cfg(unix)]
    {
        // Readable for whom other files of the user are: temporary files are private otherwise.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temporary = builder
        .tempfile_in(folder)
        .map_err(|error| cannot_write(path, error))?;
    fill(temporary.as_file())?;
    temporary
        .as_file()
        .sync_all()
        .map_err(|error| cannot_write(path, error))?;
    temporary
        .persist(path)
        .map_err(|error| cannot_write(path, error.error))?;
    sync_folder(folder).map_err(|error| cannot_write(path, error))
}

/// The failure to make the folder of a run.
pub fn cannot_make(path: &Path, error: std::io::Error) -> Error {
    Error::data(format!("cannot make the folder `{}`", path.display()))
        .because(error)
        .help("choose a folder that may be written to with --out")
}

/// The failure to write a file.
pub fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    let help = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "make room on the disk, or write to another one"
        }
        std::io::ErrorKind::NotFound => "make the folder first",
        _ => "check that the folder may be written to",
    };
    Error::data(format!("cannot write `{}`", path.display()))
        .because(error)
        .help(help)
}

/// Removes what processes that were killed while writing have left in `folder`, and says what it was. Nobody else may be
/// writing into the folder.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be read or a leftover not removed.
pub fn sweep(folder: &Path) -> Result<Vec<PathBuf>> {
    sweep_older(folder, Duration::ZERO)
}

/// The same of what nobody has written to for `age`, so that others may be writing into the folder.
///
/// # Errors
///
/// As [`sweep`].
pub fn sweep_older(folder: &Path, age: Duration) -> Result<Vec<PathBuf>> {
    let is_old = |path: &Path| {
        let modified = path.metadata().and_then(|metadata| metadata.modified());
        let since = modified.map(|time| SystemTime::now().duration_since(time));
        matches!(since, Ok(Ok(since)) if since >= age)
    };
    let mut swept = Vec::new();
    for path in entries(folder)? {
        let leftover = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL));
        if leftover && (age.is_zero() || is_old(&path)) {
            std::fs::remove_file(&path).map_err(|error| {
                Error::data(format!("cannot remove the leftover `{}`", path.display()))
                    .because(error)
                    .help("check that the folder may be written to")
            })?;
            swept.push(path);
        }
    }
    Ok(swept)
}

/// The paths in a folder, by name.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if it cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error| {
        Error::data(format!("cannot read the folder `{}`", folder.display()))
            .because(error)
            .help("check the name and the rights of the folder")
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The folder for what this program can make again: the one that `WLSTM_CACHE` names, else `wlstm` in the user's folder for
/// caches. None if `WLSTM_CACHE` is empty, or the system knows no such folder.
pub fn cache_folder() -> Option<PathBuf> {
    match std::env::var_os("WLSTM_CACHE") {
        Some(folder) if folder.is_empty() => None,
        Some(folder) => Some(folder.into()),
        None => dirs::cache_dir().map(|folder| folder.join("wlstm")),
    }
}

/// The folder of a path as the system takes it: `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Flushes the names in a folder to the disk, where the system can.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
