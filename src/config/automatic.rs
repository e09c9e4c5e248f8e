//! A number that the configuration gives, or leaves to the program.

use std::ops::RangeInclusive;

use super::field::Field;
use super::setting::KeyValue;
use super::value::{TomlValue, quote};

/// A number, or `"auto"`: the program chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Automatic {
    /// The program chooses.
    Auto,
    /// This number.
    Given(u64),
}

/// The text that stands for [`Automatic::Auto`].
const AUTO: &str = "auto";

impl KeyValue for Automatic {
    type Rule = RangeInclusive<u64>;

    fn parse(field: &Field<'_>, rule: &Self::Rule) -> Option<Automatic> {
        match field.value {
            TomlValue::Text(text) if text == AUTO => Some(Automatic::Auto),
            _ => u64::parse(field, rule).map(Automatic::Given),
        }
    }

    fn to_toml(&self) -> Option<String> {
        match self {
            Automatic::Auto => Some(quote(AUTO)),
            Automatic::Given(number) => number.to_toml(),
        }
    }

    fn allowed(rule: &Self::Rule) -> String {
        format!("\"{AUTO}\", or {}", u64::allowed(rule))
    }
}
