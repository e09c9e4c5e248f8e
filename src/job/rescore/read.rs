//! Reads n-best lists and references.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::Path;

use super::{Hypothesis, Utterance};
use crate::digest::Fnv1a;
use crate::error::{Error, Kind, Result};
use crate::files::{self, LineEnds};

/// The format of the lines of an n-best list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `id`, score and hypothesis, separated by tabs.
    Tabs,
    /// `id ||| hypothesis ||| features ||| score`, as Moses writes it.
    Moses,
}

impl Format {
    /// The help for a line of another form.
    fn expected(self) -> &'static str {
        match self {
            Format::Tabs => {
                "a line has an id, a score and a hypothesis, separated by tabs; for the format of Moses, use --format moses"
            }
            Format::Moses => "a line has the form `ID ||| HYPOTHESIS ||| FEATURES ||| SCORE`",
        }
    }

    /// The id and the hypothesis of a line. The error says what is wrong with it.
    fn parse(self, line: &str) -> std::result::Result<(String, Hypothesis), String> {
        let (id, score, text, features) = match self {
            Format::Tabs => {
                let columns: Vec<&str> = line.split('\t').collect();
                let [id, score, text] = columns[..] else {
                    return Err(format!(
                        "the line has {} columns instead of 3",
                        columns.len()
                    ));
                };
                (id, score, text, "")
            }
            Format::Moses => {
                let parts: Vec<&str> = line.split("|||").map(str::trim).collect();
                let [id, text, features, score] = parts[..] else {
                    return Err(format!("the line has {} fields instead of 4", parts.len()));
                };
                (id, score, text, features)
            }
        };
        let id = id.trim();
        if id.is_empty() {
            return Err("the line has no id".to_owned());
        }
        let number = score.trim().parse::<f64>().ok();
        let Some(score) = number.filter(|number| number.is_finite()) else {
            return Err(format!("the score `{score}` is not a finite number"));
        };
        let hypothesis = Hypothesis {
            text: text.trim().to_owned(),
            score,
            features: features.to_owned(),
        };
        Ok((id.to_owned(), hypothesis))
    }
}

/// The lines of a file with their numbers, without empty lines.
struct Lines {
    input: Box<dyn BufRead>,
    place: String,
    number: usize,
    ends: LineEnds,
}

impl Lines {
    /// Opens a file; `-` is standard input.
    fn open(path: &Path) -> Result<Lines> {
        let place = path.display().to_string();
        let (input, place): (Box<dyn BufRead>, String) = if path == Path::new("-") {
            (
                Box::new(BufReader::new(stdin())),
                "standard input".to_owned(),
            )
        } else {
            let file = File::open(path).map_err(|error| cannot_read(&place, error))?;
            (Box::new(BufReader::new(file)), place)
        };
        Ok(Lines {
            input,
            place,
            number: 0,
            ends: LineEnds::default(),
        })
    }

    /// The next line.
    fn next(&mut self) -> Result<Option<String>> {
        if self.number == 0 {
            let start = self.input.fill_buf();
            let start = start.map_err(|error| cannot_read(&self.place, error))?;
            files::check_encoding(start, &self.place, Kind::Data)?;
        }
        loop {
            let mut bytes = Vec::new();
            let length = self.input.read_until(b'\n', &mut bytes);
            if length.map_err(|error| cannot_read(&self.place, error))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.ends.check_line(&bytes, &self.place)?;
            if let Some(at) = memchr::memchr(0, &bytes) {
                return Err(files::nul_at(&self.place, self.number, &bytes[at..]));
            }
            // A byte order mark is not part of the text.
            if self.number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            let line = String::from_utf8(bytes).map_err(|error| {
                self.wrong("the line is not UTF-8")
                    .because(error)
                    .help("convert the file, for instance with `iconv -f latin1 -t utf-8`")
            })?;
            let line = line.trim_end_matches(['\n', '\r']);
            if !line.trim().is_empty() {
                return Ok(Some(line.to_owned()));
            }
        }
    }

    /// An error in the line that was read last.
    fn wrong(&self, what: &str) -> Error {
        Error::data(format!("{}:{}: {what}", self.place, self.number))
    }
}

fn cannot_read(place: &str, error: std::io::Error) -> Error {
    Error::data(format!("cannot read `{place}`"))
        .because(error)
        .help("check the name and the permissions of the file")
}

/// The utterances of an n-best list, one after the other.
pub struct NBest {
    lines: Lines,
    format: Format,
    /// The first hypothesis of the next utterance.
    next: Option<(String, Hypothesis)>,
    /// Digests of the ids so far. The ids of a long list would need too much memory.
    ids: HashSet<u64>,
}

impl NBest {
    /// Opens a list; `-` is standard input.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] if the file cannot be opened.
    pub fn open(path: &Path, format: Format) -> Result<NBest> {
        Ok(NBest {
            lines: Lines::open(path)?,
            format,
            next: None,
            ids: HashSet::new(),
        })
    }

    fn hypothesis(&mut self) -> Result<Option<(String, Hypothesis)>> {
        let Some(line) = self.lines.next()? else {
            return Ok(None);
        };
        let parsed = self.format.parse(&line);
        let wrong = |what: String| self.lines.wrong(&what).help(self.format.expected());
        parsed.map(Some).map_err(wrong)
    }

    fn utterance(&mut self) -> Result<Option<Utterance>> {
        let first = match self.next.take() {
            Some(first) => Some(first),
            None => self.hypothesis()?,
        };
        let Some((id, first)) = first else {
            return Ok(None);
        };
        if !self.ids.insert(Fnv1a::of(id.bytes()).value()) {
            let what = format!("the hypotheses of `{id}` are not in consecutive lines");
            return Err(self
                .lines
                .wrong(&what)
                .help("sort the file by id, for example with `sort -s -k 1,1`"));
        }
        let mut hypotheses = vec![first];
        while let Some((next, hypothesis)) = self.hypothesis()? {
            if next != id {
                self.next = Some((next, hypothesis));
                break;
            }
            hypotheses.push(hypothesis);
        }
        Ok(Some(Utterance { id, hypotheses }))
    }
}

impl Iterator for NBest {
    type Item = Result<Utterance>;

    fn next(&mut self) -> Option<Result<Utterance>> {
        self.utterance().transpose()
    }
}

/// The references of utterances.
#[derive(Clone, Debug)]
pub struct References {
    texts: HashMap<String, String>,
    place: String,
}

impl References {
    /// Reads a file of lines `id<TAB>text`, or `id text` as Kaldi writes it; `-` is standard input.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] with file and line if it cannot be read, or an id occurs twice.
    pub fn read(path: &Path) -> Result<References> {
        let mut lines = Lines::open(path)?;
        let mut texts = HashMap::new();
        while let Some(line) = lines.next()? {
            let split = line.split_once('\t').or_else(|| line.split_once(' '));
            let (id, text) = split.unwrap_or((&line, ""));
            if texts
                .insert(id.trim().to_owned(), text.to_owned())
                .is_some()
            {
                return Err(lines
                    .wrong(&format!("the id `{id}` has a second reference"))
                    .help("give each id one line: the id, a tab and the transcript"));
            }
        }
        Ok(References {
            texts,
            place: lines.place,
        })
    }

    /// The reference of an utterance.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] if there is none.
    pub fn of(&self, id: &str) -> Result<&str> {
        self.texts.get(id).map(String::as_str).ok_or_else(|| {
            Error::data(format!("`{}` has no reference for `{id}`", self.place))
                .help("give each id of the n-best list a line: the id, a tab and the transcript")
        })
    }

    /// The number of references.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nbest(text: &str, format: Format) -> NBest {
        NBest {
            lines: lines(text),
            format,
            next: None,
            ids: HashSet::new(),
        }
    }

    fn lines(text: &str) -> Lines {
        Lines {
            input: Box::new(std::io::Cursor::new(text.as_bytes().to_vec())),
            place: "n".to_owned(),
            number: 0,
            ends: LineEnds::default(),
        }
    }

    #[test]
    fn lines_of_the_same_id_are_an_utterance() {
        let text = "\u{feff}u1\t-1.5\tthe cat\r\n\nu1\t-2e0\t\nu2\t3\t a  b \n";
        let found: Vec<Utterance> = nbest(text, Format::Tabs).map(Result::unwrap).collect();
        let of = |k: usize| {
            let hypotheses = found[k].hypotheses.iter();
            let pairs = hypotheses.map(|one| (one.score, one.text.as_str()));
            (found[k].id.as_str(), pairs.collect::<Vec<_>>())
        };
        assert_eq!(of(0), ("u1", vec![(-1.5, "the cat"), (-2.0, "")]));
        assert_eq!(of(1), ("u2", vec![(3.0, "a  b")]));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn lines_of_moses_are_read() {
        let text = "0 ||| the cat ||| LM0= -3 WordPenalty0= -2 ||| -1.5\n";
        let found = nbest(text, Format::Moses).next().unwrap().unwrap();
        assert_eq!(found.id, "0");
        let hypothesis = Hypothesis {
            text: "the cat".to_owned(),
            score: -1.5,
            features: "LM0= -3 WordPenalty0= -2".to_owned(),
        };
        assert_eq!(found.hypotheses, [hypothesis]);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, format, says) in [
            (
                "u\t1\ta\nu\t1\n",
                Format::Tabs,
                "n:2: the line has 2 columns instead of 3",
            ),
            (
                "u\tx\ta\n",
                Format::Tabs,
                "n:1: the score `x` is not a finite number",
            ),
            (
                "u\tnan\ta\n",
                Format::Tabs,
                "n:1: the score `nan` is not a finite number",
            ),
            ("\t1\ta\n", Format::Tabs, "n:1: the line has no id"),
            (
                "0 ||| a ||| 1\n",
                Format::Moses,
                "n:1: the line has 3 fields instead of 4",
            ),
            (
                "u\t1\ta\nv\t1\ta\nu\t1\tb\n",
                Format::Tabs,
                "n:3: the hypotheses of `u` are not in consecutive lines",
            ),
        ] {
            let failed = nbest(text, format).find_map(Result::err).unwrap();
            assert_eq!(failed.to_string(), says);
            assert_eq!(failed.kind(), Kind::Data);
        }
    }
}
