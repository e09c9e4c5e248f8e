//! `wlstm eval`: the perplexity of a text.
//!
//! Four lines: `perplexity`, `targets`, `out-of-vocabulary` (targets whose id is the unknown word's) and `log-likelihood`
//! (the sum over all targets, natural logarithm).

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::arguments::Eval;
use super::context::{tell, trained};
use super::progress::Live;
use super::text::text;
use crate::checkpoint::Which;
use crate::config::Data;
use crate::corpus::Corpus;
use crate::error::{Error, Result};
use crate::train::evaluate::{evaluate, extent};
use crate::train::session::Inference;

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
pub(super) fn run(arguments: &Eval, quiet: bool) -> Result<()> {
    let trained = trained(&arguments.run, Which::Best, quiet)?;
    let order = [Kind::Test, Kind::Validation];
    let corpus = Arc::new(corpus(&arguments.data, &trained.config.data, order, quiet)?);
    let purpose = Inference::Losses(extent(&trained.config));
    let mut session = trained.session(&arguments.device.device, purpose, quiet)?;
    let words = trained.vocabulary.clone();
    let text = text(corpus.clone(), words, trained.config.data.tokens, quiet)?;
    let live = Live::new("evaluating", quiet);
    let found = evaluate(&mut session, &text, arguments.targets, |done, total| {
        live.show(done, total);
        Ok(())
    });
    live.end();
    let found = found?;
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
        return super::print_json(&document);
    }
    let Document {
        perplexity,
        targets,
        out_of_vocabulary,
        log_likelihood,
        ..
    } = document;
    super::print(
        format!(
            "perplexity {perplexity:.4}\ntargets {targets}\nout-of-vocabulary {out_of_vocabulary}\nlog-likelihood {log_likelihood:.4}\n"
        )
        .as_bytes(),
    )
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
    data: &Data,
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
        tell(
            quiet,
            &format!("Evaluating the run's {what} text: `{first}`{more}."),
        );
        return Ok(corpus);
    }
    Err(
        Error::usage("the run's configuration names neither test nor validation text")
            .help("name the text with --data FILE"),
    )
}
