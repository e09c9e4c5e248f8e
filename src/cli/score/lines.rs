//! Reads the lines on a thread of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::error::{Error, Kind, Result};
use crate::files::{self, LineEnds};
use crate::train::score::MANY_LINES;

/// The maximum number of lines of standard input that are scored together, so that the first scores are printed soon.
const MANY_ARRIVED: usize = 256;

/// The size in bytes of the lines scored together, above which no more are added.
const MANY_BYTES: usize = 4 << 20;

/// A line of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its text, without its end.
    pub text: String,
    /// Its bytes in the input, with its end and without a byte order mark.
    pub bytes: usize,
}

/// Reads the lines of a file.
pub fn read_file(path: &Path) -> Result<Receiver<Result<Line>>> {
    let place = path.display().to_string();
    let file = File::open(path).map_err(|error| cannot_read(&place, error))?;
    read(BufReader::new(file), place)
}

/// Starts the thread that reads lines. The last item is the error, if there is one.
pub fn read(input: impl BufRead + Send + 'static, place: String) -> Result<Receiver<Result<Line>>> {
    let (sender, receiver) = sync_channel(MANY_LINES);
    thread::Builder::new()
        .name("lines".to_owned())
        .spawn(move || {
            if let Err(error) = send_lines(input, &place, &sender) {
                // If the receiver is gone, no more lines are wanted.
                let _ = sender.send(Err(error));
            }
        })
        .map_err(Error::no_thread)?;
    Ok(receiver)
}

/// Sends each line, until the input ends or the receiver is gone.
fn send_lines(
    mut input: impl BufRead,
    place: &str,
    sender: &SyncSender<Result<Line>>,
) -> Result<()> {
    let start = input
        .fill_buf()
        .map_err(|error| cannot_read(place, error))?;
    files::check_encoding(start, place, Kind::Data)?;
    let mut ends = LineEnds::default();
    for number in 1.. {
        let mut bytes = Vec::new();
        let length = input
            .read_until(b'\n', &mut bytes)
            .map_err(|error| cannot_read(place, error))?;
        if length == 0 {
            break;
        }
        ends.check_line(&bytes, place)?;
        if let Some(at) = memchr::memchr(0, &bytes) {
            return Err(files::nul_at(place, number, &bytes[at..]));
        }
        // A byte order mark is not part of the text.
        if number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        let all = bytes.len();
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            Error::data(format!("{place}:{number}: not UTF-8"))
                .because(error)
                .help("convert the text, for instance with `iconv -f latin1 -t utf-8`")
        })?;
        if sender.send(Ok(Line { text, bytes: all })).is_err() {
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

/// A batch of lines that are scored together.
#[derive(Default)]
pub struct Window {
    /// The lines.
    pub lines: Vec<Line>,
    /// The error of the line after them, if it cannot be read.
    pub failed: Option<Error>,
}

/// How many lines are scored together.
#[derive(Clone, Copy, PartialEq)]
pub enum Waiting {
    /// As many lines as fill batches.
    ForMany,
    /// The lines that have arrived, at least one. Their sender may wait for the scores.
    ForOne,
}

/// The next lines to score; none at the end of the input.
pub fn next_window(lines: &Receiver<Result<Line>>, waiting: Waiting) -> Window {
    let most = match waiting {
        Waiting::ForMany => MANY_LINES,
        Waiting::ForOne => MANY_ARRIVED,
    };
    let (mut window, mut bytes) = (Window::default(), 0);
    while window.lines.len() < most && bytes < MANY_BYTES {
        let next = if waiting == Waiting::ForOne && !window.lines.is_empty() {
            lines.try_recv().ok()
        } else {
            lines.recv().ok()
        };
        match next {
            Some(Ok(line)) => {
                bytes += line.bytes;
                window.lines.push(line);
            }
            Some(Err(error)) => {
                window.failed = Some(error);
                break;
            }
            None => break,
        }
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, bytes: usize) -> Line {
        Line {
            text: text.to_owned(),
            bytes,
        }
    }

    #[test]
    fn lines_come_without_their_ends_and_errors_behind_them() {
        let text = b"\xef\xbb\xbfone\r\n\ntwo\rthree\n\xff\nfour";
        let lines = read(&text[..], "x".to_owned()).unwrap();
        let three: Vec<Line> = lines.iter().take(3).map(Result::unwrap).collect();
        let expected = [("one", 5), ("", 1), ("two\rthree", 10)];
        assert_eq!(three, expected.map(|(text, bytes)| line(text, bytes)));
        let failed = lines.recv().unwrap().unwrap_err();
        assert_eq!(
            (failed.to_string().as_str(), failed.kind()),
            ("x:4: not UTF-8", Kind::Data)
        );
        assert!(lines.recv().is_err());
    }

    #[test]
    fn lines_that_have_arrived_do_not_wait_for_others() {
        let (sender, lines) = sync_channel(8);
        let arriving = ["one", "two"].map(|text| line(text, 4));
        for line in arriving.clone() {
            sender.send(Ok(line)).unwrap();
        }
        let arrived = next_window(&lines, Waiting::ForOne);
        assert_eq!(arrived.lines, arriving);
        sender.send(Ok(line("three", 6))).unwrap();
        sender.send(Err(Error::data("four"))).unwrap();
        drop(sender);
        let rest = next_window(&lines, Waiting::ForMany);
        assert_eq!(rest.lines, [line("three", 6)]);
        assert_eq!(rest.failed.unwrap().to_string(), "four");
        assert!(next_window(&lines, Waiting::ForMany).lines.is_empty());
    }
}
