//! Opens the model in a file. Every command that uses a trained model opens it here, so that an inconsistent file is refused
//! before any part of it is used.

use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::config::{Config, Tokens};
use crate::corpus::{Vocabulary, WORD_RULE};
use crate::error::{Error, Result};
use crate::model::limits::check_sizes;
use crate::model::parameters::{Group, ParameterSpec, parameters};
use crate::tensor::names::{self, LOSS_SCALE, StateOwner};
use crate::train::cutoffs::name_cutoffs;

/// The name and the shape of a tensor of a file.
type Expected = (String, Vec<usize>);

/// A model in a file, with its configuration and its vocabulary. The names, types and shapes of the tensors are consistent with
/// these.
#[derive(Debug)]
pub struct SavedModel {
    /// The file.
    pub checkpoint: Checkpoint,
    /// The configuration in it.
    pub config: Config,
    /// The vocabulary in it.
    pub vocabulary: Vocabulary,
}

impl SavedModel {
    /// Opens a checkpoint file, or a file of `wlstm export --format native`.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be read, has no configuration or vocabulary, or a tensor is
    /// missing, unknown, or of another type or shape, or a parameter is not finite.
    pub fn open(path: &Path) -> Result<SavedModel> {
        let checkpoint = Checkpoint::open(path)?;
        let mut config = config_of(&checkpoint)?;
        check_word_rule(&checkpoint, &config)?;
        let vocabulary = vocabulary_of(&checkpoint, &config)?;
        let words = vocabulary.len();
        // Earlier versions did not write the cutoffs that they had chosen.
        name_cutoffs(&mut config, words, Some(&checkpoint), names::tail_weight);
        check_sizes(&config, words, 1).map_err(|error| unusable(&checkpoint, error))?;
        let table = parameters(&config, words);
        let mut expected = with_averages(&checkpoint, &table);
        let mut state = training_state(&checkpoint, &config, &table);
        // A file that contains only parameters has no training state.
        state.retain(|(name, _)| checkpoint.contains(name));
        expected.append(&mut state);
        checkpoint.check_parameters(&expected, &names::NOT_PARAMETERS)?;
        for line in &table {
            check_finite(&checkpoint, &line.name)?;
            let average = names::moving_average(&line.name);
            if checkpoint.contains(&average) {
                check_finite(&checkpoint, &average)?;
            }
        }
        Ok(SavedModel {
            checkpoint,
            config,
            vocabulary,
        })
    }
}

/// Whether a file is a model that was trained with an earlier version of `data.tokens = "words"`.
pub fn has_earlier_words(path: &Path) -> bool {
    let checked = Checkpoint::open(path).and_then(|checkpoint| {
        let config = config_of(&checkpoint)?;
        Ok(check_word_rule(&checkpoint, &config).is_err())
    });
    checked.unwrap_or(false)
}

/// Checks that text is split into words as in the training of the model.
fn check_word_rule(checkpoint: &Checkpoint, config: &Config) -> Result<()> {
    let rule = checkpoint.metadata().get(names::WORD_RULE);
    if config.data.tokens != Tokens::Words || rule.is_some_and(|rule| rule == WORD_RULE) {
        return Ok(());
    }
    Err(Error::data(format!(
        "`{}` was trained with another version of `data.tokens = \"words\"`, which this program does not support",
        checkpoint.path().display()
    ))
    .help("train the model again, or use the version of wlstm that wrote it"))
}

/// Checks that all numbers of a tensor are finite. A model with others gives no probabilities.
fn check_finite(checkpoint: &Checkpoint, name: &str) -> Result<()> {
    let (_, values) = checkpoint.tensor_f32(name)?;
    // Without an early exit within a part, the comparison uses vector instructions.
    let is_finite = |part: &[f32]| part.iter().fold(true, |all, value| all & value.is_finite());
    if values.chunks(4096).all(is_finite) {
        return Ok(());
    }
    Err(Error::data(format!(
        "`{name}` in `{}` has numbers that are not finite",
        checkpoint.path().display()
    ))
    .help("the file is damaged, or the training diverged: use another checkpoint"))
}

/// Checks that a file has every parameter of a table, and either all moving averages or none. The training state is not
/// checked, because it may be that of another optimizer.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) naming each tensor that is missing, unknown, or of another type or shape.
pub fn check_parameters(file: &Checkpoint, table: &[ParameterSpec]) -> Result<()> {
    file.check_parameters(&with_averages(file, table), &names::NOT_PARAMETERS)
}

/// The parameters, and their moving averages if the file has any.
fn with_averages(file: &Checkpoint, table: &[ParameterSpec]) -> Vec<Expected> {
    let shape = |line: &ParameterSpec| line.shape.0.clone();
    let mut expected: Vec<Expected> = table
        .iter()
        .map(|line| (line.name.clone(), shape(line)))
        .collect();
    let recurrent = table.iter().filter(|line| line.group == Group::Recurrent);
    let averages: Vec<Expected> = recurrent
        .map(|line| (names::moving_average(&line.name), shape(line)))
        .collect();
    if averages.iter().any(|(name, _)| file.contains(name)) {
        expected.extend(averages);
    }
    expected
}

/// The optimizer state, the recurrent states and the loss scale.
fn training_state(file: &Checkpoint, config: &Config, table: &[ParameterSpec]) -> Vec<Expected> {
    let mut expected = Vec::new();
    for line in table {
        let states = line.optimizer_states(config).into_iter();
        expected.extend(states.map(|name| (name, line.shape.0.clone())));
    }
    let (model, batch) = (&config.model, config.train.batch);
    for layer in 0..model.layers() {
        for (state, width) in [("h", model.output_size()), ("c", model.hidden)] {
            let name =
                StateOwner::Training { micro_batch: 0 }.state(&names::in_layer(layer, state));
            // One batch for each device and micro-batch of the training.
            let streams = match file.shape(&name) {
                Ok(&[streams, _]) if streams > 0 && streams.is_multiple_of(batch) => streams,
                _ => batch,
            };
            expected.push((name, vec![streams, width]));
        }
    }
    if config.train.precision.multiplies_halves() {
        expected.push((LOSS_SCALE.to_owned(), vec![2]));
    }
    expected
}

/// The configuration in a file.
fn config_of(checkpoint: &Checkpoint) -> Result<Config> {
    let place = checkpoint.path().display().to_string();
    let text = checkpoint.metadata().get("config").ok_or_else(|| {
        Error::data(format!(
            "`{place}` contains no configuration: it is not a checkpoint of wlstm"
        ))
        .help("give a checkpoint or a run folder that `wlstm train` has written")
    })?;
    Config::parse(text, &place, Path::new("/"), &[]).map_err(|error| unusable(checkpoint, error))
}

/// The error for a configuration in a file that cannot be used.
fn unusable(checkpoint: &Checkpoint, error: Error) -> Error {
    let place = checkpoint.path().display();
    Error::data(format!("the configuration in `{place}` cannot be used"))
        .because(error)
        .help("use the version of wlstm that wrote it")
}

/// The vocabulary in a file.
fn vocabulary_of(checkpoint: &Checkpoint, config: &Config) -> Result<Vocabulary> {
    let place = checkpoint.path().display().to_string();
    let bytes = checkpoint.tensor_u8(names::VOCABULARY)?;
    let vocabulary = Vocabulary::from_bytes(bytes, config.data.order, &place)?;
    vocabulary.check_tokenizer(config.data.tokens, &place)?;
    Ok(vocabulary)
}
