//! Recognises texts whose lines end in a carriage return without a line feed, as those of old Macintosh programs: without line
//! feeds, the whole text would be one line.

use super::foreign::Foreign;
use crate::error::{Kind, Result};

/// Carriage returns up to this number do not matter in a text with line feeds.
const HANDFUL: usize = 8;

/// Fewer carriage returns than one in this many line ends do not matter: programs overwrite a line of a terminal with them.
const ONE_IN: usize = 10;

/// Texts up to this many bytes are examined whole: they are read anyway. Of longer ones, [`WINDOWS`] parts are examined.
const WHOLE: usize = 64 << 20;

/// The number of parts that are examined of a long text. They are spread evenly.
const WINDOWS: usize = 32;

/// The number of bytes of each.
const WINDOW: usize = 1 << 16;

static CARRIAGE_RETURNS: Foreign = Foreign {
    what: "text whose lines end in a carriage return without a line feed",
    command: Some("tr '\\r' '\\n' < {} > text.txt"),
};

static MIXED: Foreign = Foreign {
    what: "text of which many lines end in a carriage return without a line feed",
    command: Some("perl -pe 's/\\r\\n?/\\n/g' {} > text.txt"),
};

/// Checks that the lines of a text do not end in a carriage return without a line feed. Examines the whole text, or parts of it
/// if it is long.
///
/// # Errors
///
/// [`Kind::Data`] with the command that converts the file.
pub fn check_line_ends(text: &[u8], name: &str) -> Result<()> {
    let mut ends = LineEnds::default();
    if text.len() <= WHOLE {
        // Most texts have none.
        if memchr::memchr(b'\r', text).is_none() {
            return Ok(());
        }
        ends.add(text, 0, text.len());
    } else {
        for window in 0..WINDOWS {
            let start = (text.len() - WINDOW) / (WINDOWS - 1) * window;
            ends.add(text, start, start + WINDOW);
        }
    }
    ends.check(name)
}

/// Counts of the line ends of a text.
#[derive(Default)]
pub struct LineEnds {
    /// Carriage returns that no line feed and no other carriage return follows.
    lone: usize,
    /// Carriage returns before a line feed.
    pairs: usize,
    /// Line feeds.
    feeds: usize,
}

impl LineEnds {
    /// Checks the next line of a text, which has its line end, if any.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] if the lines so far end in a carriage return without a line feed.
    pub fn check_line(&mut self, line: &[u8], name: &str) -> Result<()> {
        self.add(line, 0, line.len());
        self.check(name)
    }

    /// Adds the line ends of this range of the text.
    fn add(&mut self, text: &[u8], start: usize, end: usize) {
        let part = &text[start..end];
        self.feeds += memchr::memchr_iter(b'\n', part).count();
        for at in memchr::memchr_iter(b'\r', part) {
            match text.get(start + at + 1) {
                Some(b'\n') => self.pairs += 1,
                Some(b'\r') => {}
                _ => self.lone += 1,
            }
        }
    }

    fn check(&self, name: &str) -> Result<()> {
        let is_foreign = if self.feeds == 0 {
            self.lone > 0
        } else {
            self.lone > HANDFUL && self.lone * ONE_IN > self.lone + self.feeds
        };
        if !is_foreign {
            return Ok(());
        }
        let found = if self.pairs > 0 {
            &MIXED
        } else {
            &CARRIAGE_RETURNS
        };
        Err(found.error(name, Kind::Data))
    }
}
