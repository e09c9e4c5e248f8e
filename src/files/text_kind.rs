//! Recognises files that are not UTF-8 text, or whose lines do not end in line feeds, by their first bytes. Large parts of such
//! a file can be valid UTF-8 and would be trained on. The error message contains the command that converts the file.

use std::path::Path;

use crate::error::{Error, Kind, Result, command_line, quoted};

/// The number of bytes at the start of a file that are examined.
const SAMPLE: usize = 1 << 16;

/// A kind of file that cannot be read as text.
struct Foreign {
    /// Worded to follow "it is".
    what: &'static str,
    /// The command that converts it, where `{}` is the name of the file.
    command: &'static str,
}

/// Kinds of files that begin with a signature.
const SIGNATURES: &[(&[u8], Foreign)] = &[
    (
        b"\xff\xfe\0\0",
        Foreign {
            what: "UTF-32 text",
            command: "iconv -f utf-32 -t utf-8 {} > text.txt",
        },
    ),
    (
        b"\0\0\xfe\xff",
        Foreign {
            what: "UTF-32 text",
            command: "iconv -f utf-32 -t utf-8 {} > text.txt",
        },
    ),
    (
        b"\xff\xfe",
        Foreign {
            what: "UTF-16 text",
            command: "iconv -f utf-16 -t utf-8 {} > text.txt",
        },
    ),
    (
        b"\xfe\xff",
        Foreign {
            what: "UTF-16 text",
            command: "iconv -f utf-16 -t utf-8 {} > text.txt",
        },
    ),
    (
        b"\x1f\x8b",
        Foreign {
            what: "compressed with gzip",
            command: "gzip -dc {} > text.txt",
        },
    ),
    (
        b"PK\x03\x04",
        Foreign {
            what: "a zip archive",
            command: "unzip {}",
        },
    ),
    (
        b"BZh",
        Foreign {
            what: "compressed with bzip2",
            command: "bzip2 -dc {} > text.txt",
        },
    ),
    (
        b"\xfd7zXZ\0",
        Foreign {
            what: "compressed with xz",
            command: "xz -dc {} > text.txt",
        },
    ),
    (
        b"\x28\xb5\x2f\xfd",
        Foreign {
            what: "compressed with zstd",
            command: "zstd -dc {} > text.txt",
        },
    ),
    (
        b"7z\xbc\xaf\x27\x1c",
        Foreign {
            what: "a 7z archive",
            command: "7z x {}",
        },
    ),
    (
        b"%PDF-",
        Foreign {
            what: "a PDF document",
            command: "pdftotext {} text.txt",
        },
    ),
    (
        b"PAR1",
        Foreign {
            what: "a Parquet file",
            command: "python3 -c 'import sys, pandas; print(*pandas.read_parquet(sys.argv[1])[\"text\"], sep=\"\\n\")' {} > text.txt",
        },
    ),
];

/// How many of the NUL bytes of UTF-16 must be at the same parity.
const UTF16_SHARE: usize = 8;

/// Checks that a file which begins with these bytes is text in an encoding that contains ASCII. Looks at the first 64 KiB.
///
/// # Errors
///
/// Of this kind, with the command that converts the file.
pub fn check_encoding(start: &[u8], name: &str, kind: Kind) -> Result<()> {
    foreign(start).map_or(Ok(()), |found| Err(found.error(name, kind)))
}

/// Checks that the lines of a text do not end in a carriage return without a line feed. Examines the first 64 KiB.
///
/// # Errors
///
/// [`Kind::Data`] with the command that converts the file.
pub fn check_line_ends(text: &[u8], name: &str) -> Result<()> {
    let sample = &text[..text.len().min(SAMPLE)];
    if memchr::memchr(b'\r', sample).is_none() || memchr::memchr(b'\n', text).is_some() {
        return Ok(());
    }
    let found = Foreign {
        what: "text whose lines end in a carriage return without a line feed",
        command: "tr '\\r' '\\n' < {} > text.txt",
    };
    Err(found.error(name, Kind::Data))
}

/// The error for a NUL byte after the examined start of a file.
pub fn nul_at(name: &str, line: usize) -> Error {
    Error::data(format!("{name}:{line}: the line has a NUL byte")).help(NUL.help(name))
}

impl Foreign {
    fn error(&self, name: &str, kind: Kind) -> Error {
        let what = self.what;
        Error::new(
            kind,
            format!("`{name}` cannot be read as text: it is {what}"),
        )
        .help(self.help(name))
    }

    fn help(&self, name: &str) -> String {
        // Standard input has no path that a command could read.
        let file = if Path::new(name).exists() {
            quoted(name)
        } else {
            "FILE".to_owned()
        };
        let command = self.command.replace("{}", &file);
        format!("convert it first with{}", command_line(&command))
    }
}

/// The kind of a file that is not text, from its first bytes.
fn foreign(start: &[u8]) -> Option<&'static Foreign> {
    let sample = &start[..start.len().min(SAMPLE)];
    let is_utf8 = || {
        let checked = std::str::from_utf8(sample);
        checked.map_or_else(|error| error.error_len().is_none(), |_| true)
    };
    let signed = SIGNATURES.iter().find(|(bytes, _)| {
        // Text can begin with the same letters, but the rest of a binary file is not valid UTF-8.
        let is_word = bytes.iter().all(u8::is_ascii_alphanumeric);
        sample.starts_with(bytes) && !(is_word && is_utf8() && memchr::memchr(0, sample).is_none())
    });
    if let Some((_, found)) = signed {
        return Some(found);
    }
    memchr::memchr(0, sample)?;
    let zeros = |parity: usize| {
        let bytes = sample.iter().skip(parity).step_by(2);
        bytes.filter(|byte| **byte == 0).count()
    };
    let (even, odd, half) = (zeros(0), zeros(1), sample.len() / 2);
    Some(if 2 * odd > half && odd >= UTF16_SHARE * even {
        &UTF16_LITTLE
    } else if 2 * even > half && even >= UTF16_SHARE * odd {
        &UTF16_BIG
    } else {
        &NUL
    })
}

/// UTF-16 without a byte order mark, little-endian.
const UTF16_LITTLE: Foreign = Foreign {
    what: "UTF-16 text without a byte order mark",
    command: "iconv -f utf-16le -t utf-8 {} > text.txt",
};

/// UTF-16 without a byte order mark, big-endian.
const UTF16_BIG: Foreign = Foreign {
    what: "UTF-16 text without a byte order mark",
    command: "iconv -f utf-16be -t utf-8 {} > text.txt",
};

/// A file with NUL bytes.
const NUL: Foreign = Foreign {
    what: "binary data, or text with NUL bytes",
    command: "tr -d '\\000' < {} > text.txt",
};

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        let units = text.encode_utf16();
        units
            .flat_map(|unit| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            })
            .collect()
    }

    #[test]
    fn other_files_are_recognised() {
        let text = "The cat sat on the mat, über 漢字.\nA dog.\n";
        let marked = |mark: &[u8], big| [mark, &utf16(text, big)].concat();
        for (bytes, command) in [
            (marked(b"\xff\xfe", false), "iconv -f utf-16 -t"),
            (marked(b"\xfe\xff", true), "iconv -f utf-16 -t"),
            (utf16(text, false), "iconv -f utf-16le"),
            (utf16(text, true), "iconv -f utf-16be"),
            (b"\xff\xfe\0\0t\0\0\0".to_vec(), "iconv -f utf-32"),
            (b"\x1f\x8b\x08\0\0".to_vec(), "gzip -dc FILE"),
            (b"PK\x03\x04\x14\0".to_vec(), "unzip FILE"),
            (b"BZh91AY&SY\xff\x01".to_vec(), "bzip2 -dc"),
            (b"\xfd7zXZ\0\0".to_vec(), "xz -dc"),
            (b"\x28\xb5\x2f\xfd\x04".to_vec(), "zstd -dc"),
            (b"%PDF-1.7\n".to_vec(), "pdftotext"),
            (b"PAR1\x15\0\x15".to_vec(), "read_parquet"),
            (b"one\0two\n".to_vec(), "tr -d '\\000'"),
            (b"one\rtwo\rthree\r".to_vec(), "tr '\\r' '\\n'"),
        ] {
            let checked = check_encoding(&bytes, "a b", Kind::Data);
            let checked = checked.and_then(|()| check_line_ends(&bytes, "a b"));
            let error = checked.expect_err("no text");
            let shown = error.chain().to_string();
            assert!(shown.contains(command), "{shown}");
        }
    }

    #[test]
    fn texts_are_texts() {
        let texts: [&[u8]; 9] = [
            b"",
            b"one line",
            b"two\nlines\n",
            b"dos\r\nlines\r\n",
            b"progress\rbars\nin a line",
            b"BZh is a name\n",
            "\u{feff}mark\n".as_bytes(),
            "\u{1b}[2J 漢字\n".as_bytes(),
            b"latin\xe9 1\n",
        ];
        for text in texts {
            check_encoding(text, "x", Kind::Data).unwrap();
            check_line_ends(text, "x").unwrap();
        }
    }
}
