//! `wlstm score`: the log-probability of every line, printed as the lines arrive.
//!
//! A thread reads the lines. From a file, a batch waits until it is full. From standard input, lines that have arrived are scored
//! at once, so that a person or a program that waits for the answer to one line gets it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, stdin};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::args::{DeviceArgs, Invocation};
use super::messages::note;
use super::output;
use super::preparation::trained;
use crate::error::{Error, Kind, Result};
use crate::job::Trained;
use crate::job::score::{MANY_LINES, MAX_LINES, ONE_LINE, extent_of};
use crate::model::language_model::Extent;
use crate::train::score::{Score as Found, Scorer};

/// Print the log-probability of each line of a text
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Each output line has four columns separated by tabs: log-probability (natural logarithm), tokens, \
    out-of-vocabulary tokens, the line. Every line is a sequence of its own; its end counts as a token. A word that is not \
    in the vocabulary is scored as the unknown word `<UNK>`, whose probability is that of all unknown words together.\n\
    \n\
    Lines from standard input are scored as they arrive, in order. At the end, perplexities with and without \
    out-of-vocabulary words go to standard error, in the format of KenLM.\n\
    \n\
    Examples:\n  \
    echo 'the cat sat' | wlstm score runs/lm1b-g4\n  \
    wlstm score runs/lm1b-g4 text.txt --words > words.tsv\n  \
    wlstm score runs/lm1b-g4 text.txt --summary"
)]
pub(super) struct ScoreArgs {
    /// Run folder (its best checkpoint), or one checkpoint
    pub run: PathBuf,
    /// Text file, one sentence per line [default: standard input]
    pub file: Option<PathBuf>,
    /// Print a row for each word: line number, log-probability, 1 if it is out of the vocabulary, the word
    #[arg(long, conflicts_with = "summary")]
    pub words: bool,
    /// Print only totals: perplexity with and without out-of-vocabulary words, their number, and the number of tokens
    #[arg(long)]
    pub summary: bool,
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// How long the first lines of standard input wait for more before they are scored.
const PATIENCE: Duration = Duration::from_millis(50);

/// The most lines that are scored but not printed because an earlier line is not scored yet.
const WAITING: usize = 1 << 14;

/// Scores.
pub(super) fn run(arguments: &ScoreArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let trained = trained(&arguments.run, invocation)?.device(&arguments.device.device);
    let (lines, at_once) = match &arguments.file {
        Some(path) => {
            let place = path.display().to_string();
            let file = File::open(path).map_err(|error| cannot_read(&place, error))?;
            (read(BufReader::new(file), place)?, false)
        }
        None => {
            let input = BufReader::new(stdin());
            (read(input, "standard input".to_owned())?, true)
        }
    };
    // A person types one line at a time.
    let (first, extent) = if at_once && stdin().is_terminal() {
        (VecDeque::new(), ONE_LINE)
    } else {
        first_lines(&lines, at_once)
    };
    let mut session = trained.evaluation_session(extent)?;
    let scorer = Scorer::new(session.evaluator(), trained.vocabulary());
    let mut scoring = Scoring {
        trained: &trained,
        arguments,
        scorer,
        first,
        texts: VecDeque::new(),
        printed: 0,
        summary: Summary::default(),
    };
    let begin = Instant::now();
    let failed = scoring.run(&lines, at_once)?;
    let summary = scoring.summary;
    if arguments.summary {
        output::print(summary.text().as_bytes())?;
    } else if summary.lines > 0 {
        let rate = summary.lines as f64 / begin.elapsed().as_secs_f64();
        note(
            quiet,
            &format!("{}Lines per second:\t{rate:.0}", summary.text()),
        );
    }
    failed.map_or(Ok(()), Err)
}

/// The first lines, and the size of the batches that suits how many there are.
fn first_lines(
    lines: &Receiver<Result<String>>,
    at_once: bool,
) -> (VecDeque<Result<String>>, Extent) {
    let mut first = VecDeque::new();
    while first.len() < MAX_LINES {
        let next = if at_once && !first.is_empty() {
            lines.recv_timeout(PATIENCE)
        } else {
            lines.recv().map_err(RecvTimeoutError::from)
        };
        match next {
            Ok(line) => first.push_back(line),
            Err(RecvTimeoutError::Timeout) => return (first, MANY_LINES),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let extent = extent_of(first.len());
    (first, extent)
}

/// The state between input and output.
struct Scoring<'a> {
    trained: &'a Trained,
    arguments: &'a ScoreArgs,
    scorer: Scorer<'a>,
    /// The lines that were read before scoring started.
    first: VecDeque<Result<String>>,
    /// The lines that are not printed yet, oldest first, with their scores once known.
    texts: VecDeque<(String, Option<Found>)>,
    /// The number of lines printed so far.
    printed: u64,
    summary: Summary,
}

impl Scoring<'_> {
    /// Scores lines until the input ends, the reader of the output is gone, or a line cannot be read. Such an
    /// error is returned after the lines before it are printed.
    fn run(&mut self, lines: &Receiver<Result<String>>, at_once: bool) -> Result<Option<Error>> {
        let mut failed = None;
        let mut ended = false;
        loop {
            while !ended && self.scorer.has_room() && self.texts.len() < WAITING {
                // Lines that have arrived are scored at once.
                let next = match self.first.pop_front() {
                    Some(line) => Some(line),
                    None if at_once && !self.scorer.is_idle() => match lines.try_recv() {
                        Err(TryRecvError::Empty) => break,
                        other => other.ok(),
                    },
                    None => lines.recv().ok(),
                };
                match next {
                    Some(Ok(line)) => self.take(line),
                    Some(Err(error)) => (failed, ended) = (Some(error), true),
                    None => ended = true,
                }
            }
            if self.scorer.is_idle() {
                return Ok(failed);
            }
            for (number, found) in self.scorer.advance()? {
                self.texts[(number - self.printed) as usize].1 = Some(found);
            }
            if !self.print()? {
                return Ok(None);
            }
        }
    }

    fn take(&mut self, line: String) {
        let tokens = self.trained.config().data.tokens;
        let ids = self.trained.vocabulary().encode_text(&line, tokens);
        self.scorer.take(ids);
        self.texts.push_back((line, None));
    }

    /// Prints the known scores, in order. Returns whether the output still has a reader.
    fn print(&mut self) -> Result<bool> {
        let mut rows = String::new();
        while let Some((_, Some(_))) = self.texts.front()
            && let Some((line, Some(found))) = self.texts.pop_front()
        {
            self.printed += 1;
            self.summary.add(&found);
            if self.arguments.words {
                self.word_rows(&line, &found, &mut rows);
            } else if !self.arguments.summary {
                rows += &row(&line, &found);
            }
        }
        output::print_while_read(rows.as_bytes())
    }

    /// Appends a row for each word of a line and for its end.
    fn word_rows(&self, line: &str, found: &Found, rows: &mut String) {
        let words = self.trained.vocabulary();
        let tokens = self.trained.config().data.tokens.split(line);
        let end = words.word(words.mark());
        for (word, log_probability) in tokens.chain([end]).zip(&found.words) {
            let unknown = u8::from(words.encode(word) == words.unknown());
            *rows += &format!(
                "{}\t{log_probability:.6}\t{unknown}\t{word}\n",
                self.printed
            );
        }
    }
}

/// A row of output for a line.
fn row(line: &str, found: &Found) -> String {
    format!(
        "{:.6}\t{}\t{}\t{line}\n",
        found.log_probability, found.tokens, found.unknown
    )
}

/// Totals over all lines.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Summary {
    lines: u64,
    tokens: u64,
    unknown: u64,
    log_probability: f64,
    of_unknown: f64,
}

impl Summary {
    fn add(&mut self, found: &Found) {
        self.lines += 1;
        self.tokens += found.tokens;
        self.unknown += found.unknown;
        self.log_probability += found.log_probability;
        self.of_unknown += found.of_unknown;
    }

    /// The four lines that KenLM's `query` ends with.
    fn text(&self) -> String {
        let perplexity = |log: f64, tokens: u64| match tokens {
            0 => "-".to_owned(),
            tokens => format!("{:.4}", (-log / tokens as f64).exp()),
        };
        let with = perplexity(self.log_probability, self.tokens);
        let without = perplexity(
            self.log_probability - self.of_unknown,
            self.tokens - self.unknown,
        );
        format!(
            "Perplexity including OOVs:\t{with}\nPerplexity excluding OOVs:\t{without}\nOOVs:\t{}\nTokens:\t{}\n",
            self.unknown, self.tokens
        )
    }
}

/// Starts the thread that reads lines. The last item is the error, if there is one.
fn read(input: impl BufRead + Send + 'static, place: String) -> Result<Receiver<Result<String>>> {
    let (sender, receiver) = sync_channel(2 * MAX_LINES);
    thread::Builder::new()
        .name("lines".to_owned())
        .spawn(move || {
            if let Err(error) = send_lines(input, &place, &sender) {
                // If the receiver is gone, no more lines are wanted.
                let _ = sender.send(Err(error));
            }
        })
        .map_err(|error| {
            Error::new(Kind::Other, "cannot start the thread that reads lines")
                .because(error)
                .help("check the limits on threads and memory")
        })?;
    Ok(receiver)
}

/// Sends each line without its line end, until the input ends or the receiver is gone.
fn send_lines(
    mut input: impl BufRead,
    place: &str,
    sender: &SyncSender<Result<String>>,
) -> Result<()> {
    for number in 1.. {
        let mut bytes = Vec::new();
        let length = input
            .read_until(b'\n', &mut bytes)
            .map_err(|error| cannot_read(place, error))?;
        if length == 0 {
            break;
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        // A byte order mark is not part of the text.
        if number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        let line = String::from_utf8(bytes).map_err(|error| {
            Error::data(format!("{place}:{number}: not UTF-8"))
                .because(error)
                .help("convert the text, for instance with `iconv -f latin1 -t utf-8`")
        })?;
        if sender.send(Ok(line)).is_err() {
            break;
        }
    }
    Ok(())
}

fn cannot_read(place: &str, error: std::io::Error) -> Error {
    Error::data(format!("cannot read `{place}`"))
        .because(error)
        .help("check the name and the permissions of the file")
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

    #[test]
    fn lines_come_without_their_ends_and_errors_behind_them() {
        let text = b"\xef\xbb\xbfone\r\n\ntwo\rthree\n\xff\nfour";
        let lines = read(&text[..], "x".to_owned()).unwrap();
        let three: Vec<String> = lines.iter().take(3).map(Result::unwrap).collect();
        assert_eq!(three, ["one", "", "two\rthree"]);
        let failed = lines.recv().unwrap().unwrap_err();
        assert_eq!(
            (failed.to_string().as_str(), failed.kind()),
            ("x:4: not UTF-8", Kind::Data)
        );
        assert!(lines.recv().is_err());
    }

    #[test]
    fn the_summary_is_that_of_kenlm() {
        let mut summary = Summary::default();
        assert!(
            summary
                .text()
                .starts_with("Perplexity including OOVs:\t-\n")
        );
        let score = |log_probability, tokens, unknown, of_unknown| Found {
            log_probability,
            tokens,
            unknown,
            of_unknown,
            words: Vec::new(),
        };
        summary.add(&score(-6.0, 4, 1, -3.0));
        summary.add(&score(-2.0, 1, 0, 0.0));
        // e^(8/5) and e^(5/4).
        assert_eq!(
            summary.text(),
            "Perplexity including OOVs:\t4.9530\nPerplexity excluding OOVs:\t3.4903\nOOVs:\t1\nTokens:\t5\n"
        );
    }
}
