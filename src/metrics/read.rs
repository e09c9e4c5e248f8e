//! Reads `metrics.jsonl`.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::line::Line;
use crate::error::{Error, Result};
use crate::files;

/// The largest number of bytes of a line. The longest lines have samples of some kilobytes.
const LONGEST: usize = 1 << 26;

/// Reads a file of metrics. A last line without its end, which a killed process leaves, is ignored, and so are zero bytes at the end,
/// which a loss of power leaves.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the file cannot be read or is a symbolic link, or another line is invalid.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    scan(path, |line, _| {
        lines.push(line);
        true
    })?;
    Ok(lines)
}

/// Calls `take` with each complete line and the offset of the byte after it, until `take` returns `false`. Only one line is in
/// memory at a time.
pub(super) fn scan(path: &Path, mut take: impl FnMut(Line, u64) -> bool) -> Result<()> {
    let unreadable = |error| {
        Error::data(format!("cannot read `{}`", path.display()))
            .because(error)
            .help("check the permissions of the file, or remove it: a run continues without its past metrics")
    };
    files::check_own(path).map_err(unreadable)?;
    let mut file = BufReader::new(files::open_regular(path).map_err(unreadable)?);
    let (mut text, mut end) = (Vec::new(), 0);
    for number in 1.. {
        text.clear();
        let mut part = (&mut file).take(LONGEST as u64);
        end += part.read_until(b'\n', &mut text).map_err(unreadable)? as u64;
        let is_cut = !text.ends_with(b"\n") && text.len() < LONGEST && is_begin(&text);
        // After a loss of power, some file systems show bytes that were never written as zeros.
        if is_cut || number > 1 && text.iter().all(|byte| *byte == 0) {
            break;
        }
        match serde_json::from_slice(&text) {
            Ok(line) => {
                if !take(line, end) {
                    break;
                }
            }
            Err(error) => {
                return Err(Error::data(format!(
                    "{}:{number}: not a valid line of metrics",
                    path.display(),
                ))
                .because(error)
                .help("remove the line, or the file: a run continues without its past metrics"));
            }
        }
    }
    Ok(())
}

/// Whether the text can be the beginning of a line of metrics.
fn is_begin(text: &[u8]) -> bool {
    const BEGIN: &[u8] = b"{\"kind\":\"";
    let both = text.len().min(BEGIN.len());
    text[..both] == BEGIN[..both]
}
