//! Kinds of files that have a signature at a fixed place.

use super::foreign::{Foreign, is_utf8};

/// The offset of the signature, the signature and the kind. Of several that match, the first one counts.
type Signature = (usize, &'static [u8], Foreign);

const fn with(
    at: usize,
    bytes: &'static [u8],
    what: &'static str,
    command: &'static str,
) -> Signature {
    let command = Some(command);
    (at, bytes, Foreign { what, command })
}

const fn without(at: usize, bytes: &'static [u8], what: &'static str) -> Signature {
    let command = None;
    (at, bytes, Foreign { what, command })
}

/// The offset of the name of the first file in a zip archive.
const ZIP_NAME: usize = 30;

/// The offset of the signature in a tar archive.
const TAR: usize = 257;

const UTF16: &str = "iconv -f utf-16 -t utf-8 {} > text.txt";
const UTF32: &str = "iconv -f utf-32 -t utf-8 {} > text.txt";
const PARQUET: &str = "python3 -c 'import sys, pandas; print(*pandas.read_parquet(sys.argv[1])[\"text\"], sep=\"\\n\")' {} > text.txt";

static SIGNATURES: &[Signature] = &[
    with(0, b"\xff\xfe\0\0", "UTF-32 text", UTF32),
    with(0, b"\0\0\xfe\xff", "UTF-32 text", UTF32),
    with(0, b"\xff\xfe", "UTF-16 text", UTF16),
    with(0, b"\xfe\xff", "UTF-16 text", UTF16),
    with(
        0,
        b"\x1f\x8b",
        "compressed with gzip",
        "gzip -dc {} > text.txt",
    ),
    with(
        0,
        b"\x1f\x9d",
        "compressed with compress",
        "gzip -dc {} > text.txt",
    ),
    with(
        0,
        b"BZh",
        "compressed with bzip2",
        "bzip2 -dc {} > text.txt",
    ),
    with(
        0,
        b"\xfd7zXZ\0",
        "compressed with xz",
        "xz -dc {} > text.txt",
    ),
    with(
        0,
        b"\x28\xb5\x2f\xfd",
        "compressed with zstd",
        "zstd -dc {} > text.txt",
    ),
    with(
        0,
        b"\x04\x22\x4d\x18",
        "compressed with lz4",
        "lz4 -dc {} > text.txt",
    ),
    with(
        ZIP_NAME,
        b"mimetypeapplication/vnd.oasis.opendocument.text",
        "an OpenDocument text",
        "pandoc -f odt -t plain {} -o text.txt",
    ),
    with(
        ZIP_NAME,
        b"mimetypeapplication/epub+zip",
        "an EPUB book",
        "pandoc -f epub -t plain {} -o text.txt",
    ),
    with(0, b"PK\x03\x04", "a zip archive", "unzip {}"),
    with(0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x {}"),
    with(TAR, b"ustar\0", "a tar archive", "tar -xf {}"),
    with(TAR, b"ustar  \0", "a tar archive", "tar -xf {}"),
    with(0, b"%PDF-", "a PDF document", "pdftotext {} text.txt"),
    with(
        0,
        b"{\\rtf1",
        "a document in Rich Text Format",
        "pandoc -f rtf -t plain {} -o text.txt",
    ),
    with(
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "a document of an old version of Microsoft Office",
        "antiword {} > text.txt",
    ),
    with(0, b"PAR1", "a Parquet file", PARQUET),
    without(0, b"SQLite format 3\0", "a SQLite database"),
    without(0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    without(0, b"\xff\xd8\xff", "a JPEG image"),
    without(0, b"\x7fELF", "a program"),
];

/// A document of Microsoft Word, which is a zip archive.
static DOCX: Foreign = Foreign {
    what: "a Word document",
    command: Some("pandoc -f docx -t plain {} -o text.txt"),
};

/// The kind of a file that begins with these bytes, if it has a signature.
pub(super) fn find(sample: &[u8]) -> Option<&'static Foreign> {
    if sample.starts_with(b"PK\x03\x04")
        && memchr::memmem::find(sample, b"word/document.xml").is_some()
    {
        return Some(&DOCX);
    }
    let found = SIGNATURES.iter().find(|(at, bytes, _)| {
        // Text can begin with the same letters, but the rest of a binary file is not valid UTF-8.
        let is_word = bytes.iter().all(u8::is_ascii_alphanumeric);
        let is_text = || is_utf8(sample) && memchr::memchr(0, sample).is_none();
        sample
            .get(*at..)
            .is_some_and(|rest| rest.starts_with(bytes))
            && !(is_word && is_text())
    });
    found.map(|(_, _, foreign)| foreign)
}
