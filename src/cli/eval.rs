//! `wlstm eval`: the perplexity of a text.
//!
//! Lines: `perplexity`, `targets`, `out-of-vocabulary` (targets whose id is the unknown word's), `log-likelihood` (the sum over
//! all targets, natural logarithm), `unigram` (the perplexity of the unigram model, if the words of the model have counts),
//! `bits-per-byte`, `bytes` (of the targets) and `streams`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::args::{DeviceArgs, Invocation, ParameterArgs};
use super::output;
use super::preparation::trained;
use super::progress::UnknownWords;
use crate::error::Result;
use crate::job::{ConfiguredText, EvaluationOptions};

/// Print the perplexity of a text
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Prints these lines: perplexity N; targets N; out-of-vocabulary N, the number of targets that are unknown \
    words; log-likelihood N, the natural logarithm of the probability of all targets; unigram N, the perplexity of the unigram \
    model (word frequencies of the training text), if the vocabulary has counts; bits-per-byte N, the negative log-likelihood in \
    bits over the bytes of the targets, which compares models of words, subwords and characters; bytes N; streams N. \
    bits-per-byte at-least N is a lower bound: some targets are unknown words, and the bits that identify these words are not \
    counted.\n\
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
    /// Evaluate N targets, sampled evenly from the whole text; 0: all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub targets: u64,
    /// Read the text in N streams, each of which starts at its own position with a zero state. One stream reads the text as one
    /// sequence; more are faster on GPUs. With as many as the validations of the run, the result is theirs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = streams, allow_negative_numbers = true)]
    pub streams: usize,
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
    checkpoint: PathBuf,
    data: Vec<PathBuf>,
    perplexity: f64,
    targets: u64,
    out_of_vocabulary: u64,
    log_likelihood: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unigram: Option<f64>,
    streams: usize,
    bytes: u64,
    bits_per_byte: Option<f64>,
    /// Whether some targets are unknown words.
    bits_per_byte_is_lower_bound: bool,
}

/// The maximum of `--streams`.
const MAX_STREAMS: usize = 1 << 16;

/// Parses a number of streams.
fn streams(text: &str) -> std::result::Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if (1..=MAX_STREAMS).contains(&number) => Ok(number),
        _ => Err(format!("give a whole number from 1 to {MAX_STREAMS}")),
    }
}

/// Evaluates.
pub(super) fn run(arguments: &EvalArgs, invocation: &Invocation) -> Result<()> {
    let trained = trained(&arguments.run, &arguments.parameters, invocation)?
        .device(&arguments.device.device);
    let corpus = Arc::new(if arguments.data.is_empty() {
        trained.configured_text(&[ConfiguredText::Test, ConfiguredText::Validation])?
    } else {
        trained.open_text(&arguments.data)?
    });
    let options = EvaluationOptions {
        targets: arguments.targets,
        streams: arguments.streams,
    };
    let found = trained.evaluate_corpus(corpus.clone(), options)?;
    if !arguments.data.is_empty()
        && let Some(known) = trained.trained_on(&corpus)
    {
        tracing::warn!(
            "the model was trained on `{}`: the perplexity of training text says little about other texts",
            known.display()
        );
    } else if let Some(warning) = trained.overlap_with_training(&corpus) {
        tracing::warn!("{warning}");
    }
    let warning = UnknownWords::warning_of_model(&trained, "text", found.unknown, found.targets);
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    let document = Document {
        checkpoint: trained.checkpoint().path().to_path_buf(),
        data: (0..corpus.files())
            .map(|file| corpus.path(file).to_path_buf())
            .collect(),
        perplexity: found.perplexity(),
        targets: found.targets,
        out_of_vocabulary: found.unknown,
        log_likelihood: -found.nll,
        unigram: found.unigram_perplexity(),
        streams: options.streams,
        bytes: found.bytes,
        bits_per_byte: found.bits_per_byte(),
        bits_per_byte_is_lower_bound: found.is_lower_bound(),
    };
    if arguments.json {
        return output::print_json(&document);
    }
    output::print(document.text().as_bytes())
}

impl Document {
    /// The lines of the output without `--json`.
    fn text(&self) -> String {
        let Document {
            perplexity,
            targets,
            out_of_vocabulary,
            log_likelihood,
            streams,
            bytes,
            ..
        } = self;
        let unigram = self
            .unigram
            .map_or_else(String::new, |unigram| format!("unigram {unigram:.4}\n"));
        let least = if self.bits_per_byte_is_lower_bound {
            "at-least "
        } else {
            ""
        };
        let bits = self.bits_per_byte.map_or_else(String::new, |bits| {
            format!("bits-per-byte {least}{bits:.4}\n")
        });
        format!(
            "perplexity {perplexity:.4}\ntargets {targets}\nout-of-vocabulary {out_of_vocabulary}\n\
             log-likelihood {log_likelihood:.4}\n{unigram}{bits}bytes {bytes}\nstreams {streams}\n"
        )
    }
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
