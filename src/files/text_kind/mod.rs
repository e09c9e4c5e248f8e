//! Recognises files that are not UTF-8 text, or whose lines do not end in line feeds. Large parts of such a file can be valid
//! UTF-8 and would be trained on. The error message contains the command that converts the file, if there is one.

mod foreign;
mod line_ends;
mod signatures;
mod wide;

use foreign::{Foreign, is_utf8};

use crate::error::{Error, Kind, Result};

pub use line_ends::{LineEnds, check_line_ends};

/// The number of bytes at the start of a file that are examined.
const SAMPLE: usize = 1 << 16;

/// Text of which one in this many bytes is NUL, or more, is not offered without its NUL bytes.
const FEW_NULS: usize = 4;

/// Text of which more than one in this many bytes is a control character is another encoding or binary data.
const FEW_CONTROLS: usize = 64;

/// The same with tabs and line ends.
const FEW_LOW: usize = 2;

/// The number of control characters above which bytes can be binary data.
const MANY_CONTROLS: usize = 8;

/// A text with some NUL bytes.
const NUL: Foreign = Foreign {
    what: "text with NUL bytes",
    command: Some("tr -d '\\000' < {} > text.txt"),
};

/// Everything else that is no text.
const BINARY: Foreign = Foreign {
    what: "binary data",
    command: None,
};

/// Checks that a file which begins with these bytes is text in an encoding that contains ASCII. Examines the first 64 KiB.
///
/// # Errors
///
/// Of this kind, with the command that converts the file.
pub fn check_encoding(start: &[u8], name: &str, kind: Kind) -> Result<()> {
    foreign(start).map_or(Ok(()), |found| Err(found.error(name, kind)))
}

/// The error for a NUL byte after the examined start of a file. `rest` is what is known of the file from this byte on.
pub fn nul_at(name: &str, line: usize, rest: &[u8]) -> Error {
    let found = if is_clean_without_nuls(sample_of(rest)) {
        NUL
    } else {
        BINARY
    };
    Error::data(format!("{name}:{line}: the line has a NUL byte")).help(found.help(name))
}

fn sample_of(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(SAMPLE)]
}

/// The kind of a file that is not text, from its first bytes.
fn foreign(start: &[u8]) -> Option<&'static Foreign> {
    let sample = sample_of(start);
    if let Some(found) = signatures::find(sample) {
        return Some(found);
    }
    if memchr::memchr(0, sample).is_none() {
        // Without a NUL byte, only very unusual bytes are more likely another encoding or binary data.
        let controls = sample.iter().filter(|byte| is_control(**byte)).count();
        let one_in = if is_utf8(sample) { 4 } else { 100 };
        if controls <= MANY_CONTROLS || controls * one_in < sample.len() {
            return None;
        }
    } else if is_clean_without_nuls(sample) {
        return Some(&NUL);
    }
    Some(wide::find(sample).unwrap_or(&BINARY))
}

/// Whether a byte is a control character that texts do not contain. Tabs, form feeds and escape sequences occur in texts.
fn is_control(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | 0x1b)
}

/// Whether few bytes are NUL, and the others are UTF-8 text.
fn is_clean_without_nuls(bytes: &[u8]) -> bool {
    let others: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    let nuls = bytes.len() - others.len();
    let controls = others.iter().filter(|byte| is_control(**byte)).count();
    // In UTF-16, control characters, tabs and line ends are halves of Indic letters.
    let low = others.iter().filter(|byte| **byte < b' ').count();
    low * FEW_LOW <= bytes.len()
        && nuls * FEW_NULS < bytes.len()
        && controls * FEW_CONTROLS <= bytes.len()
        && is_utf8(&others)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The units of a text in an encoding whose characters have `width` bytes or more.
    fn encoded(text: &str, width: usize, big: bool) -> Vec<u8> {
        let units: Vec<u32> = match width {
            2 => text.encode_utf16().map(u32::from).collect(),
            _ => text.chars().map(u32::from).collect(),
        };
        let bytes = units.into_iter().flat_map(|unit| {
            let mut bytes = unit.to_le_bytes()[..width].to_vec();
            if big {
                bytes.reverse();
            }
            bytes
        });
        bytes.collect()
    }

    fn refused(bytes: &[u8]) -> String {
        let checked = check_encoding(bytes, "a b", Kind::Data);
        let checked = checked.and_then(|()| check_line_ends(bytes, "a b"));
        checked.expect_err("no text").chain().to_string()
    }

    #[test]
    fn other_files_are_recognised() {
        let text = "The cat sat on the mat, über 漢字.\nA dog.\n";
        let marked = |mark: &[u8], big| [mark, &encoded(text, 2, big)].concat();
        let in_zip = |names: &[u8]| [&b"PK\x03\x04\x14\0"[..], &[0; 24], names].concat();
        let tar = [&[b'a'; 257][..], b"ustar\x0000some text\n"].concat();
        for (bytes, command) in [
            (marked(b"\xff\xfe", false), "iconv -f utf-16 -t"),
            (marked(b"\xfe\xff", true), "iconv -f utf-16 -t"),
            (b"\xff\xfe\0\0t\0\0\0".to_vec(), "iconv -f utf-32 -t"),
            (b"\x1f\x8b\x08\0\0".to_vec(), "gzip -dc FILE"),
            (b"\x1f\x9d\x90\0\0".to_vec(), "gzip -dc FILE"),
            (b"\x04\x22\x4d\x18\0\0".to_vec(), "lz4 -dc FILE"),
            (b"PK\x03\x04\x14\0".to_vec(), "unzip FILE"),
            (
                in_zip(b"[Content_Types].xml..word/document.xml"),
                "pandoc -f docx -t plain FILE",
            ),
            (
                in_zip(b"mimetypeapplication/vnd.oasis.opendocument.text"),
                "pandoc -f odt -t plain FILE",
            ),
            (
                in_zip(b"mimetypeapplication/epub+zip"),
                "pandoc -f epub -t plain FILE",
            ),
            (
                b"{\\rtf1\\ansi hello world\\par }".to_vec(),
                "pandoc -f rtf -t plain FILE",
            ),
            (tar, "tar -xf FILE"),
            (b"BZh91AY&SY\xff\x01".to_vec(), "bzip2 -dc"),
            (b"\xfd7zXZ\0\0".to_vec(), "xz -dc"),
            (b"\x28\xb5\x2f\xfd\x04".to_vec(), "zstd -dc"),
            (b"%PDF-1.7\n".to_vec(), "pdftotext"),
            (b"PAR1\x15\0\x15".to_vec(), "read_parquet"),
            (b"one\0two\n".to_vec(), "tr -d '\\000'"),
            ("one\0über\n".into(), "tr -d '\\000'"),
        ] {
            let shown = refused(&bytes);
            assert!(shown.contains(command), "{shown}");
        }
    }

    #[test]
    fn wide_encodings_are_recognised_in_any_script() {
        for text in [
            "The cat sat on the mat, über 漢字.\nA dog.\n",
            "Привет мир, это текст.\n",
            "Γεια σου, κόσμε. Αυτό είναι κείμενο.\n",
            "你好世界，我们是朋友。\n",
            "これは日本語の文章です。\n",
            "안녕하세요. 이것은 글입니다.\n",
            "यह एक वाक्य है। यह हिन्दी में है।\n",
            "สวัสดีชาวโลก นี่คือข้อความ\n",
            "ఇది ఒక వాక్యం. ഇത് ഒരു വാക്യമാണ്.\n",
            "هذا نص باللغة العربية.\r\n",
            "Emoji 🙂 and 𝔐athematics.\n",
            "hi\n",
        ] {
            for repeats in [1, 5000] {
                let text = text.repeat(repeats);
                for (width, name) in [(2, "utf-16"), (4, "utf-32")] {
                    for (big, order) in [(false, "le"), (true, "be")] {
                        let shown = refused(&encoded(&text, width, big));
                        let command = format!("iconv -f {name}{order} -t utf-8");
                        assert!(shown.contains(&command), "{:.20}: {shown}", text);
                    }
                }
            }
        }
    }

    #[test]
    fn there_is_no_command_for_binary_data() {
        let mut seed = 1_u32;
        let mut noise = |count: usize| -> Vec<u8> {
            let next = |_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            };
            (0..count).map(next).collect()
        };
        let counts: Vec<u8> = (0..9000_u32).flat_map(u32::to_le_bytes).collect();
        let ids: Vec<u8> = (0..9000_u16)
            .flat_map(|k| (k % 700).to_le_bytes())
            .collect();
        for (bytes, what) in [
            (
                [&b"\x89PNG\r\n\x1a\n"[..], &noise(500)].concat(),
                "a PNG image",
            ),
            (
                [&b"\xff\xd8\xff\xe0"[..], &noise(500)].concat(),
                "a JPEG image",
            ),
            ([&b"\x7fELF\x02\x01"[..], &noise(500)].concat(), "a program"),
            (
                [&b"SQLite format 3\0"[..], &b"abc ".repeat(300)].concat(),
                "a SQLite database",
            ),
            (noise(100_000), "binary data"),
            (noise(600), "binary data"),
            (counts, "binary data"),
            (ids, "binary data"),
            (
                [&b"text\n".repeat(99)[..], &[0; 900]].concat(),
                "binary data",
            ),
        ] {
            let shown = refused(&bytes);
            assert!(shown.contains(what), "{what}: {shown}");
            assert!(!shown.contains("convert it"), "{shown}");
            assert!(shown.contains("only plain text in UTF-8"), "{shown}");
        }
    }

    #[test]
    fn a_late_nul_byte_has_the_command_only_in_text() {
        let help = |rest: &[u8]| nul_at("x", 7, rest).chain().to_string();
        assert!(help(b"\0 and more text\n").contains("tr -d"));
        assert!(!help(b"\0\0\x01\0\xff\xd8\0").contains("tr -d"));
    }

    #[test]
    fn texts_are_texts() {
        let texts: [&[u8]; 12] = [
            b"",
            b"one line",
            b"two\nlines\n",
            b"dos\r\nlines\r\n",
            b"twice\r\r\nconverted\r\r\n",
            b"progress\rbars\nin a line",
            b"BZh is a name\n",
            "\u{feff}mark\n".as_bytes(),
            "\u{1b}[2J 漢字\n".as_bytes(),
            b"latin\xe9 1\n",
            b"\x82\xb1\x82\xf1\x82\xc9\x82\xbf\n",
            b"a\x01bcdefghijk\x02lmnop\n",
        ];
        for text in texts {
            for repeats in [1, 300] {
                let text = text.repeat(repeats);
                check_encoding(&text, "x", Kind::Data).unwrap();
                if repeats == 1 || memchr::memmem::find(&text, b"progress").is_none() {
                    check_line_ends(&text, "x").unwrap();
                }
            }
        }
    }
}
