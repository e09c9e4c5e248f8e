//! `wlstm score`: the log-probability of every line, as the lines come.
//!
//! Lines are read on a thread of their own. Of a file a whole batch is waited for; of standard input what is there is
//! scored at once, so that a person or a program that waits for the answer to one line gets it.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, stdin};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::arguments::Score;
use super::context::trained;
use crate::checkpoint::Which;
use crate::error::{Error, Kind, Result};
use crate::model::language_model::Extent;
use crate::train::score::{Score as Found, Scorer};
use crate::train::session::Inference;

/// The most lines side by side: enough to keep a device busy, and few enough that a stream answers soon.
const LINES: usize = 32;

/// Scores.
pub(super) fn run(arguments: &Score, quiet: bool) -> Result<()> {
    let trained = trained(&arguments.run, Which::Best, quiet)?;
    let (lines, at_once, batch) = match &arguments.file {
        Some(path) => {
            let place = path.display().to_string();
            let file = File::open(path).map_err(|error| cannot_read(&place, error))?;
            (read(BufReader::new(file), place)?, false, LINES)
        }
        None => {
            // A person gives one line at a time.
            let batch = if stdin().is_terminal() { 1 } else { LINES };
            let input = BufReader::new(stdin());
            (read(input, "standard input".to_owned())?, true, batch)
        }
    };
    let extent = Extent {
        batch: batch.min(trained.config.train.batch),
        unroll: trained.config.train.unroll,
    };
    let purpose = Inference::Losses(extent);
    let mut session = trained.session(&arguments.device.device, purpose, quiet)?;
    let mut scorer = Scorer::new(&mut session, &trained.vocabulary, extent)?;
    let tokens = trained.config.data.tokens;
    loop {
        let (group, failed) = take(&lines, extent.batch, at_once);
        let ids: Vec<Vec<u32>> = group
            .iter()
            .map(|line| trained.vocabulary.encode_text(line, tokens))
            .collect();
        let rows: String = scorer.score(&ids)?.iter().zip(&group).map(row).collect();
        let listened = super::print_while_read(rows.as_bytes())?;
        if let Some(error) = failed {
            return Err(error);
        }
        if group.is_empty() || !listened {
            return Ok(());
        }
    }
}

/// A line of output.
fn row((found, line): (&Found, &String)) -> String {
    format!(
        "{:.6}\t{}\t{}\t{line}\n",
        found.log_probability, found.tokens, found.unknown
    )
}

/// The next lines, `count` at most, and what went wrong behind them; none at the end. Waits for the first, and unless it is to
/// be `at_once` for the others too.
fn take(
    lines: &Receiver<Result<String>>,
    count: usize,
    at_once: bool,
) -> (Vec<String>, Option<Error>) {
    let mut group = Vec::new();
    while group.len() < count {
        let next = if at_once && !group.is_empty() {
            lines.try_recv().ok()
        } else {
            lines.recv().ok()
        };
        match next {
            Some(Ok(line)) => group.push(line),
            Some(Err(error)) => return (group, Some(error)),
            None => break,
        }
    }
    (group, None)
}

/// Starts to read lines; the last item is the error, if there is one.
fn read(input: impl BufRead + Send + 'static, place: String) -> Result<Receiver<Result<String>>> {
    let (sender, receiver) = sync_channel(2 * LINES);
    thread::Builder::new()
        .name("lines".to_owned())
        .spawn(move || {
            if let Err(error) = send_lines(input, &place, &sender) {
                // Nobody hears it if nobody wants more lines.
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

/// Sends each line without its line end, until the end of the input or until nobody wants more.
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
        // A byte order mark is no part of the text.
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
        .help("check the name and the rights of the file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_without_their_ends_and_errors_behind_them() {
        let text = b"\xef\xbb\xbfone\r\n\ntwo\rthree\n\xff\nfour";
        let lines = read(&text[..], "x".to_owned()).unwrap();
        let (group, failed) = take(&lines, 10, false);
        assert_eq!(group, ["one", "", "two\rthree"]);
        let failed = failed.unwrap();
        assert_eq!(
            (failed.to_string().as_str(), failed.kind()),
            ("x:4: not UTF-8", Kind::Data)
        );
        assert!(take(&lines, 10, false).0.is_empty());
    }

    #[test]
    fn groups_are_no_larger_than_asked() {
        let lines = read(&b"1\n2\n3"[..], "x".to_owned()).unwrap();
        assert_eq!(take(&lines, 2, false).0, ["1", "2"]);
        assert_eq!(take(&lines, 2, false).0, ["3"]);
        let (sender, receiver) = sync_channel(2);
        sender.send(Ok("now".to_owned())).unwrap();
        // The sender lives on, but nothing more is waited for.
        assert_eq!(take(&receiver, 2, true).0, ["now"]);
    }
}
