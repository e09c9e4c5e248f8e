//! The settings of a training run: the configuration, and everything that is not part of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::origin::Origin;
use super::text::{Caching, Texts};
use crate::checkpoint::run_name;
use crate::config::Config;
use crate::corpus::TokenCache;
use crate::device::ExecutorOptions;
use crate::error::Result;
use crate::train::collective::{Collective, SingleProcess};
use crate::train::run::SharedTargets;
use crate::train::watch::Stop;

/// A training run to start or resume.
///
/// The defaults: a new run in `runs/NAME`, on the best device, from random parameters. [`Job::run`] trains it. The
/// [first page of the crate](crate#the-library) has an example.
///
/// Tokens of texts and what tuning finds are kept in the [cache folder of the user](crate::files::cache_folder), which
/// [environment variables](crate::help) set. [`Job::token_cache`] and [`ExecutorOptions::cache`] replace it.
pub struct Job {
    pub(super) config: Config,
    pub(super) origin: Origin,
    pub(super) name: Option<String>,
    pub(super) devices: Vec<String>,
    pub(super) options: ExecutorOptions,
    pub(super) caching: Caching,
    pub(super) destination: Destination,
    pub(super) init: Option<PathBuf>,
    pub(super) collective: Box<dyn Collective>,
    pub(super) texts: Option<Texts>,
    pub(super) stop: Stop,
    pub(super) shared_targets: Option<Arc<SharedTargets>>,
    /// The number of words to train on, if the limit is given in words.
    pub(super) words: Option<u64>,
}

/// The folder of the run.
pub(super) enum Destination {
    /// A new folder in `runs`, with the name of the run.
    Numbered,
    /// A new folder.
    New(PathBuf),
    /// The folder of a run to resume.
    Resume(PathBuf),
    /// The folder of the run whose `config.toml` was loaded, or of the newest run of the configuration.
    ResumeNewest,
    /// A folder inside the folder of a comparison. The run starts, or resumes if it exists.
    Comparison(PathBuf),
}

impl Job {
    /// A job that trains with this configuration.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if the training has no limit.
    pub fn new(config: Config) -> Result<Job> {
        config.check_limits()?;
        Ok(Job {
            config,
            origin: Origin::default(),
            name: None,
            devices: Vec::new(),
            options: ExecutorOptions::default(),
            caching: Caching::default(),
            destination: Destination::Numbered,
            init: None,
            collective: Box::new(SingleProcess),
            texts: None,
            stop: Stop::default(),
            shared_targets: None,
            words: None,
        })
    }

    /// A job that trains with the configuration in a TOML file, with overrides `section.key=value`.
    ///
    /// Relative paths in the file are relative to its folder. Paths in overrides are too, unless nothing is there and
    /// something is at that path relative to the working directory. Without overrides:
    /// `Job::load::<&str>(file, &[])`.
    ///
    /// # Errors
    ///
    /// Same as [`Job::new`]; [`Kind::Usage`](crate::error::Kind::Usage) if the file or an override cannot be used.
    pub fn load<S: AsRef<str>>(file: impl AsRef<Path>, overrides: &[S]) -> Result<Job> {
        let file = file.as_ref();
        let overrides: Vec<String> = overrides
            .iter()
            .map(|text| text.as_ref().to_owned())
            .collect();
        let mut job = Job::new(Config::load(file, &overrides)?)?;
        job.origin = Origin {
            file: Some(file.to_path_buf()),
            overrides,
        };
        Ok(job)
    }

    /// Trains on this device, as `--device` names it: `auto`, `cpu`, `gpu`, `gpu:N`, `gpu:NAME`.
    pub fn device(self, selector: &str) -> Job {
        self.devices(&[selector])
    }

    /// Trains on these devices, each with `train.batch` streams.
    pub fn devices<S: AsRef<str>>(mut self, selectors: &[S]) -> Job {
        let selectors = selectors.iter().map(|text| text.as_ref().to_owned());
        self.devices = selectors.collect();
        self
    }

    /// Opens devices with these options.
    pub fn executor_options(mut self, options: ExecutorOptions) -> Job {
        self.options = options;
        self
    }

    /// Keeps the tokens of texts in this cache, or nowhere. The default is [`TokenCache::of_user`].
    pub fn token_cache(mut self, cache: Option<TokenCache>) -> Job {
        self.caching = Caching::In(cache);
        self
    }

    /// Creates the run in this folder.
    pub fn out(mut self, folder: impl Into<PathBuf>) -> Job {
        self.destination = Destination::New(folder.into());
        self
    }

    /// Continues the run in this folder from its newest checkpoint. The results are bitwise identical to those of
    /// an uninterrupted run.
    pub fn resume(mut self, folder: impl Into<PathBuf>) -> Job {
        self.destination = Destination::Resume(folder.into());
        self
    }

    /// Continues the run whose `config.toml` was loaded, or else the newest run of this name in `runs`.
    pub fn resume_newest(mut self) -> Job {
        self.destination = Destination::ResumeNewest;
        self
    }

    /// Starts the run of a model of a comparison, or resumes it if it exists.
    pub(super) fn of_comparison(
        mut self,
        folder: PathBuf,
        texts: Texts,
        targets: Arc<SharedTargets>,
    ) -> Job {
        self.destination = Destination::Comparison(folder);
        self.texts = Some(texts);
        self.shared_targets = Some(targets);
        self
    }

    /// Starts from the parameters in a safetensors file or in a run.
    pub fn init(mut self, file: impl Into<PathBuf>) -> Job {
        self.init = Some(file.into());
        self
    }

    /// Sets the name of the run, and of its folder in `runs`. The default is the name of the configuration file, or `run`.
    pub fn name(mut self, name: impl Into<String>) -> Job {
        self.name = Some(name.into());
        self
    }

    /// Trains together with the other processes of `collective`; see [`distributed::connect`](super::distributed::connect).
    pub fn collective(mut self, collective: Box<dyn Collective>) -> Job {
        self.collective = collective;
        self
    }

    /// Stops after this many words, rounded up to whole steps. Replaces `train.steps`.
    pub fn words(mut self, words: u64) -> Job {
        self.words = Some(words);
        self
    }

    /// Saves and stops when `stop` asks for it.
    pub fn stop(mut self, stop: Stop) -> Job {
        self.stop = stop;
        self
    }

    /// The name of a new run, also that of its folder in `runs`.
    pub(super) fn new_name(&self) -> String {
        let file = self.origin.file.as_deref().unwrap_or(Path::new(""));
        let given = self.name.clone();
        given.unwrap_or_else(|| run_name(file))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
