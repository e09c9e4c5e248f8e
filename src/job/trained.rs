//! A trained model, loaded from its file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::replaced::check_output;
use super::text::Caching;
use crate::checkpoint::{Checkpoint, Which, find};
use crate::config::Config;
use crate::corpus::{Corpus, TokenCache, Vocabulary};
use crate::device::{Executor, ExecutorOptions, Workload, choose};
use crate::error::{Error, Result};
use crate::files::Output;
use crate::interchange::{ExportSource, native, onnx, pytorch};
use crate::model::language_model::Extent;
use crate::model::parameter_set::{ParameterSet, initial_weight, next_average};
use crate::numbers::{counted, percent};
use crate::tensor::names;
use crate::train::progress::Progress;
use crate::train::saved::SavedModel;
use crate::train::session::{EvaluationSession, GenerationSession, LineSession};
use crate::train::watch::Event;

/// A trained model: its file, its configuration, its vocabulary, and the device that it runs on. The
/// [first page of the crate](crate#the-library) has an example.
///
/// Scoring, evaluating and generating open the device and load the parameters at each call. To score many times, keep a session:
/// [`Trained::line_session`] with a [`Scorer`](crate::train::score::Scorer), or [`Trained::generation_session`] with a
/// [`Generator`](crate::train::generate::Generator) on its predictor.
#[derive(Clone)]
pub struct Trained {
    checkpoint: Arc<Checkpoint>,
    config: Config,
    vocabulary: Arc<Vocabulary>,
    set: ParameterSet,
    device: String,
    options: ExecutorOptions,
    pub(super) caching: Caching,
    observer: Option<Arc<dyn Fn(Event) + Send + Sync>>,
}

/// Which parameters of a trained model to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parameters {
    /// The moving average if there is one and the initial parameters have a weight of at most 0.1 in it; otherwise the
    /// parameters after the last step.
    #[default]
    ByRule,
    /// The parameters after the last step.
    Last,
    /// The moving average.
    Average,
}

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Safetensors that `torch.nn` modules load by name.
    Pytorch,
    /// Safetensors with the names of checkpoints, for [`Job::init`](super::Job::init).
    Native,
    /// One step as an ONNX graph.
    Onnx,
    /// An ONNX graph from whole sentences to their negative log-likelihoods.
    OnnxNll,
}

impl Trained {
    /// Opens the best checkpoint of a run folder, or a checkpoint file.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is none, or it cannot be used.
    pub fn open(run: impl AsRef<Path>) -> Result<Trained> {
        Trained::open_which(run.as_ref(), Which::Best)
    }

    /// Opens the newest checkpoint of a run folder, or a checkpoint file.
    ///
    /// # Errors
    ///
    /// Same as [`Trained::open`].
    pub fn open_last(run: impl AsRef<Path>) -> Result<Trained> {
        Trained::open_which(run.as_ref(), Which::Last)
    }

    fn open_which(run: &Path, which: Which) -> Result<Trained> {
        let found = find(run, which)?;
        let saved = SavedModel::open(&found.checkpoint)?;
        Ok(Trained {
            set: set_by_rule(&saved.checkpoint, &saved.config),
            checkpoint: Arc::new(saved.checkpoint),
            config: saved.config,
            vocabulary: Arc::new(saved.vocabulary),
            device: "auto".to_owned(),
            options: ExecutorOptions::default(),
            caching: Caching::default(),
            observer: None,
        })
    }

    /// Uses these parameters. The default is [`Parameters::ByRule`].
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) for the moving average of a model that has none.
    pub fn parameters(mut self, parameters: Parameters) -> Result<Trained> {
        self.set = match parameters {
            Parameters::ByRule => set_by_rule(&self.checkpoint, &self.config),
            Parameters::Last => ParameterSet::Last,
            Parameters::Average if has_average(&self.checkpoint, &self.config) => {
                ParameterSet::Average
            }
            Parameters::Average => {
                return Err(Error::usage(format!(
                    "`{}` has no moving average of its parameters",
                    self.checkpoint.path().display()
                ))
                .help("leave --average out; a run has a moving average if it is trained with `train.ema` above 0"));
            }
        };
        Ok(self)
    }

    /// The parameters that are used.
    pub fn parameter_set(&self) -> ParameterSet {
        self.set
    }

    /// Why the rule does not choose the moving average of the parameters, to be put into a sentence. `None` if it does, or if
    /// the model has no average.
    pub fn why_not_average(&self) -> Option<String> {
        let steps = steps_of(&self.checkpoint)?;
        next_average(&self.config, steps)
            .filter(|_| has_average(&self.checkpoint, &self.config))?;
        let ema = self.config.train.ema;
        Some(format!(
            "after {}, the initial parameters have a weight of {} in it (`train.ema = {ema:?}`)",
            counted(steps, "step"),
            percent(initial_weight(ema, steps))
        ))
    }

    /// Computes on this device, as `--device` names it.
    pub fn device(mut self, selector: &str) -> Trained {
        selector.clone_into(&mut self.device);
        self
    }

    /// Opens the device with these options.
    pub fn executor_options(mut self, options: ExecutorOptions) -> Trained {
        self.options = options;
        self
    }

    /// Keeps the tokens of texts in this cache, or nowhere. The default is [`TokenCache::of_user`].
    pub fn token_cache(mut self, cache: Option<TokenCache>) -> Trained {
        self.caching = Caching::In(cache);
        self
    }

    /// Reports the device and the progress of long work to `observer`.
    pub fn observer(mut self, observer: impl Fn(Event) + Send + Sync + 'static) -> Trained {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The checkpoint file.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The configuration of its training.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its vocabulary.
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// Opens files as the texts of the model, with its `data.normalization`.
    ///
    /// # Errors
    ///
    /// Same as [`Corpus::open_as`].
    pub fn open_text<P: AsRef<Path>>(&self, files: &[P]) -> Result<Corpus> {
        Corpus::open_as(files, self.config.data.normalization)
    }

    /// The ids of the tokens of a line.
    pub fn encode(&self, line: &str) -> Vec<u32> {
        let data = &self.config.data;
        self.vocabulary
            .encode_text(&data.normalization.apply(line), data.tokens)
    }

    /// The model on its device, to compute losses in batches of `extent`.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) for a device selector that cannot be read,
    /// [`Kind::Device`](crate::error::Kind::Device) if there is no such device, or the model does not fit into its memory.
    pub fn evaluation_session(&self, extent: Extent) -> Result<EvaluationSession> {
        let (executor, words) = (self.open_device()?, self.vocabulary.len());
        let file = &self.checkpoint;
        EvaluationSession::new(executor, &self.config, words, file, self.set, extent)
    }

    /// The model on its device, to score lines with a [`Scorer`](crate::train::score::Scorer).
    ///
    /// # Errors
    ///
    /// Same as [`Trained::evaluation_session`].
    pub fn line_session(&self) -> Result<LineSession> {
        let (executor, words) = (self.open_device()?, self.vocabulary.len());
        LineSession::new(executor, &self.config, words, &self.checkpoint, self.set)
    }

    /// The model on its device, to generate `streams` texts in parallel.
    ///
    /// # Errors
    ///
    /// Same as [`Trained::evaluation_session`].
    pub fn generation_session(&self, streams: usize) -> Result<GenerationSession> {
        let (executor, words) = (self.open_device()?, self.vocabulary.len());
        let file = &self.checkpoint;
        GenerationSession::new(executor, &self.config, words, file, self.set, streams)
    }

    fn open_device(&self) -> Result<Box<dyn Executor>> {
        let choice = choose(&[&self.device])?;
        self.observe(Event::Device {
            reason: choice.reason,
        });
        choice.device.open(Workload::F32, &self.options)
    }

    /// Writes the model for other programs, with the parameters that evaluation uses. Returns the files.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if the format cannot represent the model, or `out` is the checkpoint itself;
    /// [`Kind::Data`](crate::error::Kind::Data) if a file cannot be written.
    pub fn export(&self, format: ExportFormat, out: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        self.export_to(format, &Output::named(out.as_ref())?)
    }

    /// Same as [`Trained::export`], to any output.
    ///
    /// # Errors
    ///
    /// Same as [`Trained::export`].
    pub fn export_to(&self, format: ExportFormat, output: &Output) -> Result<Vec<PathBuf>> {
        let out = output.path();
        let place = out.canonicalize().ok();
        if place.is_some() && place == self.checkpoint.path().canonicalize().ok() {
            return Err(Error::usage(format!(
                "`{}` is the checkpoint itself, and would be replaced",
                out.display()
            ))
            .help("choose another file with --out"));
        }
        check_output(output)?;
        let source = ExportSource {
            checkpoint: &self.checkpoint,
            config: &self.config,
            vocabulary: &self.vocabulary,
            set: self.set,
        };
        let mut files = vec![out.to_path_buf()];
        match format {
            ExportFormat::Native => native::export(&source, output)?,
            ExportFormat::Pytorch => pytorch::export(&source, output)?,
            ExportFormat::Onnx | ExportFormat::OnnxNll => {
                let graph = if format == ExportFormat::Onnx {
                    onnx::Graph::Step
                } else {
                    onnx::Graph::Nll
                };
                files.extend(onnx::export(&source, graph, output, onnx::MAX_INLINE)?);
            }
        }
        Ok(files)
    }

    /// Passes an event to the observer, if there is one.
    pub(super) fn observe(&self, event: Event) {
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }
}

/// The parameters to use by the rule of [`ParameterSet::after`]. Files without the progress of a run, for example those of
/// `export` and `factorize`, contain a moving average only if it is to be used.
fn set_by_rule(checkpoint: &Checkpoint, config: &Config) -> ParameterSet {
    match steps_of(checkpoint) {
        _ if !has_average(checkpoint, config) => ParameterSet::Last,
        Some(steps) => ParameterSet::after(config, steps),
        None => ParameterSet::Average,
    }
}

/// Whether a checkpoint has the moving average of its parameters.
fn has_average(checkpoint: &Checkpoint, config: &Config) -> bool {
    let names = checkpoint.names();
    config.train.ema > 0.0
        && names
            .iter()
            .any(|name| name.starts_with(names::MOVING_AVERAGES))
}

/// The steps of the run that wrote a checkpoint.
fn steps_of(checkpoint: &Checkpoint) -> Option<u64> {
    Some(Progress::read(checkpoint).ok()?.step)
}
