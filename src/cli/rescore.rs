//! `wlstm rescore`: reranks n-best lists by their scores and the log-probabilities of a model.

use std::path::PathBuf;

use clap::Args;

use super::args::{DeviceArgs, Invocation, ParameterArgs};
use super::messages::note;
use super::output;
use super::preparation::trained;
use crate::error::{Error, Result, quoted};
use crate::job::rescore::errors::{Candidates, WordErrors};
use crate::job::rescore::read::{Format, NBest, References};
use crate::job::rescore::tune::Tuned;
use crate::job::rescore::{Rescored, Weights};

/// Rerank n-best lists of a speech recogniser or translation system
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Each line of NBEST has an id, a score and a hypothesis, separated by tabs. The score is that of the recogniser \
    (natural logarithm, higher is better). The lines of an id must be consecutive:\n\n  \
    utt1\t-41.2\tthe cat sat\n  \
    utt1\t-40.9\tthe cats at\n\n\
    The output has five columns, separated by tabs: id, combined score, score of the input line, log-probability of the \
    hypothesis (as in `wlstm score`), hypothesis. The hypotheses of an id are sorted, best first. The combined score is\n\n  \
    score + lm-weight * log-probability + word-bonus * words\n\n\
    --tune finds the weights on utterances with reference transcripts, for example those of a development set. REFERENCES has a \
    line with id, tab and transcript for each id (or `id transcript`, as Kaldi writes it). Three word error rates are printed to \
    standard error: with the scores alone, with the tuned weights, and with the best hypothesis of each list (oracle).\n\
    \n\
    Examples:\n  \
    wlstm rescore runs/text dev.tsv --tune dev.txt --summary\n  \
    wlstm rescore runs/text test.tsv --lm-weight 0.6 --word-bonus 0.2 --best | cut -f 1,5"
)]
pub(super) struct RescoreArgs {
    /// Run folder (its best checkpoint), or one checkpoint
    pub run: PathBuf,
    /// Hypotheses with ids and scores; `-` is standard input
    pub nbest: PathBuf,
    /// Weight of the log-probability
    #[arg(
        long,
        value_name = "X",
        default_value = "1",
        allow_negative_numbers = true,
        value_parser = finite
    )]
    pub lm_weight: f64,
    /// Constant added to the combined score for each word of a hypothesis
    #[arg(
        long,
        value_name = "X",
        default_value = "0",
        allow_negative_numbers = true,
        value_parser = finite
    )]
    pub word_bonus: f64,
    /// Choose the weights with the lowest word error rate against these reference transcripts
    #[arg(long, value_name = "REFERENCES", conflicts_with_all = ["lm_weight", "word_bonus", "references"])]
    pub tune: Option<PathBuf>,
    /// Print the word error rates of the given weights against these reference transcripts
    #[arg(long, value_name = "REFERENCES")]
    pub references: Option<PathBuf>,
    /// Print only the best hypothesis of each id
    #[arg(long)]
    pub best: bool,
    /// Print only the weights and the word error rates
    #[arg(long)]
    pub summary: bool,
    /// Format of NBEST and of the output
    #[arg(long, value_enum, default_value_t = NBestFormat::Tabs)]
    pub format: NBestFormat,
    /// Whether to escape control characters on a terminal.
    #[command(flatten)]
    pub raw: output::RawArgs,
    /// The parameters to use.
    #[command(flatten)]
    pub parameters: ParameterArgs,
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// The format of an n-best list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum NBestFormat {
    /// Id, score and hypothesis, separated by tabs
    Tabs,
    /// `id ||| hypothesis ||| features ||| score`
    Moses,
}

/// Parses a weight.
fn finite(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("give a finite number".into()),
    }
}

/// Reranks the lists and prints them.
pub(super) fn run(arguments: &RescoreArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let references = arguments.tune.as_ref().or(arguments.references.as_ref());
    let references = references.map(|path| References::read(path)).transpose()?;
    if arguments.summary && references.is_none() {
        return Err(Error::usage(
            "--summary prints word error rates, which require reference transcripts",
        )
        .help("add --tune REFERENCES or --references REFERENCES"));
    }
    let format = match arguments.format {
        NBestFormat::Tabs => Format::Tabs,
        NBestFormat::Moses => Format::Moses,
    };
    let utterances = NBest::open(&arguments.nbest, format)?;
    let trained = trained(&arguments.run, &arguments.parameters, invocation)?
        .device(&arguments.device.device);
    let given = Weights {
        model: arguments.lm_weight,
        word_bonus: arguments.word_bonus,
    };
    let print = |rescored: &Rescored, weights: Weights| {
        if arguments.summary {
            return Ok(true);
        }
        let shown = if arguments.best { 1 } else { usize::MAX };
        let rows = rows(rescored, weights, format, shown);
        output::print_while_read(rows.as_bytes(), arguments.raw)
    };
    let mut candidates = Candidates::default();
    let mut kept = Vec::new();
    let mut found = 0_usize;
    let done = trained.rescore(utterances, |rescored| {
        found += 1;
        if let Some(references) = &references {
            candidates.add(&rescored, references)?;
        }
        if arguments.tune.is_some() {
            kept.push(rescored);
            Ok(true)
        } else {
            print(&rescored, given)
        }
    });
    // Weights and word error rates need all utterances.
    done?;
    if found == 0 {
        note(
            quiet,
            &format!("`{}` contains no hypotheses.", arguments.nbest.display()),
        );
    }
    if let Some(references) = references {
        let tuned = if arguments.tune.is_some() {
            candidates.tune()
        } else {
            candidates.with(given)
        };
        for rescored in &kept {
            if !print(rescored, tuned.weights)? {
                break;
            }
        }
        let summary = summary(&tuned, references.len() - found.min(references.len()));
        if arguments.summary {
            output::print(summary.as_bytes())?;
        } else {
            note(quiet, summary.trim_end());
        }
        if arguments.tune.is_some() && found > 0 {
            let run = quoted(&arguments.run.display().to_string());
            let Weights { model, word_bonus } = tuned.weights;
            note(
                quiet,
                &format!(
                    "To rescore other lists:\n  wlstm rescore {run} NBEST --lm-weight {model} --word-bonus {word_bonus}"
                ),
            );
        }
    }
    Ok(())
}

/// The output lines of an utterance, at most `shown`, best first.
fn rows(rescored: &Rescored, weights: Weights, format: Format, shown: usize) -> String {
    let Rescored {
        utterance,
        log_probabilities,
    } = rescored;
    let ranked = rescored.ranked(weights);
    let row = |&(k, combined): &(usize, f64)| {
        let (hypothesis, log_probability) = (&utterance.hypotheses[k], log_probabilities[k]);
        let (id, text, score) = (&utterance.id, &hypothesis.text, hypothesis.score);
        match format {
            Format::Tabs => {
                format!("{id}\t{combined:.6}\t{score}\t{log_probability:.6}\t{text}\n")
            }
            Format::Moses => {
                let features = &hypothesis.features;
                let space = if features.is_empty() { "" } else { " " };
                format!(
                    "{id} ||| {text} ||| {features}{space}wlstm= {log_probability:.6} ||| {combined:.6}\n"
                )
            }
        }
    };
    ranked.iter().take(shown).map(row).collect()
}

/// The weights and the word error rates.
fn summary(tuned: &Tuned, unused: usize) -> String {
    let rate = |found: WordErrors| match found.rate() {
        Some(rate) => format!(
            "{:.2} % ({} of {} words)",
            100.0 * rate,
            found.errors,
            found.words
        ),
        None => "-".to_owned(),
    };
    let mut text = format!(
        "lm-weight:\t{}\nword-bonus:\t{}\nWER before:\t{}\nWER after:\t{}\nWER oracle:\t{}\n",
        tuned.weights.model,
        tuned.weights.word_bonus,
        rate(tuned.before),
        rate(tuned.after),
        rate(tuned.oracle)
    );
    if unused > 0 {
        text += &format!("References without hypotheses:\t{unused}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;
    use super::*;

    #[test]
    fn weights_are_given_or_tuned() {
        let rescore: RescoreArgs = parse(&["run", "-", "--word-bonus", "-0.5"]).unwrap();
        assert_eq!((rescore.lm_weight, rescore.word_bonus), (1.0, -0.5));
        assert!(parse::<RescoreArgs>(&["run", "a", "--tune", "b"]).is_ok());
        assert!(parse::<RescoreArgs>(&["run", "a", "--lm-weight", "inf"]).is_err());
        let both = ["run", "a", "--tune", "b", "--lm-weight", "2"];
        assert!(parse::<RescoreArgs>(&both).is_err());
    }
}
