//! The raw configuration: every value with the place it comes from. Knows which keys exist, not what they mean.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::{DEFAULTS, Named};
use crate::error::{Error, Result};

/// A TOML value, as far as a configuration has any.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Integer(i128),
    Float(f64),
    Flag(bool),
    Text(String),
    List(Vec<Value>),
    /// A date, a table, or a number beyond all bounds: its source text. Nothing takes these.
    Other(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Integer(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value:?}"),
            Value::Flag(value) => write!(f, "{value}"),
            Value::Text(value) => write!(f, "{}", quote(value)),
            Value::List(values) => {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                write!(f, "[{}]", values.join(", "))
            }
            Value::Other(source) => write!(f, "{source}"),
        }
    }
}

/// A string as TOML writes it.
pub fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    Default,
    File { line: usize, column: usize },
    Set,
}

#[derive(Clone, Debug)]
struct Located {
    value: Value,
    place: Source,
}

/// All keys, as `section.key`, with values and places.
#[derive(Debug)]
pub struct Document {
    name: String,
    entries: BTreeMap<String, Located>,
    sections: Vec<String>,
}

impl Document {
    /// Reads TOML text over the defaults. `name` is the file in messages.
    pub fn parse(text: &str, name: &str) -> Result<Document> {
        let mut document = Document {
            name: name.to_owned(),
            entries: BTreeMap::new(),
            sections: Vec::new(),
        };
        for (section, key, located) in document.read(DEFAULTS, &mut |_, _, _| Ok(()))? {
            if !document.sections.contains(&section) {
                document.sections.push(section.clone());
            }
            let located = Located {
                place: Source::Default,
                ..located
            };
            document.entries.insert(format!("{section}.{key}"), located);
        }
        let found = document.read(text, &mut |section, key, place| {
            document.check_known(section, key, place)
        })?;
        for (section, key, located) in found {
            document.entries.insert(format!("{section}.{key}"), located);
        }
        Ok(document)
    }

    /// Applies one override `section.key=value`. The value is TOML, or a bare string where it is not.
    pub fn set(&mut self, text: &str) -> Result<()> {
        let usage = "write --set SECTION.KEY=VALUE, for example --set model.hidden=512";
        let Some((path, value)) = text.split_once('=') else {
            return Err(Error::usage(format!("--set {text}: there is no `=`")).help(usage));
        };
        let path = path.trim();
        let (section, key) = path.split_once('.').unwrap_or(("", path));
        self.check_known(section, Some(key), &format!("--set {text}"))?;
        let value = value.trim();
        let value = match DeValue::parse(value) {
            Ok(parsed) => convert(parsed.get_ref(), &parsed.span(), value),
            // What begins as a string or a list and is none was cut short, as by a shell.
            Err(_) if value.starts_with(['"', '\'', '[']) => {
                return Err(Error::usage(format!("--set {text}: the value is not closed"))
                    .help("close the string or the list, and put quotes for the shell around the whole argument"));
            }
            Err(_) => Value::Text(value.to_owned()),
        };
        self.entries.insert(
            path.to_owned(),
            Located {
                value,
                place: Source::Set,
            },
        );
        Ok(())
    }

    /// The value of a key that exists.
    pub fn field(&self, key: &'static str) -> Field<'_> {
        let Located { value, place } = &self.entries[key];
        let place = match place {
            Source::Default => format!("{}, by default", self.name),
            Source::File { line, column } => format!("{}:{line}:{column}", self.name),
            Source::Set => "--set".to_owned(),
        };
        Field {
            key: key.to_owned(),
            value,
            place,
            listable: false,
        }
    }

    /// Whether a key was given by `--set`.
    pub fn is_override(&self, key: &str) -> bool {
        self.entries[key].place == Source::Set
    }

    /// Reads sections of keys, calling `check` with section, key and place of each before its value is looked at, and
    /// with no key for an empty section.
    #[allow(clippy::type_complexity)]
    fn read(
        &self,
        text: &str,
        check: &mut dyn FnMut(&str, Option<&str>, &str) -> Result<()>,
    ) -> Result<Vec<(String, String, Located)>> {
        let root = DeTable::parse(text).map_err(|error| {
            let (line, column) = position(text, error.span().map_or(0, |span| span.start));
            let message = error.message().replace('\n', ", ");
            Error::usage(format!("{}:{line}:{column}: {message}", self.name))
                .help("a configuration is a TOML file: [section], then key = value, with quotes around text")
        })?;
        let mut found = Vec::new();
        for (section, table) in root.get_ref() {
            let place = self.place(text, &section.span());
            let section = section.get_ref().as_ref();
            let Some(table) = table.get_ref().as_table() else {
                // A key outside of all sections, or a section's name with a plain value.
                check("", Some(section), &place)?;
                return Err(
                    Error::usage(format!("{place}: `{section}` is a section, not a key"))
                        .help(format!("write [{section}] and its keys below")),
                );
            };
            check(section, None, &place)?;
            for (key, value) in table {
                check(section, Some(key.get_ref()), &self.place(text, &key.span()))?;
                let (line, column) = position(text, value.span().start);
                let value = convert(value.get_ref(), &value.span(), text);
                let located = Located {
                    value,
                    place: Source::File { line, column },
                };
                found.push((section.to_owned(), key.get_ref().to_string(), located));
            }
        }
        Ok(found)
    }

    fn place(&self, text: &str, span: &Range<usize>) -> String {
        let (line, column) = position(text, span.start);
        format!("{}:{line}:{column}", self.name)
    }

    /// Refuses a section or key that does not exist, naming the nearest one.
    fn check_known(&self, section: &str, key: Option<&str>, place: &str) -> Result<()> {
        let known_section = self.sections.iter().any(|known| known == section);
        let Some(key) = key else {
            if known_section {
                return Ok(());
            }
            let near = nearest(section, self.sections.iter().map(String::as_str));
            return Err(
                Error::usage(format!("{place}: there is no section [{section}]"))
                    .help(format!("the nearest section is [{near}]")),
            );
        };
        if section.is_empty() && self.sections.iter().any(|known| known == key) {
            return Err(
                Error::usage(format!("{place}: `{key}` is a section, not a key"))
                    .help(format!("its keys are named `{key}.KEY`")),
            );
        }
        if known_section && self.entries.contains_key(&format!("{section}.{key}")) {
            return Ok(());
        }
        let given = if section.is_empty() {
            key.to_owned()
        } else {
            format!("{section}.{key}")
        };
        // The key counts more than the section: `train.hidden` means `model.hidden`.
        let near = self.entries.keys().min_by_key(|known| {
            let (known_section, known_key) = known.split_once('.').unwrap_or(("", known));
            let elsewhere = usize::from(known_section != section);
            2 * strsim::damerau_levenshtein(key, known_key) + elsewhere
        });
        Err(
            Error::usage(format!("{place}: there is no key `{given}`")).help(format!(
                "the nearest key is `{}`",
                near.map_or("", String::as_str)
            )),
        )
    }
}

/// Line and column, from 1, of a byte of the text; columns count characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

fn convert(value: &DeValue<'_>, span: &Range<usize>, text: &str) -> Value {
    let other = || Value::Other(text.get(span.clone()).unwrap_or_default().to_owned());
    match value {
        DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
            .map_or_else(|_| other(), Value::Integer),
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .map_or_else(|_| other(), Value::Float),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::String(string) => Value::Text(string.to_string()),
        DeValue::Array(values) => Value::List(
            values
                .iter()
                .map(|value| convert(value.get_ref(), &value.span(), text))
                .collect(),
        ),
        DeValue::Datetime(_) | DeValue::Table(_) => other(),
    }
}

/// The candidate with the smallest edit distance; empty if there are none.
pub fn nearest<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> &'a str {
    candidates
        .min_by_key(|candidate| {
            // An abbreviation comes before any other mistake.
            let short = given.len() >= 3 && candidate.starts_with(given);
            let part = !given.is_empty() && given.ends_with(candidate);
            (
                !short && !part,
                strsim::damerau_levenshtein(given, candidate),
            )
        })
        .unwrap_or("")
}

/// One value on its way into the resolved configuration. Every refusal names place, key, value and what is allowed.
pub struct Field<'a> {
    key: String,
    value: &'a Value,
    place: String,
    /// Whether a list with one value for each layer would do too.
    listable: bool,
}

impl Field<'_> {
    /// The refusal of this value.
    pub fn refuse(&self, allowed: impl fmt::Display) -> Error {
        Error::usage(format!(
            "{}: `{}` cannot be {}",
            self.place, self.key, self.value
        ))
        .help(format!(
            "`{}` takes {allowed}{}",
            self.key,
            if self.listable {
                ", or a list in brackets with one for each layer"
            } else {
                ""
            }
        ))
    }

    /// The refusal of this value for what it is together with others.
    pub fn conflict(&self, reason: impl fmt::Display, help: &str) -> Error {
        Error::usage(format!(
            "{}: `{}` cannot be {}: {reason}",
            self.place, self.key, self.value
        ))
        .help(help)
    }

    /// The values for each layer: a list must have one for each, anything else holds for all.
    pub fn per_layer(&self, layers: usize) -> Result<Vec<Field<'_>>> {
        let Value::List(values) = self.value else {
            let all = |_| Field {
                key: self.key.clone(),
                value: self.value,
                place: self.place.clone(),
                listable: true,
            };
            return Ok((0..layers).map(all).collect());
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
            place: self.place.clone(),
            listable: false,
        };
        Ok(values.iter().enumerate().map(one).collect())
    }

    /// An integer within bounds.
    pub fn integer(&self, least: u64, most: u64) -> Result<u64> {
        match self.value {
            Value::Integer(value) if (i128::from(least)..=i128::from(most)).contains(value) => {
                Ok(*value as u64)
            }
            _ => Err(self.refuse(format!("an integer from {least} to {most}"))),
        }
    }

    /// An integer within bounds, as a size.
    pub fn size(&self, least: usize, most: usize) -> Result<usize> {
        Ok(self.integer(least as u64, most as u64)? as usize)
    }

    /// A finite number for which `accept` holds.
    pub fn number(&self, allowed: &str, accept: impl Fn(f64) -> bool) -> Result<f64> {
        let number = match self.value {
            Value::Integer(value) => *value as f64,
            Value::Float(value) => *value,
            _ => return Err(self.refuse(allowed)),
        };
        if !number.is_finite() || !accept(number) {
            return Err(self.refuse(allowed));
        }
        // Negative zero is zero, so that writing and reading give the same text.
        Ok(number + 0.0)
    }

    /// True or false.
    pub fn flag(&self) -> Result<bool> {
        match self.value {
            Value::Flag(flag) => Ok(*flag),
            _ => Err(self.refuse("true or false")),
        }
    }

    /// One of the names of an enumeration.
    pub fn choice<T: Named>(&self) -> Result<T> {
        self.one_of(T::ALL)
    }

    /// One of these names.
    pub fn one_of<T: Copy>(&self, all: &[(&'static str, T)]) -> Result<T> {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let Value::Text(given) = self.value else {
            return Err(self.refuse(format!("one of {}", names.join(", "))));
        };
        match all.iter().find(|(name, _)| name == given) {
            Some((_, value)) => Ok(*value),
            None => {
                let near = nearest(given, names.iter().copied());
                // What has little in common, as f16 and f32, was not mistyped.
                let alike =
                    2 * strsim::damerau_levenshtein(given, near) <= near.len().max(given.len());
                let near = match alike {
                    true => format!("; the nearest is {near}"),
                    false => String::new(),
                };
                Err(self.refuse(format!("one of {}{near}", names.join(", "))))
            }
        }
    }

    /// A text; a single one also stands for a list of one.
    pub fn texts(&self) -> Result<Vec<&str>> {
        let values = match self.value {
            Value::List(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let mut texts = Vec::new();
        for value in values {
            match value {
                Value::Text(text) if !text.is_empty() && !text.contains('\0') => {
                    texts.push(text.as_str())
                }
                _ => return Err(self.refuse("a list of paths or patterns in quotes")),
            }
        }
        Ok(texts)
    }

    /// A path in quotes; empty: none.
    pub fn path(&self) -> Result<Option<&str>> {
        match self.value {
            Value::Text(text) if text.is_empty() => Ok(None),
            Value::Text(text) if !text.contains('\0') => Ok(Some(text)),
            _ => Err(self.refuse("a path in quotes")),
        }
    }
}
