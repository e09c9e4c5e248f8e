//! An output that a user has named: a file, standard output, a pipe or a terminal.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::atomic::replace;
use super::failure::cannot_write;
use super::folder::{folder_of, sweep_others};
use super::own::check_own;
use super::streamed::write_in_background;
use crate::error::{Error, Result};

/// The maximum number of symbolic links that are followed, as on Linux.
const MAX_LINKS: usize = 40;

/// A place to write to, checked before the work that produces the bytes.
///
/// A regular file is replaced atomically once the new one is complete, and keeps its permissions. A symbolic link stays: the
/// file that it names is replaced. Pipes, terminals and other character devices are written to directly.
#[derive(Clone, Debug)]
pub struct Output {
    /// The path as it was given.
    named: PathBuf,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// A regular file, or one that does not exist yet, at the end of all links.
    File(PathBuf),
    /// Standard output, opened by the program.
    Stdout(OpenStdout),
    /// A pipe or a character device.
    Stream,
}

/// Opens standard output: only the program prints, so the library is given it.
pub type OpenStdout = fn() -> Box<dyn Write>;

impl Output {
    /// The output that a user has named.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) for a folder, a block device, a socket, or a cycle of links.
    pub fn named(path: &Path) -> Result<Output> {
        Output::resolved(path, None)
    }

    /// Same as [`Output::named`], where `-`, `/dev/stdout` and links to it are standard output.
    ///
    /// # Errors
    ///
    /// Same as [`Output::named`].
    pub fn named_or_stdout(path: &Path, stdout: OpenStdout) -> Result<Output> {
        Output::resolved(path, Some(stdout))
    }

    fn resolved(path: &Path, stdout: Option<OpenStdout>) -> Result<Output> {
        let output = |place| {
            Ok(Output {
                named: path.to_path_buf(),
                place,
            })
        };
        let refused = |what: &str| {
            Err(
                Error::data(format!("cannot write `{}`: it is {what}", path.display()))
                    .help("give a file with --out, or `-` for standard output"),
            )
        };
        if let Some(open) = stdout
            && path == Path::new("-")
        {
            return output(Place::Stdout(open));
        }
        let mut target = path.to_path_buf();
        for _ in 0..=MAX_LINKS {
            match (open_file(&target), stdout) {
                (Some(OpenFile::Stdout), Some(open)) => return output(Place::Stdout(open)),
                (Some(_), _) => return output(Place::Stream),
                (None, _) => {}
            }
            let kind = match fs::symlink_metadata(&target) {
                Ok(metadata) => metadata.file_type(),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return output(Place::File(target));
                }
                Err(error) => return Err(cannot_write(path, error)),
            };
            if kind.is_symlink() {
                let next = fs::read_link(&target).map_err(|error| cannot_write(path, error))?;
                target = folder_of(&target).join(next);
            } else if kind.is_file() {
                return output(Place::File(target));
            } else if kind.is_dir() {
                return refused("a folder");
            } else if is_stream(kind) {
                return output(Place::Stream);
            } else {
                return refused("not a regular file");
            }
        }
        refused("a cycle of symbolic links")
    }

    /// A file in a folder of this program, such as a run folder. Unlike [`Output::named`], it follows no links, because the
    /// folder may come from an untrusted source.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is anything but a regular file.
    pub fn own(path: &Path) -> Result<Output> {
        check_own(path).map_err(|error| cannot_write(path, error).help("remove it"))?;
        Ok(Output {
            named: path.to_path_buf(),
            place: Place::File(path.to_path_buf()),
        })
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.named
    }

    /// The file that is written, at the end of all links. `None` if the output is not a file.
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Stdout(_) | Place::Stream => None,
        }
    }

    /// Whether this is the standard output of the program, where other results must not be printed then.
    pub fn is_stdout(&self) -> bool {
        matches!(self.place, Place::Stdout(_))
    }

    /// Writes the output with `fill`.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be written or the disk is full, and any error of `fill`. A file
    /// that existed is then unchanged.
    pub fn write(&self, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        self.write_with(|file| {
            let mut writer = BufWriter::with_capacity(1 << 20, file);
            fill(&mut writer)?;
            writer
                .flush()
                .map_err(|error| cannot_write(&self.named, error))
        })
    }

    /// Same as [`Output::write`], for large files: see [`write_large_atomically`](super::write_large_atomically).
    ///
    /// # Errors
    ///
    /// Same as [`Output::write`].
    pub fn write_large(&self, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        match &self.place {
            Place::File(path) => {
                sweep_others(folder_of(path));
                replace(path, |file| {
                    keep_permissions(path, file)?;
                    write_in_background(path, file, fill)
                })
            }
            Place::Stdout(_) | Place::Stream => self.write(fill),
        }
    }

    /// Writes a text.
    ///
    /// # Errors
    ///
    /// Same as [`Output::write`].
    pub fn write_text(&self, text: &str) -> Result<()> {
        self.write(|writer| {
            writer
                .write_all(text.as_bytes())
                .map_err(|error| cannot_write(&self.named, error))
        })
    }

    fn write_with(&self, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        match &self.place {
            Place::File(path) => {
                sweep_others(folder_of(path));
                replace(path, |mut file| {
                    keep_permissions(path, file)?;
                    fill(&mut file)
                })
            }
            Place::Stdout(open) => fill(&mut UntilClosed::new(open())),
            Place::Stream => {
                let opened = File::options().write(true).open(&self.named);
                let stream = opened.map_err(|error| cannot_write(&self.named, error))?;
                fill(&mut UntilClosed::new(stream))
            }
        }
    }
}

/// Whether a path is a file descriptor of this process. It may be that of a regular file, opened to append for example, which
/// must not be replaced.
enum OpenFile {
    Stdout,
    Other,
}

fn open_file(path: &Path) -> Option<OpenFile> {
    if !cfg!(unix) {
        return None;
    }
    let text = path.to_str()?;
    match text {
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => Some(OpenFile::Stdout),
        "/dev/stderr" => Some(OpenFile::Other),
        _ => {
            let folders = ["/dev/fd/", "/proc/self/fd/"];
            let is_other = folders.iter().any(|folder| text.starts_with(folder));
            is_other.then_some(OpenFile::Other)
        }
    }
}

/// Whether a file of this kind is written to directly, and not replaced.
fn is_stream(kind: fs::FileType) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        kind.is_fifo() || kind.is_char_device()
    }
    #[cfg(not(unix))]
    {
        let _ = kind;
        false
    }
}

/// Copies the permissions of the replaced file to the new file, and its owner if the user may do that.
fn keep_permissions(path: &Path, file: &File) -> Result<()> {
    let Ok(before) = fs::metadata(path) else {
        return Ok(());
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // Only the superuser may change the owner. Without it, the file belongs to the user who writes it.
        let _ = std::os::unix::fs::fchown(file, Some(before.uid()), Some(before.gid()));
    }
    file.set_permissions(before.permissions())
        .map_err(|error| cannot_write(path, error))
}

/// Discards output after the reader has closed the pipe, as `head` does. That is not an error.
struct UntilClosed<W> {
    inner: W,
    closed: bool,
}

impl<W: Write> UntilClosed<W> {
    fn new(inner: W) -> UntilClosed<W> {
        UntilClosed {
            inner,
            closed: false,
        }
    }

    fn unless_closed(
        &mut self,
        result: std::io::Result<usize>,
        all: usize,
    ) -> std::io::Result<usize> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(all)
            }
            result => result,
        }
    }
}

impl<W: Write> Write for UntilClosed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let written = self.inner.write(bytes);
        self.unless_closed(written, bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.inner.flush().map(|()| 0);
        self.unless_closed(flushed, 0).map(drop)
    }
}
