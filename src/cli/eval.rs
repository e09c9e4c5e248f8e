//! `wlstm eval`: the perplexity of a text.
//!
//! Four lines: `perplexity`, `targets`, `out-of-vocabulary` (targets whose id is the unknown word's) and `log-likelihood`
//! (the sum over all targets, natural logarithm).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::args::{DeviceArgs, Invocation};
use super::context::trained;
use super::messages::note;
use super::output;
use super::progress::{Live, UnknownWords};
use super::text::text;
use crate::checkpoint::Which;
use crate::config::DataConfig;
use crate::corpus::{Corpus, expand};
use crate::error::{Error, Result};
use crate::metrics::is_unlearned;
use crate::numbers::percent;
use crate::train::evaluate::evaluate;
use crate::train::plans::evaluation_extent;
use crate::train::progress::Progress;

/// Print the perplexity of a text
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Prints four lines: perplexity N; targets N; out-of-vocabulary N, the number of targets that are unknown \
    words; log-likelihood N, the natural logarithm of the probability of all targets.\n\
    \n\
    Examples:\n  \
    wlstm eval runs/shakespeare\n  \
    wlstm eval runs/g8/checkpoints/step-00001000.safetensors --data data/wikitext-2/test.txt --json"
)]
pub(super) struct EvalArgs {
    /// Run folder (its best checkpoint), or one checkpoint
    pub run: PathBuf,
    /// Text to read [default: the test files of the run's configuration, else its validation files]
    #[arg(long, value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Read only the first N targets of the text, in the order of batches; 0 reads all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub targets: u64,
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document {
    checkpoint: PathBuf,
    data: Vec<PathBuf>,
    perplexity: f64,
    targets: u64,
    out_of_vocabulary: u64,
    log_likelihood: f64,
}

/// Evaluates.
pub(super) fn run(arguments: &EvalArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let trained = trained(&arguments.run, Which::Best, quiet)?;
    let order = [Kind::Test, Kind::Validation];
    let corpus = Arc::new(corpus(&arguments.data, &trained.config.data, order, quiet)?);
    let extent = evaluation_extent(&trained.config);
    let mut session = trained.evaluation(&arguments.device.device, extent, quiet)?;
    let words = trained.vocabulary.clone();
    let text = text(corpus.clone(), words, trained.config.data.tokens, quiet)?;
    let live = Live::new("evaluating", quiet);
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
    let found = found?;
    if !arguments.data.is_empty() {
        warn_of_training_text(&corpus, &trained.config.data);
    }
    // A model that was imported has no such history.
    let progress = Progress::read(&trained.checkpoint).ok();
    let (share, met) = (found.share_unknown(), progress.and_then(|p| p.unknown));
    let mut unknown_words = UnknownWords::new(&trained.config.data);
    let warning = unknown_words.warning("text", share, is_unlearned(share, met));
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    let document = Document {
        checkpoint: trained.checkpoint.path().to_path_buf(),
        data: (0..corpus.files())
            .map(|file| corpus.path(file).to_path_buf())
            .collect(),
        perplexity: found.perplexity(),
        targets: found.targets,
        out_of_vocabulary: found.unknown,
        log_likelihood: -found.nll,
    };
    if arguments.json {
        return output::print_json(&document);
    }
    let Document {
        perplexity,
        targets,
        out_of_vocabulary,
        log_likelihood,
        ..
    } = document;
    output::print(
        format!(
            "perplexity {perplexity:.4}\ntargets {targets}\nout-of-vocabulary {out_of_vocabulary}\nlog-likelihood {log_likelihood:.4}\n"
        )
        .as_bytes(),
    )
}

/// Says so when a text is one that the model was trained on.
fn warn_of_training_text(corpus: &Corpus, data: &DataConfig) {
    let canonical = |path: &Path| path.canonicalize().ok();
    let Ok(training) = expand(&data.train) else {
        return;
    };
    let training: Vec<PathBuf> = training.iter().filter_map(|path| canonical(path)).collect();
    let mut files = (0..corpus.files()).map(|file| corpus.path(file));
    let is_known = |path: &&Path| canonical(path).is_some_and(|path| training.contains(&path));
    if let Some(known) = files.find(is_known) {
        tracing::warn!(
            "the model was trained on `{}`: its perplexity there says little of other texts",
            known.display()
        );
    }
}

/// A text that a configuration names.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Test,
    Validation,
}

/// The files of `--data`; else the first of these texts that the run's configuration names.
pub(super) fn corpus(
    given: &[PathBuf],
    data: &DataConfig,
    order: [Kind; 2],
    quiet: bool,
) -> Result<Corpus> {
    if !given.is_empty() {
        return Corpus::open(given);
    }
    let open = |kind: Kind| -> Result<Option<Corpus>> {
        match (kind, data.test.as_slice()) {
            (Kind::Test, []) => Ok(None),
            (Kind::Test, test) => Corpus::open(test).map(Some),
            (Kind::Validation, _) => Corpus::validation(data),
        }
    };
    for kind in order {
        let what = match kind {
            Kind::Test => "test",
            Kind::Validation => "validation",
        };
        let opened = open(kind).map_err(|error| {
            error
                .context(format!("cannot use the run's {what} text"))
                .help("name the text with --data FILE")
        })?;
        let Some(corpus) = opened else {
            continue;
        };
        let first = corpus.path(0).display();
        let more = match corpus.files() {
            1 => String::new(),
            files => format!(" and {} more files", files - 1),
        };
        let part = match kind {
            Kind::Validation if data.valid.is_empty() => {
                format!("the last {} of ", percent(data.valid_share))
            }
            _ => String::new(),
        };
        note(
            quiet,
            &format!("Evaluating the run's {what} text: {part}`{first}`{more}."),
        );
        return Ok(corpus);
    }
    Err(
        Error::usage("the run's configuration names neither test nor validation text")
            .help("name the text with --data FILE"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;
    use super::*;

    #[test]
    fn takes_several_files_and_a_device() {
        let line = [
            "runs/a", "--data", "x", "--data", "y", "--device", "gpu", "--json",
        ];
        let eval: EvalArgs = parse(&line).unwrap();
        assert_eq!(eval.data.len(), 2);
        assert_eq!(eval.device.device, "gpu");
        assert!(eval.json);
    }
}
