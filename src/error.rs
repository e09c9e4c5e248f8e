//! The error type of the crate: what is wrong, why, and what to do about it.
//!
//! [`Kind`] decides the exit code of the program (`wlstm help exit-codes`). The message and its causes form a
//! chain. The help says what the user can do.

use std::fmt;

/// The kind of an error. Each kind has its own exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any error without a more specific kind. Exit code 1.
    Other,
    /// Invalid command line or configuration, found before any work. Exit code 2.
    Usage,
    /// A corpus, vocabulary, parameter file, checkpoint or run folder that cannot be used. Exit code 3.
    Data,
    /// There is no such device, it is lost or out of memory, host memory is exhausted, or a thread cannot be started. Exit code
    /// 4.
    Device,
    /// The loss or a gradient is no longer finite. Exit code 5.
    Diverged,
    /// A kernel disagrees with its reference. Exit code 6.
    Mismatch,
    /// Stopped by SIGINT after saving. Exit code 130.
    Interrupted,
    /// Stopped by SIGTERM or SIGHUP after saving. Exit code 143.
    Terminated,
}

impl Kind {
    /// All kinds, the most specific errors first.
    pub const ALL: [Kind; 8] = [
        Kind::Mismatch,
        Kind::Usage,
        Kind::Data,
        Kind::Device,
        Kind::Other,
        Kind::Diverged,
        Kind::Terminated,
        Kind::Interrupted,
    ];

    /// The exit code of the program for an error of this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Kind::Other => 1,
            Kind::Usage => 2,
            Kind::Data => 3,
            Kind::Device => 4,
            Kind::Diverged => 5,
            Kind::Mismatch => 6,
            Kind::Interrupted => 130,
            Kind::Terminated => 143,
        }
    }
}

/// Which processes of a job know of an error, and which one reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reporting {
    /// Only this process knows of it.
    Local,
    /// All processes know of it, and this one reports it.
    Here,
    /// All processes know of it, and another one reports it.
    Elsewhere,
}

/// An error, as it is shown to the user. `Debug` writes the message, the causes and the help: what the runtime prints
/// if `main` returns the error.
#[derive(thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    help: Option<String>,
    reporting: Reporting,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of an operation that can fail because of a user, a file or a device.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind. The message says what is wrong and where.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            help: None,
            reporting: Reporting::Local,
            source: None,
        }
    }

    /// Invalid command line or configuration (exit code 2).
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// An unusable corpus, vocabulary, checkpoint or run folder (exit code 3).
    pub fn data(message: impl Into<String>) -> Error {
        Error::new(Kind::Data, message)
    }

    /// No such device, out of device memory, or device lost (exit code 4).
    pub fn device(message: impl Into<String>) -> Error {
        Error::new(Kind::Device, message)
    }

    /// The operating system cannot start a thread (exit code 4).
    pub fn no_thread(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::device("cannot start a thread").because(cause).help(
            "raise the limits on processes and memory (`ulimit -u`, `ulimit -v`), or use fewer threads: RAYON_NUM_THREADS=1",
        )
    }

    /// Sets what the user can do. Only the help of the outermost error is shown.
    pub fn help(mut self, help: impl Into<String>) -> Error {
        self.help = Some(help.into());
        self
    }

    /// Replaces the message. Kind, cause and help stay the same.
    pub fn saying(mut self, message: impl Into<String>) -> Error {
        self.message = message.into();
        self
    }

    /// Sets the cause, which is shown after the message.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// Wraps this error in an outer message. Kind and help stay the same.
    pub fn context(self, message: impl Into<String>) -> Error {
        let (kind, help, reporting) = (self.kind, self.help.clone(), self.reporting);
        Error {
            kind,
            message: message.into(),
            help,
            reporting,
            source: Some(Box::new(self)),
        }
    }

    /// Marks an error that all processes of a distributed job have, at the same point of their work.
    /// `reports`: whether this process reports it to the user.
    pub fn shared(mut self, reports: bool) -> Error {
        self.reporting = if reports {
            Reporting::Here
        } else {
            Reporting::Elsewhere
        };
        self
    }

    /// Whether all processes of the job have this error. If not, the others do not know that this one has failed.
    pub fn is_shared(&self) -> bool {
        self.reporting != Reporting::Local
    }

    /// Whether this process reports the error to the user.
    pub fn is_reported_here(&self) -> bool {
        self.reporting != Reporting::Elsewhere
    }

    /// The kind of the error.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message, the causes and the help, each on its own line, as the program prints them.
    pub fn chain(&self) -> Chain<'_> {
        Chain(self)
    }
}

/// The text of [`Error::chain`] without its first word, as the runtime writes `Error: ` before it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shortened(self.to_string()))?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, "\n  because: {}", shortened(error.to_string()))?;
            cause = error.source();
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// The longest message or cause that is shown in full, in bytes. Messages that quote a file can have any length.
const LONGEST: usize = 4000;

/// The message; if it is very long, without its middle.
fn shortened(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let begin = text.floor_char_boundary(LONGEST / 2);
    let end = text.ceil_char_boundary(text.len() - LONGEST / 2);
    let (first, last) = (&text[..begin], &text[end..]);
    format!("{first} ({} bytes left out) {last}", end - begin)
}

/// Displays an [`Error`] with its causes and its help.
pub struct Chain<'a>(&'a Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The user asked to stop, so this is not called an error.
        let label = match self.0.kind {
            Kind::Interrupted | Kind::Terminated => "stopped",
            _ => "error",
        };
        write!(f, "{label}: {:?}", self.0)
    }
}

/// A command in a message, on a line of its own that is never wrapped, so that it can be copied.
pub fn command_line(command: &str) -> String {
    format!("\n    {command}")
}

/// Quotes a word for a shell, for commands in messages.
pub fn quoted(word: &str) -> String {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:,=@%".contains(&byte) || byte > 127;
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_ends_with_the_help() {
        let inner = Error::data("cannot read `a.txt`")
            .because("permission denied")
            .help("check the permissions of the file");
        let outer = inner.context("cannot load the vocabulary");
        assert_eq!(
            outer.chain().to_string(),
            "error: cannot load the vocabulary\n  because: cannot read `a.txt`\n  because: permission denied\n  help: check the permissions of the file"
        );
        assert_eq!(format!("error: {outer:?}"), outer.chain().to_string());
        assert_eq!(outer.kind().exit_code(), 3);
    }

    #[test]
    fn a_quoted_file_does_not_flood_the_terminal() {
        let long = "\u{e9}".repeat(1_000_000);
        let error = Error::data(format!("`{long}` cannot be used")).because(long);
        let chain = error.chain().to_string();
        assert!(chain.len() < 2 * LONGEST + 200, "{} bytes", chain.len());
        assert!(chain.starts_with("error: `\u{e9}"), "{chain}");
        assert!(chain.contains("bytes left out"), "{chain}");
    }
}
