//! The properties of a key of the configuration.

/// A key: its name, default, documentation and rules.
#[derive(Clone, Debug)]
pub struct Key {
    /// The section, for example `model`.
    pub section: &'static str,
    /// The name within the section, for example `hidden`.
    pub name: &'static str,
    /// The value of a configuration that leaves the key out, as TOML.
    pub default: String,
    /// The documentation of the key.
    pub doc: String,
    /// The allowed values, to follow "takes".
    pub allowed: String,
    /// The name and the documentation of each allowed value, if these have names.
    pub values: Vec<(&'static str, String)>,
    /// Whether the value may change when a run is resumed.
    pub resume: Resume,
    /// Names of the same setting in other programs. They are not accepted; the error names this key.
    pub known_as: &'static [&'static str],
}

impl Key {
    /// The key as `section.key`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

/// Whether the value of a key may change when a run is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Any other value is accepted.
    MayChange,
    /// Another value would train another model: it is refused.
    MustStay,
    /// Paths may change, but not the contents of the files, which are compared with the checkpoint.
    SameContent(Content),
    /// Perplexities of one run must be comparable. Once the run has a best validation, the value may only turn validation
    /// off or measure the same.
    SameMeasure(Measured),
}

/// The content of files that must not change on a resume. A resumed [`Job`](crate::job::Job) checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The training text. Checkpoints have its digest.
    TrainingText,
    /// The words of the vocabulary. Checkpoints have them.
    Words,
}

/// What perplexities are measured on. Each has its check in [`train::progress`](crate::train::progress).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// The validation text. Checkpoints have its digest.
    Text,
    /// The number of its targets. Checkpoints have it.
    Targets,
    /// The number of streams in which it is read. Checkpoints record it if the configuration sets it.
    Streams,
}

impl Resume {
    /// The rule in a few words, for tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Resume::MayChange => "may change",
            Resume::MustStay => "must not change",
            Resume::SameContent(_) => "paths may change, but not the contents of the files",
            Resume::SameMeasure(_) => "must not change after the first validation",
        }
    }
}
