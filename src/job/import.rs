//! Imports a model: creates a run from parameters in a file.

use std::path::Path;

use super::observer::Observer;
use super::text::{counted_vocabulary, named_vocabulary};
use crate::checkpoint::{Checkpoint, RunFolder, RunRecord, SavedCheckpoint, Status};
use crate::config::Config;
use crate::corpus::{Corpus, Vocabulary};
use crate::error::{Error, Result};
use crate::files::Output;
use crate::interchange::{native, pytorch};
use crate::model::limits::check_sizes;
use crate::model::parameters::{ParameterSpec, parameters};
use crate::tensor::names;
use crate::train::cutoffs::name_cutoffs;
use crate::train::saved::check_parameters;
use crate::train::watch::Event;

/// An imported run.
pub struct ImportedRun {
    /// Its folder.
    pub folder: RunFolder,
    /// Parameters of the model.
    pub parameters: u64,
    /// Words of its vocabulary.
    pub words: usize,
}

/// Creates the run `out` from the parameters in a safetensors file, with the tensor names of PyTorch or of checkpoints. `name` is
/// the name of the run.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if PyTorch does not have this model,
/// [`Kind::Data`](crate::error::Kind::Data) if the file does not fit the configuration or has numbers that
/// are not finite, or the run cannot be created.
pub fn import(
    file: &Path,
    config: &Config,
    name: &str,
    out: &Path,
    mut observer: impl FnMut(Event) + Send,
) -> Result<ImportedRun> {
    let file = Checkpoint::open(file)?;
    let is_pytorch = pytorch::is_pytorch(&file);
    let words = words_of(&file, is_pytorch, config, &mut observer)?;
    let config = &mut config.clone();
    let weight = if is_pytorch {
        pytorch::cluster_weight
    } else {
        names::tail_weight
    };
    name_cutoffs(config, words.len(), Some(&file), weight);
    check_sizes(config, words.len(), 1)?;
    let table = parameters(config, words.len());
    let imported = if is_pytorch {
        Some(pytorch::Imported::new(&file, config, words.len())?)
    } else {
        check_parameters(&file, &table)?;
        None
    };
    let place = file.path().display();
    let check_finite = |parameter: &str, values: &[f32]| {
        if values.iter().all(|x| x.is_finite()) {
            return Ok(());
        }
        Err(Error::data(format!(
            "`{parameter}` in `{place}` has numbers that are not finite"
        ))
        .help("export the model again from a training that did not diverge"))
    };
    let mut current = (String::new(), Default::default());
    let folder = new_run(
        out,
        name,
        config,
        &words,
        |name, parameter, start, values| {
            // A model without moving averages is its own average.
            let own = parameter.name.as_str();
            let Some(imported) = &imported else {
                let name = if file.contains(name) { name } else { own };
                file.read_f32(name, start, values)?;
                return check_finite(name, values);
            };
            if current.0 != name {
                current = (name.to_owned(), imported.values(own)?);
            }
            values.copy_from_slice(&current.1[start..start + values.len()]);
            check_finite(own, values)
        },
    )?;
    Ok(ImportedRun {
        folder,
        parameters: table.iter().map(|line| line.shape.len() as u64).sum(),
        words: words.len(),
    })
}

/// Creates a run whose only checkpoint is that of step 0. `values` gives the elements of each parameter, as for
/// [`native::write_model`].
pub(super) fn new_run(
    out: &Path,
    name: &str,
    config: &Config,
    words: &Vocabulary,
    values: impl FnMut(&str, &ParameterSpec, usize, &mut [f32]) -> Result<()>,
) -> Result<RunFolder> {
    RunFolder::check_free(out)?;
    let folder = RunFolder::create(out)?;
    let filled = fill(&folder, name, config, words, values);
    match filled {
        Ok(()) => Ok(folder),
        Err(error) => {
            folder.abandon();
            Err(error)
        }
    }
}

/// Writes the files of a new run. The checkpoint is the last: a folder without it can be used by another run.
fn fill(
    folder: &RunFolder,
    name: &str,
    config: &Config,
    words: &Vocabulary,
    values: impl FnMut(&str, &ParameterSpec, usize, &mut [f32]) -> Result<()>,
) -> Result<()> {
    folder.write_config(&config.to_toml())?;
    folder.write_record(&RunRecord {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config: name.to_owned(),
        devices: Vec::new(),
        seed: config.train.seed,
        status: Status::Finished,
        best: None,
        last: Some(SavedCheckpoint::new(0, None)),
    })?;
    let out = Output::own(&folder.checkpoint_path(0))?;
    let table = parameters(config, words.len());
    native::write_model(&out, config, &table, &words.to_bytes(), values)
}

/// The vocabulary in the file; without one, that of the configuration.
fn words_of(
    file: &Checkpoint,
    is_pytorch: bool,
    config: &Config,
    observer: &mut Observer<'_>,
) -> Result<Vocabulary> {
    let order = config.data.order;
    let place = file.path().display().to_string();
    let in_file = if is_pytorch {
        pytorch::Imported::words(file)
    } else if file.contains(names::VOCABULARY) {
        Some(file.tensor_u8(names::VOCABULARY)?)
    } else {
        None
    };
    if let Some(words) = in_file {
        let words = Vocabulary::from_bytes(words, order, &place)?;
        words.check_tokenizer(config.data.tokens, &place)?;
        words.check_words(&config.data, &place)?;
        return Ok(words);
    }
    let from = match &config.data.vocab {
        Some(path) => path.display().to_string(),
        None => "the training text".to_owned(),
    };
    observer(Event::Note {
        text: format!(
            "`{place}` has no vocabulary: row k of its tables is used for word k of `{from}`."
        ),
    });
    match &config.data.vocab {
        Some(path) => named_vocabulary(config, path),
        None => counted_vocabulary(config, &Corpus::training(&config.data)?, observer),
    }
}
