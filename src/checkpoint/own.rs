//! Recognises the files that a run writes before its first step. A file of the user can have the same name.

use std::io::Read;
use std::path::Path;

use super::layout::{CONFIG, LOCK, METRICS, RECORD, REPORT, REPORT_MARK};
use super::record::RunRecord;
use crate::config::WRITTEN;
use crate::files;

/// The number of bytes that are read of a file. Larger than the `start` lines of several processes.
const HEAD: u64 = 1 << 16;

/// The kinds of lines in the metrics. A line begins with its kind.
const KINDS: [&str; 6] = ["start", "end", "step", "skipped", "valid", "sample"];

/// Whether the content of a file in a run folder shows that this program has written it, and that no step is lost with it.
/// Empty files have no content to lose: a full disk leaves them.
pub(super) fn is_own_without_steps(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = files::open_regular(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    if read.is_err() {
        return false;
    }
    let name = path.file_name().and_then(|name| name.to_str());
    match name {
        _ if head.is_empty() => matches!(name, Some(CONFIG | LOCK | METRICS | RECORD | REPORT)),
        Some(CONFIG) => head.starts_with(WRITTEN.as_bytes()),
        Some(RECORD) => RunRecord::read(files::folder_of(path)).is_ok(),
        Some(METRICS) => (head.len() as u64) < HEAD && has_no_steps(&head),
        Some(REPORT) => contains(&head, REPORT_MARK.as_bytes()),
        _ => false,
    }
}

/// Whether all lines of some metrics are about the process and not about the model, except a last line without its end.
fn has_no_steps(metrics: &[u8]) -> bool {
    let mut lines = metrics.split_inclusive(|byte| *byte == b'\n');
    lines.all(|line| {
        if line.ends_with(b"\n") {
            KINDS[..2].iter().any(|kind| line.starts_with(&start(kind)))
        } else {
            KINDS.iter().any(|kind| {
                let start = start(kind);
                let both = line.len().min(start.len());
                line[..both] == start[..both]
            })
        }
    })
}

/// The beginning of a line of metrics.
fn start(kind: &str) -> Vec<u8> {
    format!("{{\"kind\":\"{kind}\"").into_bytes()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
