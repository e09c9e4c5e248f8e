//! A kind of file that is not text.

use std::path::Path;

use crate::error::{Error, Kind, command_line, quoted};

/// A kind of file that cannot be read as text.
pub(super) struct Foreign {
    /// Worded to follow "it is".
    pub(super) what: &'static str,
    /// The command that converts it, where `{}` is the name of the file. `None` if it contains no text that a command could
    /// extract.
    pub(super) command: Option<&'static str>,
}

impl Foreign {
    /// The error for a file of this kind.
    pub(super) fn error(&self, name: &str, kind: Kind) -> Error {
        let what = self.what;
        Error::new(
            kind,
            format!("`{name}` cannot be read as text: it is {what}"),
        )
        .help(self.help(name))
    }

    /// How to convert a file of this kind.
    pub(super) fn help(&self, name: &str) -> String {
        let Some(command) = self.command else {
            return "only plain text in UTF-8 can be read: save the text of the file with the program that wrote it, or name another file"
                .to_owned();
        };
        // Standard input has no path that a command could read.
        let file = if Path::new(name).exists() {
            quoted(name)
        } else {
            "FILE".to_owned()
        };
        let command = command.replace("{}", &file);
        format!("convert it first with{}", command_line(&command))
    }
}

/// Whether this is UTF-8, possibly cut in the last character.
pub(super) fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}
