//! `wlstm import`: a run folder of a model that was not trained here.

use std::path::{Path, PathBuf};

use clap::Args;

use super::args::{Invocation, OverrideArgs};
use super::context::vocabulary;
use super::messages::note;
use super::output;
use crate::checkpoint::{Checkpoint, RunFolder, RunRecord, SavedCheckpoint, Status, run_name};
use crate::config::Config;
use crate::corpus::{Corpus, Vocabulary};
use crate::error::{Error, Result};
use crate::interchange::{native, pytorch};
use crate::model::limits::check_sizes;
use crate::model::parameters::parameters;
use crate::numbers::grouped;
use crate::tensor::names;

/// Make a run from a model of another program, such as PyTorch
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "FILE is a safetensors file as `wlstm export` writes it, with the names of PyTorch (embedding.weight, \
    lstm.weight_ih_l0, ..., softmax.weight, softmax.bias) or of checkpoints. The vocabulary is the one in FILE, else that of \
    data.vocab, else it is counted from data.train. The run works with `wlstm score`, `eval` and `generate`; to train it \
    further: `wlstm train CONFIG --init RUN`.\n\
    \n\
    Example:\n  \
    wlstm import model.safetensors --config configs/wikitext2-lstmp.toml --out runs/imported"
)]
pub(super) struct ImportArgs {
    /// Safetensors file
    pub file: PathBuf,
    /// Configuration of the model (TOML)
    #[arg(long, value_name = "CONFIG")]
    pub config: PathBuf,
    /// Run folder to create
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    /// Overrides.
    #[command(flatten)]
    pub overrides: OverrideArgs,
}

/// Imports.
pub(super) fn run(arguments: &ImportArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let config = Config::load(&arguments.config, &arguments.overrides.set)?;
    let file = Checkpoint::open(&arguments.file)?;
    let is_pytorch = pytorch::is_pytorch(&file);
    let words = words(&file, is_pytorch, &config, quiet)?;
    check_sizes(&config, words.len(), 1)?;
    let table = parameters(&config, words.len());
    let imported = match is_pytorch {
        true => Some(pytorch::Imported::new(&file, &config, words.len())?),
        false => {
            native::check(&file, &table)?;
            None
        }
    };
    let place = file.path().display();
    let finite = |parameter: &str, values: &[f32]| match values.iter().all(|x| x.is_finite()) {
        true => Ok(()),
        false => Err(Error::data(format!(
            "`{parameter}` in `{place}` has numbers that are not finite"
        ))
        .help("export the model again from a training that did not diverge")),
    };
    let mut now = (String::new(), Default::default());
    let folder = new_run(
        &arguments.out,
        &run_name(&arguments.config),
        &config,
        &words,
        |parameter, start, values| {
            // A model without moving averages stands for its own.
            let own = names::parameter_of(parameter);
            let Some(imported) = &imported else {
                let name = if file.contains(parameter) {
                    parameter
                } else {
                    own
                };
                file.read_f32(name, start, values)?;
                return finite(name, values);
            };
            if now.0 != parameter {
                now = (parameter.to_owned(), imported.values(own)?);
            }
            values.copy_from_slice(&now.1[start..start + values.len()]);
            finite(own, values)
        },
    )?;
    let parameters: usize = table.iter().map(|line| line.shape.len()).sum();
    note(
        quiet,
        &format!(
            "Made the run `{}` of {} parameters and {} words.",
            folder.path().display(),
            grouped(parameters as u64),
            grouped(words.len() as u64)
        ),
    );
    output::print(format!("run {}\n", folder.path().display()).as_bytes())
}

/// Makes the run of a model that was not trained: its checkpoint is of step 0, and has the values that are given by name, from an
/// element on.
pub(super) fn new_run(
    out: &Path,
    name: &str,
    config: &Config,
    words: &Vocabulary,
    values: impl FnMut(&str, usize, &mut [f32]) -> Result<()>,
) -> Result<RunFolder> {
    let folder = RunFolder::create(out)?;
    let (path, table) = (folder.checkpoint_path(0), parameters(config, words.len()));
    native::write_model(&path, config, &table, &words.to_bytes(), values)?;
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
    Ok(folder)
}

/// The words in the file, or else those of the configuration.
fn words(file: &Checkpoint, is_pytorch: bool, config: &Config, quiet: bool) -> Result<Vocabulary> {
    let order = config.data.order;
    let place = file.path().display().to_string();
    if is_pytorch && let Some(words) = pytorch::Imported::words(file) {
        return Vocabulary::from_bytes(words, order, &place);
    }
    if !is_pytorch && file.contains(names::VOCABULARY) {
        return Vocabulary::from_bytes(file.tensor_u8(names::VOCABULARY)?, order, &place);
    }
    let from = match &config.data.vocab {
        Some(path) => path.display().to_string(),
        None => "the training text".to_owned(),
    };
    note(
        quiet,
        &format!(
            "There are no words in `{place}`: row k of its tables is taken for word k of `{from}`."
        ),
    );
    let corpus = match config.data.vocab {
        // What is not read need not be there.
        Some(_) => None,
        None => Some(Corpus::training(&config.data)?),
    };
    vocabulary(config, corpus.as_ref(), quiet)
}
