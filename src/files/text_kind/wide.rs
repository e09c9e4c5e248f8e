//! Recognises UTF-16 and UTF-32 without a byte order mark by decoding them: the wrong encoding gives invalid or improbable
//! characters.

use super::foreign::Foreign;

/// At most one in this many characters may be invalid or a control character.
const ONE_IN_BAD: usize = 100;

/// At most one in this many characters may be neither letter, digit, white space nor punctuation.
const ONE_IN_ODD: usize = 4;

/// At least one in this many characters is white space or common punctuation.
const ONE_IN_COMMON: usize = 200;

const fn without_mark(what: &'static str, command: &'static str) -> Foreign {
    let command = Some(command);
    Foreign { what, command }
}

static UTF16_LITTLE: Foreign = without_mark(
    "UTF-16 text without a byte order mark",
    "iconv -f utf-16le -t utf-8 {} > text.txt",
);
static UTF16_BIG: Foreign = without_mark(
    "UTF-16 text without a byte order mark",
    "iconv -f utf-16be -t utf-8 {} > text.txt",
);
static UTF32_LITTLE: Foreign = without_mark(
    "UTF-32 text without a byte order mark",
    "iconv -f utf-32le -t utf-8 {} > text.txt",
);
static UTF32_BIG: Foreign = without_mark(
    "UTF-32 text without a byte order mark",
    "iconv -f utf-32be -t utf-8 {} > text.txt",
);

/// The encoding of these bytes, if they are text in one of these encodings.
pub(super) fn find(sample: &[u8]) -> Option<&'static Foreign> {
    let utf16 = |unit: fn([u8; 2]) -> u16| {
        let units = sample.as_chunks().0.iter().map(|bytes| unit(*bytes));
        Seen::of(char::decode_utf16(units).map(Result::ok))
    };
    let utf32 = |unit: fn([u8; 4]) -> u32| {
        let units = sample.as_chunks().0.iter().map(|bytes| unit(*bytes));
        Seen::of(units.map(char::from_u32))
    };
    let candidates = [
        (utf32(u32::from_le_bytes), &UTF32_LITTLE),
        (utf32(u32::from_be_bytes), &UTF32_BIG),
        (utf16(u16::from_le_bytes), &UTF16_LITTLE),
        (utf16(u16::from_be_bytes), &UTF16_BIG),
    ];
    // In the other byte order, letters are mostly other letters, but spaces and line ends are not.
    let texts = candidates.into_iter().filter(|(seen, _)| seen.is_text());
    let best = texts.max_by_key(|(seen, _)| seen.common);
    best.map(|(_, encoding)| encoding)
}

/// Counts of decoded characters.
#[derive(Default)]
struct Seen {
    all: usize,
    /// Invalid, control and private characters.
    bad: usize,
    /// Neither letters, digits, white space nor punctuation.
    odd: usize,
    /// White space and punctuation that occur in every text.
    common: usize,
}

impl Seen {
    fn of(characters: impl Iterator<Item = Option<char>>) -> Seen {
        let mut seen = Seen::default();
        for character in characters {
            seen.all += 1;
            match character {
                Some(' ' | '\t' | '\n' | '\r' | '\u{3000}'..='\u{3002}' | '\u{ff0c}') => {
                    seen.common += 1;
                }
                Some(character) if is_bad(character) => seen.bad += 1,
                Some(character) if !is_usual(character) => seen.odd += 1,
                Some(_) => {}
                None => seen.bad += 1,
            }
        }
        seen
    }

    fn is_text(&self) -> bool {
        // The sample can end within a surrogate pair.
        let bad = self.bad.saturating_sub(1);
        self.common * ONE_IN_COMMON >= self.all
            && self.common > 0
            && bad * ONE_IN_BAD <= self.all
            && self.odd * ONE_IN_ODD <= self.all
    }
}

/// Characters that are not in texts: control characters, non-characters and those for private use.
fn is_bad(character: char) -> bool {
    let code = u32::from(character);
    character.is_control()
        || code & 0xfffe == 0xfffe
        || matches!(code, 0xe000..=0xf8ff | 0xf_0000..)
}

/// Characters that make up most of every text.
fn is_usual(character: char) -> bool {
    character.is_alphanumeric()
        || character.is_whitespace()
        || character.is_ascii_punctuation()
        || matches!(u32::from(character), 0xa1..=0xbf | 0x300..=0x36f | 0x2010..=0x2122 | 0x3003..=0x303f | 0xff01..=0xff65 | 0x1f300..=0x1faff)
}
