//! A value on its way from the document to the typed configuration, and how it is refused.

use std::fmt;
use std::path::{Path, PathBuf};

use super::paths;
use super::value::TomlValue;
use crate::error::{Error, Result};
use crate::printable::shortened;

/// The value of a key, and where it was given. Errors name the location, the key, the value and the allowed values.
pub struct Field<'a> {
    /// The key, as `section.key`.
    pub key: String,
    /// The value.
    pub value: &'a TomlValue,
    /// Where the value was given, for messages.
    pub location: String,
    /// Whether `--set` gave the value.
    pub is_override: bool,
    /// Whether the key also accepts a list with one value for each layer.
    pub is_per_layer: bool,
    /// The folder that relative paths are relative to.
    pub folder: &'a Path,
}

impl Field<'_> {
    /// The value for messages, at most 200 characters.
    fn shown(&self) -> String {
        shortened(&self.value.to_string(), 200).into_owned()
    }

    /// The error for a value that is not allowed.
    pub fn refuse(&self, allowed: impl fmt::Display) -> Error {
        let list = if self.is_per_layer {
            ", or a list in brackets with one for each layer"
        } else {
            ""
        };
        Error::usage(format!(
            "{}: `{}` cannot be {}",
            self.location,
            self.key,
            self.shown()
        ))
        .help(format!("`{}` takes {allowed}{list}", self.key))
    }

    /// The error for a value that is not allowed together with others.
    pub fn conflict(&self, reason: impl fmt::Display, help: &str) -> Error {
        Error::usage(format!(
            "{}: `{}` cannot be {}: {reason}",
            self.location,
            self.key,
            self.shown()
        ))
        .help(help)
    }

    /// The values for each layer. A list has one for each; any other value applies to all layers.
    pub fn per_layer(&self, layers: usize) -> Result<Vec<Field<'_>>> {
        let TomlValue::List(values) = self.value else {
            let shared = |_| Field {
                key: self.key.clone(),
                value: self.value,
                location: self.location.clone(),
                is_per_layer: true,
                ..*self
            };
            return Ok((0..layers).map(shared).collect());
        };
        if values.len() != layers {
            return Err(self.conflict(
                format_args!(
                    "it has {} values, and `model.layers` is {layers}",
                    values.len()
                ),
                "give one value for all layers, or a list with one for each",
            ));
        }
        let one = |(layer, value)| Field {
            key: format!("{}[{layer}]", self.key),
            value,
            location: self.location.clone(),
            is_per_layer: false,
            ..*self
        };
        Ok(values.iter().enumerate().map(one).collect())
    }

    /// The absolute path of a path or pattern in this value.
    pub fn absolute(&self, path: &str) -> PathBuf {
        paths::resolve(self.folder, path, self.is_override)
    }
}
