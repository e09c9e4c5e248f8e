//! The checked configuration, and how it is loaded.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use super::document::Document;
use super::entry::{Entry, entries_of};
use super::key::Key;
use super::keys::{
    DataConfig, DeviceConfig, ModelConfig, Schedule, Softmax, TablePlacement, TrainConfig,
};
use super::paths;
use crate::error::{Error, Kind, Result};
use crate::files;

/// The name of the resolved configuration in a run folder.
const RUN_CONFIG: &str = "config.toml";

/// The names that show that a folder is a run folder.
const RUN_MARKS: [&str; 2] = ["run.json", "checkpoints"];

/// The maximum size of a configuration file in bytes.
const MAX_BYTES: u64 = 1 << 22;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The model.
    pub model: ModelConfig,
    /// The softmax of training.
    pub softmax: Softmax,
    /// The text.
    pub data: DataConfig,
    /// How it is trained.
    pub train: TrainConfig,
    /// How devices are used.
    pub device: DeviceConfig,
}

/// Every key with its value in a configuration, in the order of the written configuration.
pub static ENTRIES: LazyLock<Vec<Entry<Config>>> = LazyLock::new(|| {
    let mut all = entries_of(ModelConfig::entries(), |config: &Config| &config.model);
    all.extend(entries_of(Softmax::entries(), |config: &Config| {
        &config.softmax
    }));
    all.extend(entries_of(DataConfig::entries(), |config: &Config| {
        &config.data
    }));
    all.extend(entries_of(TrainConfig::entries(), |config: &Config| {
        &config.train
    }));
    all.extend(entries_of(DeviceConfig::entries(), |config: &Config| {
        &config.device
    }));
    all
});

/// Every key, in the order of the written configuration.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    ENTRIES.iter().map(|entry| &entry.key)
}

impl Config {
    /// Reads, resolves and checks the TOML file at `path`, with overrides of the form `section.key=value` applied to it.
    ///
    /// Paths in the file are relative to its folder. Paths in overrides are too, unless nothing is there and something is
    /// at that path relative to the working directory. All paths of the result are absolute.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) for a file that cannot be read and for everything that is wrong in it
    /// or in an override: location, key, value and allowed values.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Config> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        // A configuration may come through a pipe, but not that of a run, which may be from an untrusted source.
        let opened = if is_of_run(path) {
            files::open_regular(path)
        } else {
            File::open(path)
        };
        let file = opened.map(|file| file.take(MAX_BYTES + 1));
        let read = file.and_then(|mut file| file.read_to_end(&mut bytes));
        read.map_err(|error| {
            Error::usage(format!("cannot read the configuration `{name}`"))
                .because(error)
                .help(help_for_unread(path))
        })?;
        files::check_encoding(&bytes, &name, Kind::Usage)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|&&byte| byte == b'\n').count() + 1;
            Error::usage(format!(
                "{name}:{line}: the configuration is not UTF-8 text"
            ))
            .because(error)
            .help("a configuration is a TOML file in UTF-8")
        })?;
        Config::parse(&text, &name, &paths::folder_of(path)?, overrides)
    }

    /// Resolves and checks a configuration given as TOML text. `name` is the name of the file in messages. Relative paths
    /// in the text are relative to `folder`; if `folder` is empty, to the working directory. Paths in overrides are as in
    /// [`Config::load`]. All paths of the result are absolute.
    ///
    /// # Errors
    ///
    /// Same as [`Config::load`].
    pub fn parse(text: &str, name: &str, folder: &Path, overrides: &[String]) -> Result<Config> {
        if text.len() as u64 > MAX_BYTES {
            return Err(Error::usage(format!(
                "the configuration `{name}` has more than {MAX_BYTES} bytes"
            ))
            .help("a configuration is a TOML file of a few lines; use a pattern to name many text files"));
        }
        let mut document = Document::parse(text, name, &paths::absolute(folder)?, keys())?;
        for text in overrides {
            document.set(text)?;
        }
        Config::read(&document)
    }

    /// Checks a configuration in which values have changed since it was read, by the rules of configuration files.
    ///
    /// # Errors
    ///
    /// Same as [`Config::parse`].
    pub fn check(&self) -> Result<()> {
        let name = "the configuration";
        Config::parse(&self.to_toml(), name, Path::new("/"), &[]).map(drop)
    }

    /// Reads every section and checks what depends on several.
    fn read(document: &Document) -> Result<Config> {
        let model = ModelConfig::read(document)?;
        let data = DataConfig::read(document)?;
        let softmax = Softmax::read(document, data.vocab_size)?;
        let train = TrainConfig::read(document)?;
        if model.tables == TablePlacement::Host && softmax == Softmax::Full {
            return Err(document.field("model.tables").conflict(
                "a full softmax needs every row at every step",
                "use `softmax.kind = \"sampled\"` or \"adaptive\", or tables on the device",
            ));
        }
        softmax.check_model(document, &model)?;
        if matches!(train.schedule, Schedule::Plateau { .. }) && !data.validates() {
            return Err(document.field("data.valid").conflict(
                "the schedule `plateau` follows the validation perplexity",
                "name validation files, hold a part of the text out with `data.valid_share`, or choose another `train.schedule`",
            ));
        }
        Ok(Config {
            model,
            softmax,
            data,
            train,
            device: DeviceConfig::read(document)?,
        })
    }

    /// Checks that something ends the training: one of epochs, steps and seconds. Loading does not check it, as the
    /// caller may set a limit later.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if none of the three is set.
    pub fn check_limits(&self) -> Result<()> {
        let train = &self.train;
        if train.epochs == 0 && train.steps == 0 && train.seconds == 0.0 {
            return Err(Error::usage(
                "this run has no limit: `train.epochs`, `train.steps` and `train.seconds` are all 0",
            )
            .help("set one of them in the configuration, or give --steps or --seconds"));
        }
        Ok(())
    }

    /// Whether training drops elements at random.
    pub fn has_dropout(&self) -> bool {
        let of_clusters = self.softmax.adaptive().map(|adaptive| adaptive.dropout);
        self.model.dropout > 0.0 || of_clusters.is_some_and(|rate| rate > 0.0)
    }
}

/// Whether the path is that of the configuration in a run folder.
fn is_of_run(path: &Path) -> bool {
    let folder = files::folder_of(path);
    let is_there = |name: &str| folder.join(name).symlink_metadata().is_ok();
    path.file_name().is_some_and(|name| name == RUN_CONFIG) && RUN_MARKS.into_iter().any(is_there)
}

/// The help for a path at which no configuration can be read.
fn help_for_unread(path: &Path) -> String {
    let (name, run) = (path.display(), path.join(RUN_CONFIG));
    if run.is_file() {
        return format!(
            "`{name}` is a run folder; give the path of its configuration, `{}`",
            run.display()
        );
    }
    let examples = "the example configurations are in the folder `configs` of the repository";
    match std::env::current_dir() {
        Ok(current) if path.is_relative() && !path.exists() => format!(
            "the path is relative to the current folder, `{}`; {examples}",
            current.display()
        ),
        _ => format!("give the path of a TOML file; {examples}"),
    }
}
