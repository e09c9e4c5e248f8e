//! Prepares a comparison: opens the texts, chooses sizes and the length of turns, and creates the folder.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::equal::Equal;
use super::folder::ComparisonFolder;
use super::models::{Model, rounds, with_other_tokens};
use super::request::Comparison;
use super::run::ReadyComparison;
use crate::checkpoint::{Which, find, lock_folder};
use crate::config::DataConfig;
use crate::device::{Device, choose};
use crate::error::{Error, Result};
use crate::files;
use crate::job::executors::workload_of;
use crate::job::observer::Observer;
use crate::job::origin::missing_text;
use crate::job::resume::{IF_ONLY_OF_COMPARISON, open_newest};
use crate::job::text::{TextFiles, Texts, vocabulary};
use crate::model::limits::check_sizes;
use crate::numbers::bytes;
use crate::report::{Measure, measure};
use crate::tensor::names;
use crate::train::cutoffs::name_cutoffs;
use crate::train::estimate::{Estimate, RunSpec, Topology};
use crate::train::run::SharedTargets;
use crate::train::watch::Event;

/// The name of a span of the log in which a warning that was already printed is not printed again.
pub const ONCE: &str = "once";

/// The shortest and the longest turn, in seconds.
const TURN: [f64; 2] = [1.0, 5.0];

impl Comparison {
    /// Opens the texts and creates the folder: `out`, by default the next `runs/compare-N`.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) for a device selector that cannot be read,
    /// [`Kind::Data`](crate::error::Kind::Data) if a text or the folder cannot be used,
    /// [`Kind::Device`](crate::error::Kind::Device) if there is no such device.
    pub fn prepare(
        self,
        out: Option<&Path>,
        mut observer: impl FnMut(Event) + Send,
    ) -> Result<ReadyComparison> {
        prepare(self, out, &mut observer)
    }
}

/// Opens the texts and creates the folder.
fn prepare(
    comparison: Comparison,
    out: Option<&Path>,
    observer: &mut Observer<'_>,
) -> Result<ReadyComparison> {
    let choice = choose(&[&comparison.spec.device])?;
    observer(Event::Device {
        reason: choice.reason,
    });
    let texts = open_texts(&comparison, observer)?;
    let Comparison {
        mut spec,
        mut models,
        folder,
        equal,
        options,
        ..
    } = comparison;
    if let Some(equal) = equal {
        equalise(equal, &mut models, &texts, observer)?;
    }
    if folder.is_none() {
        for (model, texts) in models.iter_mut().zip(&texts) {
            let words = texts.vocabulary.len();
            name_cutoffs(&mut model.config, words, None, names::tail_weight);
        }
        spec.set_configs(&models);
    }
    for (model, texts) in models.iter().zip(&texts) {
        check_sizes(&model.config, texts.vocabulary.len(), 1)
            .map_err(|error| error.context(format!("`{}` cannot be trained", model.label)))?;
    }
    let round = rounds(&models).next().unwrap_or(0..0);
    let turn = turn(
        &models[round.clone()],
        &texts[round],
        &choice.device,
        observer,
    );
    let folder = match (folder, out) {
        (Some(folder), _) => folder,
        (None, Some(out)) => ComparisonFolder::create(out)?,
        (None, None) => ComparisonFolder::create_numbered(Path::new(""))?,
    };
    let lock = lock_folder(folder.path())?;
    files::sweep(folder.path())?;
    folder.write(&spec)?;
    Ok(ReadyComparison {
        spec,
        texts,
        folder,
        options,
        turn,
        targets: shared_targets(&models),
        models,
        _lock: lock,
    })
}

/// Chooses the sizes of the models so that they equal the first one.
fn equalise(
    equal: Equal,
    models: &mut [Model],
    texts: &[Texts],
    observer: &mut Observer<'_>,
) -> Result<()> {
    let (first, label) = (models[0].config.clone(), models[0].row().to_owned());
    if equal == Equal::Flops
        && let Some(other) = with_other_tokens(models)
    {
        return Err(Error::usage(format!(
            "`{label}` and `{}` have different tokens, so their FLOPs per word cannot be equal",
            other.row()
        ))
        .help("compare with --equal parameters"));
    }
    let target = equal.of(&first, texts[0].vocabulary.len());
    let mut said = BTreeSet::new();
    for (model, texts) in models.iter_mut().zip(texts) {
        let own = model.row().to_owned();
        if own == label {
            continue;
        }
        let words = texts.vocabulary.len();
        let text = equal.apply(&mut model.config, words, &own, &label, target)?;
        // The runs of a model with other seeds have the same size.
        if said.insert(own) {
            observer(Event::Note { text });
        }
    }
    Ok(())
}

/// The number of targets of the validations of each model. Models with the same tokens share it.
fn shared_targets(models: &[Model]) -> Vec<Arc<SharedTargets>> {
    let mut all: Vec<Arc<SharedTargets>> = Vec::new();
    for model in models {
        let is_same = |other: &Model| {
            measure(&other.config.data, &model.config.data) == Ok(Measure::Perplexity)
        };
        let known = models[..all.len()].iter().position(is_same);
        all.push(known.map_or_else(Arc::default, |known| all[known].clone()));
    }
    all
}

/// The texts of every model. Models with the same text settings share them. Notes and warnings about a text are the same for most
/// kinds of tokens, so each is reported once.
fn open_texts(comparison: &Comparison, observer: &mut Observer<'_>) -> Result<Vec<Texts>> {
    let _span = tracing::warn_span!(ONCE).entered();
    let mut said = BTreeSet::new();
    let observer = &mut |event: Event| match &event {
        Event::Note { text } if !said.insert(text.clone()) => {}
        _ => observer(event),
    };
    let folder = comparison.folder.as_ref();
    let mut opened: Vec<(&DataConfig, Texts)> = Vec::new();
    let mut all = Vec::new();
    for model in &comparison.models {
        let (config, data) = (&model.config, &model.config.data);
        if let Some((_, texts)) = opened.iter().find(|(other, _)| *other == data) {
            all.push(texts.clone());
            continue;
        }
        let missing = |key: &str| {
            match folder {
            None => missing_text(key, &model.file, &comparison.overrides),
            Some(_) => Some("the comparison needs it: restore the text, or start a new comparison without --resume".to_owned()),
        }
        };
        let files = TextFiles::open(data, missing, observer)?;
        // If the run has a checkpoint, the vocabulary is in it.
        let run = folder.map(|folder| folder.run(&model.folder));
        let words = match run.map(|run| find(&run, Which::Last)) {
            Some(Ok(found)) => {
                let newest = &found.checkpoint;
                let run = found.run.as_deref().unwrap_or(newest);
                open_newest(run, newest, IF_ONLY_OF_COMPARISON)?.vocabulary
            }
            _ => vocabulary(config, &files.train, observer)?,
        };
        let texts = Texts::read(
            files,
            Arc::new(words),
            data.tokens,
            &comparison.caching,
            observer,
        )?;
        opened.push((data, texts.clone()));
        all.push(texts);
    }
    Ok(all)
}

/// The length of a turn. None if the models do not fit into memory together: they then train one after another.
fn turn(
    models: &[Model],
    texts: &[Texts],
    device: &Device,
    observer: &mut Observer<'_>,
) -> Option<Duration> {
    let memory = device.memory_info();
    let (mut device_bytes, mut host_bytes) = (0, 0);
    for (model, texts) in models.iter().zip(texts) {
        let limits = device.limits(workload_of(model.config.train.precision));
        let run = RunSpec {
            config: &model.config,
            vocabulary: texts.vocabulary.len(),
            topology: Topology::SINGLE,
        };
        let estimate = Estimate::of(&run, &limits, memory.model);
        device_bytes += estimate.need(&memory, 1, Topology::SINGLE);
        host_bytes += estimate.need_of_host(&memory, Topology::SINGLE);
    }
    let exceeds = |need: u64, available: Option<u64>| available.is_some_and(|bytes| need > bytes);
    if exceeds(device_bytes, memory.bytes) || exceeds(host_bytes, memory.host) {
        observer(Event::Note {
            text: format!(
                "All models together need {} of memory, more than is available: they train one after another, not in turns.",
                bytes(device_bytes.max(host_bytes))
            ),
        });
        return None;
    }
    let seconds = models[0].config.train.seconds;
    let turn = if seconds > 0.0 {
        (seconds / 12.0).clamp(TURN[0], TURN[1])
    } else {
        TURN[1]
    };
    Some(Duration::from_secs_f64(turn))
}
