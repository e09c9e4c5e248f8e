//! `wlstm factorize`: a trained model of dense cells as one of factorized or grouped cells.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::args::{DeviceArgs, Invocation};
use super::context::{Trained, trained};
use super::eval::{Kind, corpus};
use super::import::new_run;
use super::messages::note;
use super::next::{device_options, longer, program};
use super::output;
use super::progress::Live;
use super::text::text;
use crate::cell::{CellKind, Flstm, Glstm};
use crate::checkpoint::{RunFolder, RunRecord, Which};
use crate::config::Config;
use crate::corpus::Corpus;
use crate::error::{Error, Result, quoted};
use crate::factorize::factors::{self, Spectrum};
use crate::factorize::groups::{self, Blocks};
use crate::factorize::{Changed, Model};
use crate::model::cost::cost;
use crate::model::parameters::parameters;
use crate::numbers::{grouped, percent};
use crate::report::{Column, Table};
use crate::tensor::names;
use crate::train::evaluate::evaluate;
use crate::train::plans::evaluation_extent;

/// Turn a trained lstmp model into an flstm or a glstm, to be trained further
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "--factor keeps the largest singular values of each gate matrix; --groups keeps blocks of it, in an order of cells, inputs \
    and outputs in which they hold much. Prints what is kept of each layer, and the perplexity before and after. The new run is \
    the start of a training:\n  \
    wlstm train OUT/config.toml --init OUT --out TUNED\n\n\
    Examples:\n  \
    wlstm factorize runs/lstmp --factor 128 --out runs/f128\n  \
    wlstm factorize runs/lstmp --groups 4,8 --out runs/g4-8"
)]
#[command(group(clap::ArgGroup::new("how").required(true).args(["factor", "groups"])))]
pub(super) struct FactorizeArgs {
    /// A run folder (its best checkpoint) or one checkpoint, of `lstmp` cells
    pub run: PathBuf,
    /// The singular values that are kept: one number, or one for each layer, as 64,128
    #[arg(long, value_name = "R", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub factor: Vec<u32>,
    /// The groups: one number, or one for each layer, as 4,8
    #[arg(long, value_name = "G", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub groups: Vec<u32>,
    /// The run folder that is made
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    /// The text of the perplexities; by default the validation files of the run's configuration, or its test files
    #[arg(long, value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Only the first N targets of the text, in the order of batches; 0: all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub targets: u64,
    /// The key of the random numbers of the search for an order
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Prints one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document {
    run: PathBuf,
    recurrent_parameters: Change<u64>,
    flops_per_word: Change<u64>,
    /// None without a text.
    perplexity: Option<Change<f64>>,
    #[serde(flatten)]
    kept: Kept,
}

#[derive(Serialize)]
struct Change<T> {
    before: T,
    after: T,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Factors(Vec<Spectrum>),
    Groups(Vec<Blocks>),
}

/// Factorizes.
pub(super) fn run(arguments: &FactorizeArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let before = trained(&arguments.run, Which::Best, quiet)?;
    let model = Model {
        checkpoint: &before.checkpoint,
        config: &before.config,
    };
    model.check_dense()?;
    let layers = before.config.model.layers();
    let per_layer = |option: &str, given: &[u32]| -> Result<Vec<usize>> {
        let given: Vec<usize> = given.iter().map(|number| *number as usize).collect();
        match given.as_slice() {
            [one] => Ok(vec![*one; layers]),
            all if all.len() == layers => Ok(given),
            all => Err(Error::usage(format!(
                "`{option}` has {} numbers, and the model {layers} layers",
                all.len()
            ))
            .help("give one number for all layers, or one for each, as 4,8")),
        }
    };
    let (key, given) = match arguments.groups.is_empty() {
        true => ("factor", per_layer("--factor", &arguments.factor)?),
        false => ("groups", per_layer("--groups", &arguments.groups)?),
    };
    let config = changed_config(&before.config, key, &given)?;
    RunFolder::check_free(&arguments.out)?;
    // Before the work, which may take minutes.
    let data = &before.config.data;
    let has_text = data.validates() || !data.test.is_empty() || !arguments.data.is_empty();
    let corpus = match has_text {
        false => {
            note(
                quiet,
                "The run names no validation text: no perplexity is measured; --data names one.",
            );
            None
        }
        true => {
            let order = [Kind::Validation, Kind::Test];
            Some(Arc::new(corpus(&arguments.data, data, order, quiet)?))
        }
    };
    note(quiet, "Factorizing ...");
    let (changed, kept) = match key {
        "factor" => {
            let (changed, spectra) = factors::factorize(&model, &given)?;
            (changed, Kept::Factors(spectra))
        }
        _ => {
            let (changed, blocks) = groups::factorize(&model, &given, arguments.seed)?;
            (changed, Kept::Groups(blocks))
        }
    };
    let folder = write(arguments, &model, &changed, &config, &before)?;
    let perplexity = match corpus {
        None => None,
        Some(corpus) => {
            let after = trained(&folder, Which::Best, true)?;
            let [before, after] = [("before", &before), ("after", &after)]
                .map(|(what, model)| perplexity(arguments, model, corpus.clone(), what, quiet));
            Some(Change {
                before: before?,
                after: after?,
            })
        }
    };
    let words = before.vocabulary.len();
    let (cost_before, cost_after) = (cost(&before.config, words), cost(&config, words));
    if cost_after.recurrent >= cost_before.recurrent {
        note(
            quiet,
            "The model is no smaller than before: a lower --factor makes it so.",
        );
    }
    let document = Document {
        run: folder.clone(),
        recurrent_parameters: Change {
            before: cost_before.recurrent,
            after: cost_after.recurrent,
        },
        flops_per_word: Change {
            before: cost_before.flops_per_word,
            after: cost_after.flops_per_word,
        },
        perplexity,
        kept,
    };
    match arguments.json {
        true => output::print_json(&document)?,
        false => output::print(document.text(output::terminal_width()).as_bytes())?,
    }
    let place = quoted(&folder.display().to_string());
    let (program, limit) = (program(), longer(&config.train, 0.5));
    let rate = config.train.learning_rate / 2.0;
    let device = device_options(std::slice::from_ref(&arguments.device.device));
    note(
        quiet,
        &format!(
            "\nNext, training it further, at half the learning rate for half as long:\n  {program} train {place}/config.toml --init {place} \
             --set train.learning_rate={rate}{limit}{device} --out {place}-tuned"
        ),
    );
    Ok(())
}

/// The configuration with other cells.
fn changed_config(before: &Config, key: &str, given: &[usize]) -> Result<Config> {
    let cell: &dyn CellKind = if key == "factor" { &Flstm } else { &Glstm };
    let numbers: Vec<String> = given.iter().map(usize::to_string).collect();
    let sets = [
        format!("model.cell={}", cell.name()),
        format!("model.{key}=[{}]", numbers.join(", ")),
    ];
    Config::parse(
        &before.to_toml(),
        "the run's configuration",
        Path::new("/"),
        &sets,
    )
}

/// Makes the run; gives its folder.
fn write(
    arguments: &FactorizeArgs,
    model: &Model<'_>,
    changed: &Changed,
    config: &Config,
    before: &Trained,
) -> Result<PathBuf> {
    let name = RunRecord::read(&arguments.run)
        .map(|record| record.config)
        .unwrap_or_else(|_| "factorized".to_owned());
    let table = parameters(config, before.vocabulary.len());
    let words = &before.vocabulary;
    let folder = new_run(
        &arguments.out,
        &name,
        config,
        words,
        |parameter, start, values| {
            let own = names::parameter_of(parameter);
            let line = table.iter().find(|line| line.name == own);
            let all = model.changed(changed, line.expect("a parameter of the model"))?;
            values.copy_from_slice(&all[start..start + values.len()]);
            Ok(())
        },
    )?;
    Ok(folder.path().to_path_buf())
}

fn perplexity(
    arguments: &FactorizeArgs,
    model: &Trained,
    corpus: Arc<Corpus>,
    what: &'static str,
    quiet: bool,
) -> Result<f64> {
    let extent = evaluation_extent(&model.config);
    let quiet_device = quiet || what == "after";
    let mut session = model.evaluation(&arguments.device.device, extent, quiet_device)?;
    let text = text(
        corpus,
        model.vocabulary.clone(),
        model.config.data.tokens,
        quiet,
    )?;
    let live = Live::new(what, quiet);
    let found = evaluate(
        session.evaluator(),
        &text,
        arguments.targets,
        |done, total| {
            live.show(done, total);
            Ok(())
        },
    );
    live.end();
    Ok(found?.perplexity())
}

impl Document {
    fn text(&self, width: Option<usize>) -> String {
        let table = match &self.kept {
            Kept::Factors(spectra) => {
                let names = [
                    "layer",
                    "r",
                    "of",
                    "kept",
                    "at r/2",
                    "at 2r",
                    "largest",
                    "last kept",
                    "first lost",
                ];
                let mut table = Table::new(names.map(Column::numbers));
                for spectrum in spectra {
                    let value = |k: usize| match spectrum.values.get(k) {
                        Some(value) => format!("{value:.3}"),
                        None => "-".to_owned(),
                    };
                    let r = spectrum.factor;
                    table.row([
                        spectrum.layer.to_string(),
                        r.to_string(),
                        spectrum.values.len().to_string(),
                        percent(spectrum.kept),
                        match r {
                            1 => "-".to_owned(),
                            r => percent(spectrum.share(r / 2)),
                        },
                        percent(spectrum.share(2 * r)),
                        value(0),
                        value(r - 1),
                        value(r),
                    ]);
                }
                table
            }
            Kept::Groups(blocks) => {
                let names = ["layer", "G", "kept", "without an order"];
                let mut table = Table::new(names.map(Column::numbers));
                for block in blocks {
                    table.row([
                        block.layer.to_string(),
                        block.groups.to_string(),
                        percent(block.kept),
                        percent(block.kept_unordered),
                    ]);
                }
                table
            }
        };
        let mut out = String::from("kept of the squares of each gate matrix\n");
        out += &table.text(width);
        out.push('\n');
        let mut line = |name: &str, before: String, after: String| {
            writeln!(out, "{name:<22}{before:>16} -> {after}").expect("strings take everything");
        };
        let whole = |change: &Change<u64>| (grouped(change.before), grouped(change.after));
        let (before, after) = whole(&self.recurrent_parameters);
        line("recurrent parameters", before, after);
        let (before, after) = whole(&self.flops_per_word);
        line("FLOPs per word", before, after);
        if let Some(Change { before, after }) = self.perplexity {
            line("perplexity", format!("{before:.2}"), format!("{after:.2}"));
        }
        out += &format!("run {}\n", self.run.display());
        out
    }
}
