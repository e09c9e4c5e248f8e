//! A number that can also be `"auto"`.

use std::ops::RangeInclusive;

use super::field::Field;
use super::setting::KeyValue;
use super::value::{TomlValue, quote};

/// A number, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Automatic {
    /// `"auto"`: the program chooses the number.
    Auto,
    /// A given number.
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
