//! Entries: a key with its value in a typed configuration.

use super::document::Document;
use super::key::Key;
use super::setting::{KeyValue, Setting};
use crate::error::Result;

type ValueOf<S> = Box<dyn Fn(&S) -> Option<String> + Send + Sync>;
type Condition<S> = Box<dyn Fn(&S) -> bool + Send + Sync>;

/// A key of the part `S` of a configuration.
pub struct Entry<S> {
    /// The key.
    pub key: Key,
    value: ValueOf<S>,
    is_written: Condition<S>,
}

impl<S: 'static> Entry<S> {
    /// An entry whose value in a section is `value`, as TOML; `None` if the key has no effect.
    pub fn new(key: Key, value: impl Fn(&S) -> Option<String> + Send + Sync + 'static) -> Entry<S> {
        Entry {
            key,
            value: Box::new(value),
            is_written: Box::new(|_| true),
        }
    }

    /// The same entry, written only if the condition is true.
    pub fn written_if(self, condition: impl Fn(&S) -> bool + Send + Sync + 'static) -> Entry<S> {
        Entry {
            is_written: Box::new(condition),
            ..self
        }
    }

    /// The same entry, with the names of its key in other programs.
    pub fn known_as(mut self, names: &'static [&'static str]) -> Entry<S> {
        self.key.known_as = names;
        self
    }

    /// The same entry for a whole that has `S` as a part.
    pub fn of<W: 'static>(self, part: fn(&W) -> &S) -> Entry<W> {
        let (value, is_written) = (self.value, self.is_written);
        Entry {
            key: self.key,
            value: Box::new(move |whole| value(part(whole))),
            is_written: Box::new(move |whole| is_written(part(whole))),
        }
    }

    /// The value, as TOML; none where the key has no effect.
    pub fn value(&self, section: &S) -> Option<String> {
        (self.value)(section)
    }

    /// The value that the written configuration has; none if it leaves the key out.
    pub fn written(&self, section: &S) -> Option<String> {
        (self.is_written)(section)
            .then(|| self.value(section))
            .flatten()
    }
}

/// The entries of a whole that has `S` as a part.
pub fn entries_of<W: 'static, S: 'static>(
    entries: Vec<Entry<S>>,
    part: fn(&W) -> &S,
) -> Vec<Entry<W>> {
    entries.into_iter().map(|entry| entry.of(part)).collect()
}

/// How a field of a section is declared: by one key with a [`Setting`], or by a [`Group`] of keys.
pub trait Declaration<T> {
    /// The field of a document.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if a value is not allowed.
    fn read(&self, document: &Document, section: &'static str, name: &'static str) -> Result<T>;

    /// The entries of the field `part`.
    fn entries<S: 'static>(
        self,
        section: &'static str,
        name: &'static str,
        doc: &'static str,
        part: fn(&S) -> &T,
    ) -> Vec<Entry<S>>;
}

impl<T: KeyValue + 'static> Setting<T> {
    /// The key of this declaration.
    pub fn key(&self, section: &'static str, name: &'static str, doc: &'static str) -> Key {
        Key {
            section,
            name,
            // Empty text means no value.
            default: self.default.to_toml().unwrap_or_else(|| "\"\"".to_owned()),
            doc: doc.trim().to_owned(),
            allowed: T::allowed(&self.rule),
            values: T::values(),
            resume: self.resume,
            known_as: &[],
        }
    }
}

impl<T: KeyValue + 'static> Declaration<T> for Setting<T> {
    fn read(&self, document: &Document, section: &'static str, name: &'static str) -> Result<T> {
        T::read(&document.field(&format!("{section}.{name}")), &self.rule)
    }

    fn entries<S: 'static>(
        self,
        section: &'static str,
        name: &'static str,
        doc: &'static str,
        part: fn(&S) -> &T,
    ) -> Vec<Entry<S>> {
        let key = self.key(section, name, doc);
        vec![Entry::new(key, move |section| part(section).to_toml())]
    }
}

/// Several keys that make one field.
pub struct Group<T> {
    /// Reads the field.
    pub read: fn(&Document) -> Result<T>,
    /// The entries of its keys.
    pub entries: fn() -> Vec<Entry<T>>,
}

impl<T: 'static> Declaration<T> for Group<T> {
    fn read(&self, document: &Document, _: &'static str, _: &'static str) -> Result<T> {
        (self.read)(document)
    }

    fn entries<S: 'static>(
        self,
        _: &'static str,
        _: &'static str,
        _: &'static str,
        part: fn(&S) -> &T,
    ) -> Vec<Entry<S>> {
        entries_of((self.entries)(), part)
    }
}
