//! `wlstm factorize`: turns a trained model with dense cells into one with factorized or grouped cells.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::args::{DeviceArgs, Invocation, ParameterArgs};
use super::messages::note;
use super::next::{device_options, longer, program, proposals};
use super::output;
use super::preparation::{shown, trained};
use crate::corpus::Corpus;
use crate::error::{Result, quoted};
use crate::job::factorize::{Kept, Method};
use crate::job::{ConfiguredText, EvaluationOptions, Trained};
use crate::model::cost::cost;
use crate::numbers::{decimal, grouped, percent};
use crate::report::{Column, Table};

/// Convert a trained lstmp model to an flstm or glstm model, for further training
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "--factor keeps the largest singular values of each gate matrix. --groups keeps its diagonal blocks, after \
    permuting cells, inputs and outputs so that the blocks contain as much of the matrix as possible. Prints the share of each \
    layer that is kept, and the perplexity before and after. Then train the new run:\n  \
    wlstm train OUT/config.toml --init OUT --out TUNED\n\
    \n\
    Examples:\n  \
    wlstm factorize runs/lstmp --factor 128 --out runs/f128\n  \
    wlstm factorize runs/lstmp --groups 4,8 --out runs/g4-8"
)]
#[command(group(clap::ArgGroup::new("how").required(true).args(["factor", "groups"])))]
pub(super) struct FactorizeArgs {
    /// Run folder (its best checkpoint), or one checkpoint, with `lstmp` cells
    pub run: PathBuf,
    /// Singular values to keep: one number, or one per layer, for example 64,128
    #[arg(long, value_name = "R", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub factor: Vec<u32>,
    /// Groups: one number, or one per layer, for example 4,8
    #[arg(long, value_name = "G", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub groups: Vec<u32>,
    /// Run folder to create
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    /// Text for the perplexities [default: the validation files of the run's configuration, else its test files]
    #[arg(long, value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Read only the first N targets of the text, in the order of batches; 0 reads all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub targets: u64,
    /// Seed of the search for a permutation
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The parameters to use.
    #[command(flatten)]
    pub parameters: ParameterArgs,
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// The output of `--json`.
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

/// Factorizes.
pub(super) fn run(arguments: &FactorizeArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let before = trained(&arguments.run, &arguments.parameters, invocation)?
        .device(&arguments.device.device);
    let numbers = |given: &[u32]| given.iter().map(|number| *number as usize).collect();
    let method = if arguments.groups.is_empty() {
        Method::Factors(numbers(&arguments.factor))
    } else {
        Method::Groups {
            groups: numbers(&arguments.groups),
            seed: arguments.seed,
        }
    };
    let out = &arguments.out;
    let factorization = before.factorization(method, out)?;
    // Errors here come before work that may take minutes.
    let corpus = text(arguments, &before, quiet)?;
    note(quiet, "Factorizing ...");
    let kept = factorization.make(&arguments.run)?;
    let perplexity = match corpus {
        None => None,
        Some(corpus) => {
            let after = Trained::open(out)?.device(&arguments.device.device);
            let options = EvaluationOptions {
                targets: arguments.targets,
                ..EvaluationOptions::default()
            };
            Some(Change {
                before: before.evaluate_corpus(corpus.clone(), options)?,
                after: shown(after, invocation, true).evaluate_corpus(corpus, options)?,
            })
        }
    };
    let perplexity = perplexity.map(|Change { before, after }| Change {
        before: before.perplexity(),
        after: after.perplexity(),
    });
    let config = factorization.config();
    let words = before.vocabulary().len();
    let (cost_before, cost_after) = (cost(before.config(), words), cost(config, words));
    if cost_after.recurrent >= cost_before.recurrent {
        note(
            quiet,
            "The model is not smaller than before. Choose a lower --factor.",
        );
    }
    let document = Document {
        run: out.clone(),
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
    if arguments.json {
        output::print_json(&document)?;
    } else {
        output::print(document.text(output::terminal_width()).as_bytes())?;
    }
    let place = quoted(&out.display().to_string());
    let (program, limit) = (program(), longer(&config.train, 0.5));
    let rate = config.train.learning_rate / 2.0;
    let device = device_options(std::slice::from_ref(&arguments.device.device));
    note(
        quiet,
        &proposals(
            "Next",
            &[(
                "train it further, at half the learning rate, for half as long",
                format!(
                    "{program} train {place}/config.toml --init {place} --set train.learning_rate={rate}{limit}{device} --out {place}-tuned"
                ),
            )],
        ),
    );
    Ok(())
}

/// The text that the perplexities are measured on, if there is one.
fn text(arguments: &FactorizeArgs, model: &Trained, quiet: bool) -> Result<Option<Arc<Corpus>>> {
    let data = &model.config().data;
    let corpus = if !arguments.data.is_empty() {
        model.open_text(&arguments.data)?
    } else if data.validates() || !data.test.is_empty() {
        model.configured_text(&[ConfiguredText::Validation, ConfiguredText::Test])?
    } else {
        note(
            quiet,
            "The configuration of the run names no validation text, so no perplexity is measured. Name a text with --data.",
        );
        return Ok(None);
    };
    Ok(Some(Arc::new(corpus)))
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
        let mut out = String::from("share of the squared norm of each gate matrix that is kept\n");
        out += &table.text(width);
        out.push('\n');
        let mut line = |name: &str, before: String, after: String| {
            out += &format!("{name:<22}{before:>16} -> {after}\n");
        };
        let whole = |change: &Change<u64>| (grouped(change.before), grouped(change.after));
        let (before, after) = whole(&self.recurrent_parameters);
        line("recurrent parameters", before, after);
        let (before, after) = whole(&self.flops_per_word);
        line("FLOPs per word", before, after);
        if let Some(Change { before, after }) = self.perplexity {
            line("perplexity", decimal(before), decimal(after));
        }
        out += &format!("run {}\n", self.run.display());
        out
    }
}
