//! Reads the lines on a thread of its own.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::files;
use crate::job::score::{MANY_LINES, MAX_LINES, extent_of};
use crate::model::language_model::Extent;

/// How long to wait for more lines of standard input before the first ones are scored.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Reads the lines of a file.
pub fn read_file(path: &Path) -> Result<Receiver<Result<String>>> {
    let place = path.display().to_string();
    let file = File::open(path).map_err(|error| cannot_read(&place, error))?;
    read(BufReader::new(file), place)
}

/// Starts the thread that reads lines. The last item is the error, if there is one.
pub fn read(
    input: impl BufRead + Send + 'static,
    place: String,
) -> Result<Receiver<Result<String>>> {
    let (sender, receiver) = sync_channel(2 * MAX_LINES);
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

/// Sends each line without its line end, until the input ends or the receiver is gone.
fn send_lines(
    mut input: impl BufRead,
    place: &str,
    sender: &SyncSender<Result<String>>,
) -> Result<()> {
    let start = input
        .fill_buf()
        .map_err(|error| cannot_read(place, error))?;
    files::check_encoding(start, place, Kind::Data)?;
    for number in 1.. {
        let mut bytes = Vec::new();
        let length = input
            .read_until(b'\n', &mut bytes)
            .map_err(|error| cannot_read(place, error))?;
        if length == 0 {
            break;
        }
        if number == 1 {
            files::check_line_ends(&bytes, place)?;
        }
        if memchr::memchr(0, &bytes).is_some() {
            return Err(files::nul_at(place, number));
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

/// The first lines, and the size of the batches that suits how many there are.
pub fn first_lines(
    lines: &Receiver<Result<String>>,
    at_once: bool,
) -> (VecDeque<Result<String>>, Extent) {
    let mut first = VecDeque::new();
    while first.len() < MAX_LINES {
        let next = if at_once && !first.is_empty() {
            lines.recv_timeout(FIRST_WAIT)
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
