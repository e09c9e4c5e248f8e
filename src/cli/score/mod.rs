//! `wlstm score`: the log-probability of every line, printed as the lines arrive.
//!
//! A thread reads the lines. Lines of a file are scored in large batches. Lines of standard input are scored as soon as they
//! arrive, because a person or a program may wait for the score of a line.

mod lines;
mod scoring;
mod summary;

use std::io::{BufReader, stdin};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use lines::{Waiting, read, read_file};
use scoring::{Rows, Scoring};

use super::args::{DeviceArgs, Invocation, ParameterArgs};
use super::messages::note;
use super::output;
use super::preparation::trained;
use super::progress::UnknownWords;
use crate::error::Result;
use crate::train::score::Scorer;

/// Print the log-probability of each line of a text
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Each output line has four columns separated by tabs: log-probability (natural logarithm), tokens, \
    out-of-vocabulary tokens, the line. Every line is scored independently; its end counts as a token. A word that is not in \
    the vocabulary is scored as the unknown word `<UNK>`, whose probability is that of all unknown words together.\n\
    \n\
    Each line starts from a zero state. `wlstm eval` reads a text in contiguous order as one sequence, so its perplexity is \
    lower.\n\
    \n\
    Lines from standard input are scored as they arrive, in order. On the CPU, the score of a line has the same digits whichever \
    lines are scored with it; on a GPU, the last digits may differ. At the end, perplexities with and without \
    out-of-vocabulary words are printed to standard error, in the format of KenLM, and then the bits per byte of the text, line \
    ends included. `at least` marks a lower bound: some words are out of the vocabulary, and the bits that identify them are \
    not counted.\n\
    \n\
    Examples:\n  \
    echo 'the cat sat' | wlstm score runs/lm1b-g4\n  \
    wlstm score runs/lm1b-g4 text.txt --words > words.tsv\n  \
    wlstm score runs/lm1b-g4 text.txt --summary"
)]
pub(super) struct ScoreArgs {
    /// Run folder (its best checkpoint), or one checkpoint
    pub run: PathBuf,
    /// Text file, one sentence per line; - is standard input [default: standard input]
    pub file: Option<PathBuf>,
    /// Print a row for each word: line number, log-probability, 1 if it is out of the vocabulary, the word
    #[arg(long, conflicts_with = "summary")]
    pub words: bool,
    /// Print only totals: perplexity with and without out-of-vocabulary words, their number, the number of tokens, and bits per
    /// byte
    #[arg(long)]
    pub summary: bool,
    /// Print the totals as one JSON document
    #[arg(long, requires = "summary")]
    pub json: bool,
    /// The parameters to use.
    #[command(flatten)]
    pub parameters: ParameterArgs,
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Whether to escape.
    #[command(flatten)]
    pub raw: output::RawArgs,
}

/// Scores.
pub(super) fn run(arguments: &ScoreArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let trained = trained(&arguments.run, &arguments.parameters, invocation)?
        .device(&arguments.device.device);
    let file = arguments
        .file
        .as_ref()
        .filter(|file| *file != Path::new("-"));
    let (lines, waiting) = match file {
        Some(path) => (read_file(path)?, Waiting::ForMany),
        None => {
            let input = BufReader::new(stdin());
            (read(input, "standard input".to_owned())?, Waiting::ForOne)
        }
    };
    let mut session = trained.line_session()?;
    let scorer = Scorer::new(&mut session, trained.vocabulary());
    let rows = if arguments.words {
        Rows::Words
    } else if arguments.summary {
        Rows::Nothing
    } else {
        Rows::Lines
    };
    let mut scoring = Scoring::new(&trained, rows, scorer).raw(arguments.raw);
    let begin = Instant::now();
    let failed = scoring.run(&lines, waiting)?;
    let summary = scoring.summary;
    if arguments.json {
        output::print_json(&summary.document())?;
    } else if arguments.summary {
        output::print(summary.text().as_bytes())?;
    } else if summary.lines > 0 {
        let rate = summary.lines as f64 / begin.elapsed().as_secs_f64();
        note(
            quiet,
            &format!("{}Lines per second:\t{rate:.0}", summary.text()),
        );
    } else if failed.is_none() {
        let name = file.map_or_else(
            || "standard input".to_owned(),
            |path| format!("`{}`", path.display()),
        );
        note(quiet, &format!("{name} has no lines"));
    }
    if arguments.summary || (summary.lines > 0 && !quiet) {
        let (unknown, tokens) = (summary.unknown, summary.tokens);
        let warning = UnknownWords::warning_of_model(&trained, "text", unknown, tokens);
        if let Some(warning) = warning {
            tracing::warn!("{warning}");
        }
    }
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;
    use super::*;

    #[test]
    fn takes_a_file() {
        let score: ScoreArgs = parse(&["runs/a", "file"]).unwrap();
        assert_eq!(score.file, Some("file".into()));
        assert_eq!(score.device.device, "auto");
    }
}
