//! The raw configuration: every value with the location it was given at. It refuses unknown keys, but does
//! not interpret known ones.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::absent::{absent, plain};
use super::field::Field;
use super::key::Key;
use super::nearest::{is_close, near};
use super::value::TomlValue;
use crate::error::{Error, Result, quoted};
use crate::printable::shortened;

/// The maximum number of characters of a name or a value that a message shows.
const SHOWN: usize = 200;

/// The first line of a resolved configuration.
pub const WRITTEN: &str = "# The resolved configuration of a run, written by wlstm.\n";

/// Where a value was given.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    Default,
    File { line: usize, column: usize },
    Override,
}

#[derive(Clone, Debug)]
struct Located {
    value: TomlValue,
    source: Source,
}

/// All keys, as `section.key`, with their values.
#[derive(Debug)]
pub struct Document {
    name: String,
    folder: PathBuf,
    entries: BTreeMap<String, Located>,
    sections: Vec<&'static str>,
    /// Names of keys in other programs, each with the path of the key.
    known_as: Vec<(&'static str, String)>,
    is_written: bool,
}

/// The item at a location of a file: a section, or a key in one.
struct Found {
    path: String,
    located: Located,
}

impl Document {
    /// Reads TOML text over the defaults of all known keys. `name` is the file in messages; relative paths are relative
    /// to `folder`.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if the text is not TOML or has an unknown key.
    pub fn parse<'a>(
        text: &str,
        name: &str,
        folder: &Path,
        keys: impl Iterator<Item = &'a Key>,
    ) -> Result<Document> {
        let mut document = Document {
            name: name.to_owned(),
            folder: folder.to_path_buf(),
            entries: BTreeMap::new(),
            sections: Vec::new(),
            known_as: Vec::new(),
            is_written: text.starts_with(WRITTEN),
        };
        for key in keys {
            document.sections.push(key.section);
            let value = TomlValue::parse(&key.default);
            let located = Located {
                value: value.unwrap_or_else(|| TomlValue::Other(key.default.clone())),
                source: Source::Default,
            };
            let names = key.known_as.iter().map(|name| (*name, key.path()));
            document.known_as.extend(names);
            document.entries.insert(key.path(), located);
        }
        document.sections.sort_unstable();
        document.sections.dedup();
        for found in document.read(text)? {
            document.entries.insert(found.path, found.located);
        }
        Ok(document)
    }

    /// Applies an override `section.key=value`. The value is TOML; anything else is taken as a string.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if the text is not an override or its key is unknown.
    pub fn set(&mut self, text: &str) -> Result<()> {
        let usage = "write --set SECTION.KEY=VALUE, for example --set model.hidden=512";
        let location = format!("--set {}", shortened(text, SHOWN));
        let Some((path, value)) = text.split_once('=') else {
            return Err(Error::usage(format!("{location}: there is no `=`")).help(usage));
        };
        let path = path.trim();
        let (section, key) = path.split_once('.').unwrap_or(("", path));
        self.check_key(section, key, &location)?;
        let value = value.trim();
        let value = match TomlValue::parse(value) {
            Some(value) => value,
            // A string or list that does not end was most likely cut short by the shell.
            None if value.starts_with(['"', '\'', '[']) => {
                return Err(
                    Error::usage(format!("{location}: the string or list is not closed"))
                        .help("close it, and quote the whole argument for the shell"),
                );
            }
            None => TomlValue::Text(value.to_owned()),
        };
        let source = Source::Override;
        self.entries
            .insert(path.to_owned(), Located { value, source });
        Ok(())
    }

    /// Whether the text is the resolved configuration of a run. A missing key then has no effect, or the version that wrote the
    /// text did not have it.
    pub fn is_written(&self) -> bool {
        self.is_written
    }

    /// The value of a known key.
    ///
    /// # Panics
    ///
    /// If the key is unknown.
    pub fn field(&self, key: &str) -> Field<'_> {
        let Located { value, source } = &self.entries[key];
        Field {
            key: key.to_owned(),
            value,
            location: match source {
                Source::Default => format!("{}, by default", self.name),
                Source::File { line, column } => format!("{}:{line}:{column}", self.name),
                Source::Override => "--set".to_owned(),
            },
            is_override: *source == Source::Override,
            is_per_layer: false,
            folder: &self.folder,
        }
    }

    /// Reads the sections of a TOML text. Keys are checked in the order of the text, each before its value.
    fn read(&self, text: &str) -> Result<Vec<Found>> {
        let root = DeTable::parse(text).map_err(|error| {
            let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
            let message = shortened(error.message(), SHOWN).replace('\n', ", ");
            Error::usage(format!("{}:{line}:{column}: {message}", self.name))
                .help(if [".toml", ".safetensors"].iter().any(|end| self.name.ends_with(end)) {
                    "a configuration is a TOML file: [section], then key = value, with quotes around text".to_owned()
                } else {
                    format!(
                        "a configuration is a TOML file; to train on a text, start from an example: `wlstm train configs/text.toml \
                         --set data.train={}`",
                        quoted(&self.name)
                    )
                })
        })?;
        let mut found = Vec::new();
        for (section, table) in root.get_ref() {
            let location = self.location(text, &section.span());
            let section = section.get_ref().as_ref();
            let Some(table) = table.get_ref().as_table() else {
                // A key outside of all sections, or the name of a section with a plain value.
                self.check_key("", section, &location)?;
                return Err(is_a_section(section, &location)
                    .help(format!("write [{section}] and its keys below")));
            };
            self.check_section(section, &location)?;
            for (key, value) in table {
                self.check_key(section, key.get_ref(), &self.location(text, &key.span()))?;
                let (line, column) = line_and_column(text, value.span().start);
                found.push(Found {
                    path: format!("{section}.{}", key.get_ref()),
                    located: Located {
                        value: TomlValue::from_toml(value.get_ref(), &value.span(), text),
                        source: Source::File { line, column },
                    },
                });
            }
        }
        Ok(found)
    }

    fn location(&self, text: &str, span: &Range<usize>) -> String {
        let (line, column) = line_and_column(text, span.start);
        format!("{}:{line}:{column}", self.name)
    }

    /// Refuses an unknown section.
    fn check_section(&self, section: &str, location: &str) -> Result<()> {
        if self.sections.contains(&section) {
            return Ok(());
        }
        let help = match near(section, self.sections.iter().copied()) {
            Some(near) => format!("the nearest section is [{near}]"),
            None => LISTED.to_owned(),
        };
        let section = shortened(section, SHOWN);
        Err(Error::usage(format!("{location}: there is no section [{section}]")).help(help))
    }

    /// Refuses an unknown key. The section is empty for a key outside of all sections.
    fn check_key(&self, section: &str, key: &str, location: &str) -> Result<()> {
        if section.is_empty() && self.sections.contains(&key) {
            return Err(is_a_section(key, location).help(format!("its keys are named `{key}.KEY`")));
        }
        let path = if section.is_empty() {
            key.to_owned()
        } else {
            format!("{section}.{key}")
        };
        if self.entries.contains_key(&path) {
            return Ok(());
        }
        let refused = |help: String| {
            let path = shortened(&path, SHOWN);
            Err(Error::usage(format!("{location}: there is no key `{path}`")).help(help))
        };
        let name = plain(key);
        // Names such as `type` belong to several sections.
        let is_elsewhere = |path: &String| path.split_once('.').is_none_or(|(of, _)| of != section);
        let known = self.known_as.iter().filter(|(known, _)| *known == name);
        if let Some((_, path)) = known.min_by_key(|(_, path)| is_elsewhere(path)) {
            return refused(format!("the key is called `{path}`"));
        }
        // A known key, spelt with dashes or capitals.
        let spelt = |known: &&String| {
            known
                .split_once('.')
                .is_some_and(|(_, known)| known == name)
        };
        let is_spelt = self.entries.keys().any(|known| spelt(&known));
        if let Some(text) = absent(&name).filter(|_| !is_spelt) {
            return refused(text);
        }
        // The name matters more than the section: `train.hidden` means `model.hidden`.
        let known = self.entries.keys().filter_map(|known| {
            let (known_section, known_key) = known.split_once('.').unwrap_or(("", known));
            let is_elsewhere = usize::from(known_section != section);
            // `emb` is the beginning of `embedding` rather than a misspelt `ema`.
            let is_start = name.len() >= 3 && known_key.starts_with(&name);
            is_close(&name, known_key).then(|| {
                let distance = 2 * strsim::damerau_levenshtein(&name, known_key) + is_elsewhere;
                (!is_start, distance, known)
            })
        });
        let help = match known.min() {
            Some((_, _, near)) => format!("the nearest key is `{near}`"),
            None => LISTED.to_owned(),
        };
        refused(help)
    }
}

/// The help for a name that resembles no key.
const LISTED: &str = "`wlstm help configuration` lists the keys";

fn is_a_section(name: &str, location: &str) -> Error {
    Error::usage(format!("{location}: `{name}` is a section, not a key"))
}

/// The line and the column of a byte of the text, both from 1. Columns count characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}
