//! The types that values of keys can have: how each is parsed and written, and what a key declares of its value.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::field::Field;
use super::key::Resume;
use super::named::Named;
use super::nearest::near;
use super::value::{TomlValue, quote};
use crate::error::Result;

/// What a key declares of its value.
pub struct Setting<T: KeyValue> {
    /// The value of a configuration that leaves the key out.
    pub default: T,
    /// The allowed values.
    pub rule: T::Rule,
    /// Whether the value may change when a run is resumed.
    pub resume: Resume,
}

/// A type of values.
pub trait KeyValue: Sized {
    /// The type that describes which values are allowed.
    type Rule;

    /// The value of a field. None if it is not allowed.
    fn parse(field: &Field<'_>, rule: &Self::Rule) -> Option<Self>;

    /// The value as TOML. None if it is written by leaving the key out.
    fn to_toml(&self) -> Option<String>;

    /// The allowed values, to follow "takes".
    fn allowed(rule: &Self::Rule) -> String;

    /// What to add to [`allowed`](KeyValue::allowed) for a value that was refused.
    fn hint(_refused: &TomlValue) -> String {
        String::new()
    }

    /// The name and the documentation of each value, if these have names.
    fn values() -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The value of a field.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if it is not allowed.
    fn read(field: &Field<'_>, rule: &Self::Rule) -> Result<Self> {
        Self::parse(field, rule)
            .ok_or_else(|| field.refuse(Self::allowed(rule) + &Self::hint(field.value)))
    }
}

impl KeyValue for u64 {
    type Rule = RangeInclusive<u64>;

    fn parse(field: &Field<'_>, rule: &Self::Rule) -> Option<u64> {
        match field.value {
            TomlValue::Integer(value) => u64::try_from(*value).ok().filter(|n| rule.contains(n)),
            _ => None,
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn allowed(rule: &Self::Rule) -> String {
        format!("an integer from {} to {}", rule.start(), rule.end())
    }
}

impl KeyValue for usize {
    type Rule = RangeInclusive<usize>;

    fn parse(field: &Field<'_>, rule: &Self::Rule) -> Option<usize> {
        match field.value {
            TomlValue::Integer(value) => usize::try_from(*value).ok().filter(|n| rule.contains(n)),
            _ => None,
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn allowed(rule: &Self::Rule) -> String {
        format!("an integer from {} to {}", rule.start(), rule.end())
    }
}

/// Which lists of increasing integers are allowed.
pub struct Rising {
    /// The maximum number of integers.
    pub most: usize,
    /// The allowed integers.
    pub range: RangeInclusive<usize>,
}

/// Increasing integers. A single integer is a list of one.
impl KeyValue for Vec<usize> {
    type Rule = Rising;

    fn parse(field: &Field<'_>, rule: &Rising) -> Option<Vec<usize>> {
        let values = match field.value {
            TomlValue::List(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let integer = |value: &TomlValue| match value {
            TomlValue::Integer(value) => usize::try_from(*value)
                .ok()
                .filter(|n| rule.range.contains(n)),
            _ => None,
        };
        let values: Vec<usize> = values.iter().map(integer).collect::<Option<_>>()?;
        let rises = values.windows(2).all(|pair| pair[0] < pair[1]);
        (rises && values.len() <= rule.most).then_some(values)
    }

    fn to_toml(&self) -> Option<String> {
        let values: Vec<String> = self.iter().map(usize::to_string).collect();
        Some(format!("[{}]", values.join(", ")))
    }

    fn allowed(rule: &Rising) -> String {
        let (most, range) = (rule.most, &rule.range);
        format!(
            "an increasing list of at most {most} integers from {} to {}",
            range.start(),
            range.end()
        )
    }
}

/// Which finite numbers are allowed.
pub struct Numbers {
    /// In words, to follow "takes".
    pub allowed: &'static str,
    /// Whether a number is among them.
    pub contains: fn(f64) -> bool,
}

impl KeyValue for f64 {
    type Rule = Numbers;

    fn parse(field: &Field<'_>, rule: &Numbers) -> Option<f64> {
        let number = match field.value {
            TomlValue::Integer(value) => *value as f64,
            TomlValue::Float(value) => *value,
            _ => return None,
        };
        // Adding 0 turns -0 into 0, so that writing and reading give the same text.
        (number.is_finite() && (rule.contains)(number)).then_some(number + 0.0)
    }

    /// The shortest digits that give the same number back.
    fn to_toml(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }

    fn allowed(rule: &Numbers) -> String {
        rule.allowed.to_owned()
    }
}

impl KeyValue for bool {
    type Rule = ();

    fn parse(field: &Field<'_>, (): &()) -> Option<bool> {
        match field.value {
            TomlValue::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn allowed((): &()) -> String {
        "true or false".to_owned()
    }
}

impl<T: Named> KeyValue for T {
    type Rule = ();

    fn parse(field: &Field<'_>, (): &()) -> Option<T> {
        let TomlValue::Text(given) = field.value else {
            return None;
        };
        let all = T::all().into_iter();
        all.filter(|one| one.name == given)
            .map(|one| one.value)
            .next()
    }

    fn to_toml(&self) -> Option<String> {
        Some(quote(self.name()))
    }

    fn allowed((): &()) -> String {
        let names: Vec<&str> = T::all().iter().map(|one| one.name).collect();
        format!("one of {}", names.join(", "))
    }

    fn hint(refused: &TomlValue) -> String {
        let TomlValue::Text(given) = refused else {
            return String::new();
        };
        near(given, T::all().iter().map(|one| one.name))
            .map_or_else(String::new, |name| format!("; the nearest is {name}"))
    }

    fn values() -> Vec<(&'static str, String)> {
        let all = T::all().into_iter();
        all.map(|one| (one.name, one.doc.trim().to_owned()))
            .collect()
    }
}

/// Paths or patterns. A single one is a list of one.
impl KeyValue for Vec<PathBuf> {
    type Rule = ();

    fn parse(field: &Field<'_>, (): &()) -> Option<Vec<PathBuf>> {
        let values = match field.value {
            TomlValue::List(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let absolute = |value: &TomlValue| match value {
            TomlValue::Text(text) if !text.is_empty() && !text.contains('\0') => {
                Some(field.absolute(text))
            }
            _ => None,
        };
        values.iter().map(absolute).collect()
    }

    fn to_toml(&self) -> Option<String> {
        let paths: Vec<String> = self.iter().map(|path| quote_path(path)).collect();
        Some(format!("[{}]", paths.join(", ")))
    }

    fn allowed((): &()) -> String {
        "a list of paths or patterns in quotes".to_owned()
    }
}

/// A path; empty text for none.
impl KeyValue for Option<PathBuf> {
    type Rule = ();

    fn parse(field: &Field<'_>, (): &()) -> Option<Option<PathBuf>> {
        match field.value {
            TomlValue::Text(text) if text.is_empty() => Some(None),
            TomlValue::Text(text) if !text.contains('\0') => Some(Some(field.absolute(text))),
            _ => None,
        }
    }

    fn to_toml(&self) -> Option<String> {
        self.as_deref().map(quote_path)
    }

    fn allowed((): &()) -> String {
        "a path in quotes".to_owned()
    }
}

/// A path as TOML. The data section refuses paths that are not Unicode, so nothing is lost.
fn quote_path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}
