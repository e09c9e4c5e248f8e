//! What several commands begin with: a device, a corpus, a vocabulary, a trained model.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::messages::note;
use super::progress::Live;
use crate::checkpoint::{Checkpoint, Which, find};
use crate::config::{Config, Precision, Softmax};
use crate::corpus::{Corpus, Vocabulary, VocabularyBuilder};
use crate::device::{Choice, CpuExecutor, Device, Executor, GpuExecutor, choose, choose_all};
use crate::error::{Error, Result};
use crate::model::language_model::Extent;
use crate::tensor::names;
use crate::train::session::{EvaluationSession, GenerationSession};

/// The key of an override, `KEY=VALUE`.
pub(super) fn key_of(set: &str) -> &str {
    set.split_once('=').map_or(set, |(key, _)| key).trim()
}

/// Whether GPUs run kernels in the forms that are fastest on them: for all of the program, as its `--no-tune` says.
pub(super) static TUNE: AtomicBool = AtomicBool::new(true);

/// Whether GPUs run kernels without run-time checks that compute right so: for all of the program, as its `--checked` says.
pub(super) static TRUST: AtomicBool = AtomicBool::new(true);

/// What an executor is for.
pub(super) enum Purpose {
    /// Plans in this precision.
    Plans(Precision),
    /// Kernels alone, each in the form that is asked for, those for matrix units too.
    Kernels,
}

/// The executor of the device that was asked for; says which and why.
pub(super) fn executor<S: AsRef<str>>(selectors: &[S], quiet: bool) -> Result<Box<dyn Executor>> {
    make_executor(selectors, quiet, &Purpose::Plans(Precision::F32))
}

/// The executors of the devices that were asked for, to train with this configuration.
pub(super) fn training_executors<S: AsRef<str>>(
    selectors: &[S],
    config: &Config,
    quiet: bool,
) -> Result<Vec<Box<dyn Executor>>> {
    let purpose = Purpose::Plans(config.train.precision);
    let (process, _) = process_here();
    let choices = choose_all(selectors, process)?.into_iter();
    choices
        .map(|choice| executor_of(choice, quiet, &purpose))
        .collect()
}

/// The same, for kernels alone.
pub(super) fn kernel_executor<S: AsRef<str>>(
    selectors: &[S],
    quiet: bool,
) -> Result<Box<dyn Executor>> {
    make_executor(selectors, quiet, &Purpose::Kernels)
}

/// Which of the processes of the job on this machine this one is, from 0, and how many there are.
pub(super) fn process_here() -> (usize, usize) {
    #[cfg(feature = "mpi")]
    let here = crate::train::mpi::rank_here();
    #[cfg(not(feature = "mpi"))]
    let here = (0, 1);
    here
}

fn make_executor<S: AsRef<str>>(
    selectors: &[S],
    quiet: bool,
    purpose: &Purpose,
) -> Result<Box<dyn Executor>> {
    executor_of(choose(selectors)?, quiet, purpose)
}

fn executor_of(choice: Choice, quiet: bool, purpose: &Purpose) -> Result<Box<dyn Executor>> {
    note(quiet, &choice.reason);
    executor_on(&choice.device, quiet, purpose, TUNE.load(Ordering::Relaxed))
}

/// The executor of a device, which measures the forms of kernels if it `tunes`.
pub(super) fn executor_on(
    device: &Device,
    quiet: bool,
    purpose: &Purpose,
    tunes: bool,
) -> Result<Box<dyn Executor>> {
    let Device::Gpu(adapter) = device else {
        if matches!(purpose, Purpose::Plans(Precision::Mixed)) {
            note(
                quiet,
                "Mixed precision on the CPU rounds to f16 where a GPU would store it, and is no faster than f32.",
            );
        }
        return Ok(Box::new(CpuExecutor::<f32>::new()));
    };
    let mut executor = match purpose {
        Purpose::Plans(Precision::Mixed) => GpuExecutor::mixed(adapter)?,
        Purpose::Kernels if adapter.summary.unit().is_some() => GpuExecutor::beside_units(adapter)?,
        Purpose::Plans(Precision::F32) | Purpose::Kernels => GpuExecutor::new(adapter)?,
    };
    if tunes && matches!(purpose, Purpose::Plans(_)) {
        let live = Live::new("measuring kernels", quiet);
        executor.tune(move |done, all| {
            if done == 0 {
                note(
                    quiet,
                    "Measuring which forms of kernels are fastest on this GPU, once ...",
                );
            }
            live.show(done, all);
            if done == all {
                live.end();
            }
        });
    }
    // Software adapters are slower without the checks.
    if TRUST.load(Ordering::Relaxed) && adapter.summary.is_hardware() {
        executor.trust();
    }
    Ok(Box::new(executor))
}

/// The vocabulary file of a configuration, or the vocabulary of its training text.
/// `corpus` may be left out where there is a file.
pub(super) fn vocabulary(
    config: &Config,
    corpus: Option<&Corpus>,
    quiet: bool,
) -> Result<Vocabulary> {
    let data = &config.data;
    let Some(path) = &data.vocab else {
        note(quiet, "Counting the words of the training text ...");
        let corpus = corpus.expect("a training text where there is no vocabulary file");
        let builder = VocabularyBuilder::new(data.order, data.tokens)
            .size(data.vocab_size)
            .min_count(data.min_count);
        return count(builder, corpus, quiet);
    };
    let vocabulary = vocabulary_file(config, path)?;
    if matches!(config.softmax, Softmax::Sampled { .. }) && !vocabulary.is_sorted() {
        tracing::warn!(
            "the words of `{}` are not in order of falling frequency, as the sampled softmax takes them to be",
            path.display()
        );
    }
    Ok(vocabulary)
}

/// Counts words, which is shown, in MB.
pub(super) fn count(
    builder: VocabularyBuilder,
    corpus: &Corpus,
    quiet: bool,
) -> Result<Vocabulary> {
    let live = Live::new("counting words, MB", quiet);
    let counted = builder.build_watched(corpus, &|done, all| live.show(done >> 20, all >> 20));
    live.end();
    let vocabulary = counted?;
    // The special words alone can predict nothing.
    if vocabulary.len() <= 2 {
        return Err(Error::data(match builder.get_min_count() {
            0 | 1 => "all words are special ones: the vocabulary would be empty".to_owned(),
            count => format!("no word comes {count} times: the vocabulary would be empty"),
        })
        .help("lower `data.min_count` or --min-count, or check the kind of tokens and the text"));
    }
    Ok(vocabulary)
}

/// The vocabulary in the file of a configuration, which must have the size that the configuration gives, if it does.
pub(super) fn vocabulary_file(config: &Config, path: &Path) -> Result<Vocabulary> {
    let data = &config.data;
    let vocabulary = Vocabulary::load(path, data.order)?;
    if data.vocab_size != 0 && vocabulary.len() != data.vocab_size {
        return Err(Error::data(format!(
            "`{}` has {} words, but `data.vocab_size` says {}",
            path.display(),
            vocabulary.len(),
            data.vocab_size
        ))
        .help("set `data.vocab_size` to 0 or to the size of the file, or name another file in `data.vocab`"));
    }
    Ok(vocabulary)
}

/// A trained model from its file.
pub(super) struct Trained {
    /// The file.
    pub checkpoint: Checkpoint,
    /// The configuration it was trained with.
    pub config: Config,
    /// Its words.
    pub vocabulary: Arc<Vocabulary>,
}

/// Opens a run folder (its best checkpoint) or one checkpoint.
pub(super) fn trained(run: &Path, which: Which, quiet: bool) -> Result<Trained> {
    let found = find(run, which)?;
    let checkpoint = Checkpoint::open(&found.checkpoint)?;
    let place = found.checkpoint.display().to_string();
    let config = saved_config(&checkpoint)?;
    let vocabulary = saved_vocabulary(&checkpoint, &config)?;
    note(quiet, &format!("Using the checkpoint `{place}`."));
    Ok(Trained {
        checkpoint,
        config,
        vocabulary: Arc::new(vocabulary),
    })
}

/// The configuration inside a checkpoint.
pub(super) fn saved_config(checkpoint: &Checkpoint) -> Result<Config> {
    let place = checkpoint.path().display().to_string();
    let text = checkpoint.metadata().get("config").ok_or_else(|| {
        Error::data(format!(
            "`{place}` has no configuration: it is not a checkpoint of wlstm"
        ))
        .help("name a checkpoint or a run folder that `wlstm train` has written")
    })?;
    Config::parse(text, &place, Path::new("/"), &[]).map_err(|error| {
        Error::data(format!("the configuration in `{place}` cannot be used"))
            .because(error)
            .help("use the version of wlstm that wrote it")
    })
}

/// The vocabulary inside a checkpoint.
pub(super) fn saved_vocabulary(checkpoint: &Checkpoint, config: &Config) -> Result<Vocabulary> {
    let place = checkpoint.path().display().to_string();
    Vocabulary::from_bytes(
        checkpoint.tensor_u8(names::VOCABULARY)?,
        config.data.order,
        &place,
    )
}

impl Trained {
    /// The model on a device, to compute losses in batches of `extent`.
    pub fn evaluation(
        &self,
        selector: &str,
        extent: Extent,
        quiet: bool,
    ) -> Result<EvaluationSession> {
        let executor = executor(&[selector], quiet)?;
        let words = self.vocabulary.len();
        EvaluationSession::new(executor, &self.config, words, &self.checkpoint, extent)
    }

    /// The model on a device, to generate `streams` texts side by side.
    pub fn generation(
        &self,
        selector: &str,
        streams: usize,
        quiet: bool,
    ) -> Result<GenerationSession> {
        let executor = executor(&[selector], quiet)?;
        let words = self.vocabulary.len();
        GenerationSession::new(executor, &self.config, words, &self.checkpoint, streams)
    }
}
