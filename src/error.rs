//! The one error type of the crate: what went wrong, why, and what to do about it.
//!
//! A leaf: nothing of the crate is imported here. [`Kind`] decides the exit code of the program (the README, section
//! *Exit codes*), the message and its causes form one chain, and the help says what the user can do.

use std::fmt;

/// The class of a failure. Each has its own exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything that has no class of its own. Exit code 1.
    Other,
    /// Wrong command line or configuration, found before any work. Exit code 2.
    Usage,
    /// A corpus, vocabulary, parameter file, checkpoint or run folder that cannot be used. Exit code 3.
    Data,
    /// No such device, or the device is out of memory or lost. Exit code 4.
    Device,
    /// The loss or a gradient is no longer finite. Exit code 5.
    Diverged,
    /// A kernel disagrees with its reference. Exit code 6.
    Mismatch,
    /// Stopped by SIGINT after saving. Exit code 130.
    Interrupted,
    /// Stopped by SIGTERM after saving. Exit code 143.
    Terminated,
}

impl Kind {
    /// All classes, the most specific failures first.
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

    /// The exit code of the program for a failure of this class.
    pub fn exit_code(self) -> u8 {
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

/// Who knows of a failure, where several processes do one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// This process.
    Here,
    /// All of them, and this one tells the user.
    ToTell,
    /// All of them, and another one tells the user.
    Told,
}

/// A failure as the user meets it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    help: Option<String>,
    known: Known,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything that can fail because of what a user, a file or a device did.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of class `kind`. The message says what was wrong and where.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            help: None,
            known: Known::Here,
            source: None,
        }
    }

    /// Wrong command line or configuration (exit code 2).
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// An unusable corpus, vocabulary, checkpoint or run folder (exit code 3).
    pub fn data(message: impl Into<String>) -> Error {
        Error::new(Kind::Data, message)
    }

    /// No such device, out of its memory, or lost (exit code 4).
    pub fn device(message: impl Into<String>) -> Error {
        Error::new(Kind::Device, message)
    }

    /// Says what to do about it. The outermost help is the one shown.
    pub fn help(mut self, help: impl Into<String>) -> Error {
        self.help = Some(help.into());
        self
    }

    /// Names the cause, shown after the message.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// Wraps this failure in an outer message; class and help stay.
    pub fn context(self, message: impl Into<String>) -> Error {
        let (kind, help, known) = (self.kind, self.help.clone(), self.known);
        Error {
            kind,
            message: message.into(),
            help,
            known,
            source: Some(Box::new(self)),
        }
    }

    /// Of several processes that do one job all know of this failure, at the same place; this one is the one to tell of it, or is
    /// not.
    pub fn shared(mut self, tells: bool) -> Error {
        self.known = match tells {
            true => Known::ToTell,
            false => Known::Told,
        };
        self
    }

    /// Whether all processes of the job know of it, or none knows that this one has failed.
    pub fn is_shared(&self) -> bool {
        self.known != Known::Here
    }

    /// Whether this process is to tell the user.
    pub fn is_to_tell(&self) -> bool {
        self.known != Known::Told
    }

    /// The class of the failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The chain as `main` prints it: message, causes, help, one a line.
    pub fn chain(&self) -> Chain<'_> {
        Chain(self)
    }
}

/// Displays an [`Error`] with its causes and its help.
pub struct Chain<'a>(&'a Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was asked for is no failure.
        match self.0.kind {
            Kind::Interrupted | Kind::Terminated => write!(f, "stopped: {}", self.0)?,
            _ => write!(f, "error: {}", self.0)?,
        }
        let mut cause = std::error::Error::source(self.0);
        while let Some(error) = cause {
            write!(f, "\n  because: {error}")?;
            cause = error.source();
        }
        if let Some(help) = &self.0.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// A word as a shell takes it, for commands in messages.
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
    fn chain_ends_in_the_help() {
        let inner = Error::data("cannot read `a.txt`")
            .because("permission denied")
            .help("check the rights of the file");
        let outer = inner.context("cannot load the vocabulary");
        assert_eq!(
            outer.chain().to_string(),
            "error: cannot load the vocabulary\n  because: cannot read `a.txt`\n  because: permission denied\n  help: check the rights of the file"
        );
        assert_eq!(outer.kind().exit_code(), 3);
    }
}
