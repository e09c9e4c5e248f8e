//! The configuration as TOML text, and its digest.

use super::document::WRITTEN;
use super::key::Key;
use super::resolved::{Config, ENTRIES};
use crate::digest::Fnv1a;

impl Config {
    /// The configuration as TOML, with every key that has an effect. Reading the text gives the identical configuration,
    /// wherever the file is.
    pub fn to_toml(&self) -> String {
        let mut text = String::from(WRITTEN);
        let mut section = "";
        for entry in ENTRIES.iter() {
            if entry.key.section != section {
                section = entry.key.section;
                text += &format!("[{section}]\n");
            }
            if let Some(value) = entry.written(self) {
                text += &format!("{} = {value}\n", entry.key.name);
            }
        }
        text
    }

    /// The keys that have an effect, such as `model.hidden`, with their values as TOML.
    pub fn values(&self) -> impl Iterator<Item = (&Key, String)> {
        ENTRIES
            .iter()
            .filter_map(|entry| Some((&entry.key, entry.written(self)?)))
    }

    /// Sixteen hexadecimal digits that are equal for equal configurations: the digest of the TOML text.
    pub fn digest(&self) -> String {
        format!("{:016x}", Fnv1a::of(self.to_toml().bytes()).value())
    }
}
