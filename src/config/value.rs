//! Values of TOML.

use std::fmt;
use std::ops::Range;

use toml::de::DeValue;

/// A TOML value of a kind that a key can take.
#[derive(Clone, Debug, PartialEq)]
pub enum TomlValue {
    /// A whole number.
    Integer(i128),
    /// A floating-point number.
    Float(f64),
    /// True or false.
    Flag(bool),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<TomlValue>),
    /// The source text of anything else: a date, a table, an integer past 128 bits. No key accepts these.
    Other(String),
}

impl TomlValue {
    /// Parses a single value. None if the text is not TOML.
    pub fn parse(text: &str) -> Option<TomlValue> {
        let parsed = DeValue::parse(text).ok()?;
        Some(TomlValue::from_toml(parsed.get_ref(), &parsed.span(), text))
    }

    /// Converts a parsed value at `span` of `text`.
    pub fn from_toml(value: &DeValue<'_>, span: &Range<usize>, text: &str) -> TomlValue {
        let other = || TomlValue::Other(text.get(span.clone()).unwrap_or_default().to_owned());
        match value {
            DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
                .map_or_else(|_| other(), TomlValue::Integer),
            DeValue::Float(float) => float
                .as_str()
                .parse()
                .map_or_else(|_| other(), TomlValue::Float),
            DeValue::Boolean(flag) => TomlValue::Flag(*flag),
            DeValue::String(string) => TomlValue::Text(string.to_string()),
            DeValue::Array(values) => TomlValue::List(
                values
                    .iter()
                    .map(|value| TomlValue::from_toml(value.get_ref(), &value.span(), text))
                    .collect(),
            ),
            DeValue::Datetime(_) | DeValue::Table(_) => other(),
        }
    }
}

impl fmt::Display for TomlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TomlValue::Integer(value) => write!(f, "{value}"),
            TomlValue::Float(value) => write!(f, "{value:?}"),
            TomlValue::Flag(value) => write!(f, "{value}"),
            TomlValue::Text(value) => write!(f, "{}", quote(value)),
            TomlValue::List(values) => {
                let values: Vec<String> = values.iter().map(TomlValue::to_string).collect();
                write!(f, "[{}]", values.join(", "))
            }
            TomlValue::Other(source) => write!(f, "{source}"),
        }
    }
}

/// A string as TOML writes it.
pub fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
