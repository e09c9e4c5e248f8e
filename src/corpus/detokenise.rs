//! Joins generated tokens to text.

use super::bpe::alphabet::bytes_of;
use super::tokens::TokenKind;

/// Joins tokens to natural text: boundary tokens become line breaks, and there is a space between two tokens only where the
/// language has one. Characters and the bytes of subwords are concatenated.
///
/// This restores text that [`TokenKind::split`] has split into words, with these exceptions: several spaces become one; spaces
/// around `—`, `--` and `/`, before an en dash that follows a number, and inside French quotation marks are lost; `&`, `@`, `=`,
/// `*` and other symbols get spaces around them; whether `'` or `"` opens or closes a quotation is guessed from its context.
///
/// ```
/// use wlstm::corpus::{TokenKind, detokenise};
/// let text = detokenise(["Who", "'s", "there", "?", "<eos>", "Me", "."], TokenKind::Words);
/// assert_eq!(text, "Who's there?\nMe.");
/// ```
pub fn detokenise<'a>(tokens: impl IntoIterator<Item = &'a str>, kind: TokenKind) -> String {
    let mut joiner = Detokeniser::new(kind);
    let mut text = String::new();
    for token in tokens {
        joiner.append(token, &mut text);
    }
    joiner.finish(&mut text);
    text
}

/// Joins tokens to text one by one; see [`detokenise`].
#[derive(Clone, Debug)]
pub struct Detokeniser {
    kind: TokenKind,
    /// Whether the next token follows without a space.
    attached: bool,
    /// Open quotation marks.
    quotes: Quotes,
    /// The kind of the previous token, which decides how an ambiguous mark is written.
    last: Last,
    /// Whether the previous token is a colon, comma or en dash that follows a number.
    in_number: bool,
    /// With BPE, the bytes of an incomplete character.
    incomplete: Vec<u8>,
    /// Whether the previous token is `'` with a space before it.
    after_apostrophe: bool,
}

/// The quotation marks that are open.
#[derive(Clone, Copy, Debug, Default)]
struct Quotes {
    /// `"`, or the pair of Penn Treebank.
    double: bool,
    /// `'` or `‘`.
    single: bool,
    /// `„`, which `“` closes.
    low: bool,
}

/// The kind of the previous token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// The beginning of a line.
    Nothing,
    /// A word.
    Word,
    /// A word to which an apostrophe after it belongs: `boys'`, `o'`.
    ElidedWord,
    /// A number.
    Number,
    /// A character of a script without spaces.
    Unspaced,
    /// A mark that ends a clause, or a closing quotation mark.
    Closing,
    /// Another symbol.
    Symbol,
}

/// Where a token has a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spaces {
    /// On both sides, as words.
    Both,
    /// Only after it.
    After,
    /// Only before it.
    Before,
    /// On neither side.
    Neither,
}

impl Detokeniser {
    /// Starts a text.
    pub fn new(kind: TokenKind) -> Detokeniser {
        Detokeniser {
            kind,
            attached: true,
            quotes: Quotes::default(),
            last: Last::Nothing,
            in_number: false,
            incomplete: Vec::new(),
            after_apostrophe: false,
        }
    }

    /// Appends the next token to the text, after a space if one belongs there.
    pub fn append(&mut self, token: &str, text: &mut String) {
        if matches!(token, "<S>" | "<eos>") {
            self.finish(text);
            text.push('\n');
            // A quotation can continue in the next line, but not after a blank one.
            if token == "<S>" || self.last == Last::Nothing {
                self.quotes = Quotes::default();
            }
            (self.attached, self.last, self.in_number) = (true, Last::Nothing, false);
            self.after_apostrophe = false;
        } else if self.kind == TokenKind::Characters {
            text.push_str(token);
        } else if self.kind == TokenKind::Bpe {
            self.incomplete.extend(bytes_of(token));
            self.append_complete(text);
        } else if let Some(joint) = joint(token) {
            text.push_str(joint);
            self.attached = true;
        } else {
            self.append_word(token, text);
        }
    }

    /// Ends the text. Appends `U+FFFD` for an incomplete character.
    pub fn finish(&mut self, text: &mut String) {
        let rest = std::mem::take(&mut self.incomplete);
        text.push_str(&String::from_utf8_lossy(&rest));
    }

    /// Appends the complete characters of the bytes so far, and `U+FFFD` for bytes that are not part of a character.
    fn append_complete(&mut self, text: &mut String) {
        let bytes = std::mem::take(&mut self.incomplete);
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            let is_last = chunks.peek().is_none();
            let is_incomplete =
                is_last && str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if is_incomplete {
                self.incomplete = invalid.to_vec();
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    fn append_word(&mut self, token: &str, text: &mut String) {
        let last = kind_of(token);
        if std::mem::take(&mut self.after_apostrophe) && is_shortened(token) {
            self.quotes.single = false;
        }
        let spaces = self.spaces(token, last);
        let follows_number = self.in_number && last == Last::Number;
        let is_unspaced = last == Last::Unspaced || self.last == Last::Unspaced;
        let has_space = matches!(spaces, Spaces::Both | Spaces::Before);
        if has_space && !self.attached && !follows_number && !is_unspaced {
            text.push(' ');
        }
        text.push_str(token);
        self.attached = matches!(spaces, Spaces::Before | Spaces::Neither);
        self.in_number = self.last == Last::Number && matches!(token, ":" | "–" | ",");
        self.last = last;
    }

    /// Where a token has spaces after the tokens so far. Opens and closes quotations.
    fn spaces(&mut self, token: &str, kind: Last) -> Spaces {
        match token {
            "." | "," | ";" | ":" | "!" | "?" | "%" | "‰" | "°" | ")" | "]" | "}" | "”" | "»"
            | "›" | "।" | "॥" | "؟" | "،" | "؛" | "…" | "..." | ".." | "n't" | "n’t" => {
                Spaces::After
            }
            "‘" => {
                self.quotes.single = true;
                Spaces::Before
            }
            "(" | "[" | "{" | "«" | "‹" | "¿" | "¡" | "$" | "£" | "€" | "¥" | "#" => {
                Spaces::Before
            }
            "/" | "—" | "--" | "---" => Spaces::Neither,
            "–" if self.last == Last::Number => Spaces::After,
            "„" => {
                self.quotes.low = true;
                Spaces::Before
            }
            "“" => {
                if std::mem::take(&mut self.quotes.low) {
                    Spaces::After
                } else {
                    Spaces::Before
                }
            }
            "\"" | "``" | "''" => {
                // After a comma or a period only a closing mark follows without a space.
                let closes = match self.last {
                    Last::Nothing => token == "''",
                    Last::Closing => self.quotes.double || self.attached,
                    _ => self.quotes.double,
                };
                self.quotes.double = !closes;
                if closes {
                    Spaces::After
                } else {
                    Spaces::Before
                }
            }
            "'" | "’" => self.apostrophe(token),
            _ => {
                // Clitics such as 's, 're and 'll, which other tokenizers split off.
                let rest = token.strip_prefix(['\'', '’']);
                let is_clitic = rest
                    .is_some_and(|rest| rest.len() <= 2 && rest.chars().all(char::is_alphabetic));
                if is_clitic && matches!(self.last, Last::Word | Last::ElidedWord | Last::Number) {
                    return Spaces::After;
                }
                match kind {
                    Last::Unspaced => Spaces::Neither,
                    _ => Spaces::Both,
                }
            }
        }
    }

    /// A single apostrophe: a quotation mark, or a mark of omitted letters.
    fn apostrophe(&mut self, token: &str) -> Spaces {
        let quote = &mut self.quotes.single;
        let closes = match self.last {
            Last::Nothing => false,
            Last::ElidedWord => true,
            Last::Word | Last::Number => *quote || self.kind == TokenKind::Whitespace,
            Last::Closing => *quote || token == "’",
            Last::Unspaced | Last::Symbol => *quote && (!self.attached || token == "’"),
        };
        if closes {
            *quote = false;
            return Spaces::After;
        }
        // `’` opens no quotation. Like `'`, it can stand for omitted letters.
        if token == "'" {
            *quote = true;
            self.after_apostrophe = true;
        }
        Spaces::Before
    }
}

fn kind_of(token: &str) -> Last {
    let first = token.chars().next().unwrap_or(' ');
    let end = token.chars().next_back().unwrap_or(' ');
    if is_unspaced(first) || is_unspaced(end) {
        Last::Unspaced
    } else if first.is_numeric() {
        Last::Number
    } else if first.is_alphabetic() || first == '\'' && token.len() > 1 {
        let is_elided = matches!(end, 's' | 'S')
            || matches!(
                token,
                "o" | "O" | "i" | "th" | "Th" | "wi" | "gi" | "ha" | "ta"
            );
        if is_elided {
            Last::ElidedWord
        } else {
            Last::Word
        }
    } else if matches!(
        first,
        '.' | ',' | ';' | ':' | '!' | '?' | '…' | ')' | ']' | '”'
    ) {
        Last::Closing
    } else {
        Last::Symbol
    }
}

/// Whether an apostrophe before this word stands for omitted letters, as in `'tis`, and opens no quotation.
fn is_shortened(word: &str) -> bool {
    const WORDS: [&str; 20] = [
        "tis", "twas", "twere", "twill", "twould", "twixt", "em", "gainst", "bout", "cause", "til",
        "till", "neath", "mongst", "scape", "fore", "tween", "gan", "longs", "less",
    ];
    word.starts_with(|c: char| c.is_numeric()) || WORDS.contains(&word.to_lowercase().as_str())
}

/// The character that joins two parts of a word or number in the notation of WikiText, such as `@-@`.
fn joint(token: &str) -> Option<&str> {
    token.strip_prefix('@')?.strip_suffix('@').filter(|inner| {
        let mut characters = inner.chars();
        characters.next().is_some_and(|c| !c.is_alphanumeric()) && characters.next().is_none()
    })
}

/// Whether a character belongs to a script that is written without spaces between words, or to its punctuation.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        // Thai, Lao, Tibetan, Myanmar, Khmer.
        '\u{e00}'..='\u{eff}' | '\u{f00}'..='\u{fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        // Radicals, punctuation, Hiragana, Katakana, Bopomofo; not Hangul.
        | '\u{2e80}'..='\u{312f}' | '\u{31a0}'..='\u{31ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        // Full-width forms.
        | '\u{ff00}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokenized_text_is_joined_as_people_write_it() {
        let joined = |text: &str| detokenise(text.split(' '), TokenKind::Whitespace);
        assert_eq!(
            joined("`` Don 't , '' he said ( twice ) ."),
            "``Don't,'' he said (twice)."
        );
        assert_eq!(
            joined("the \" best \" of 1 @,@ 234"),
            "the \"best\" of 1,234"
        );
        assert_eq!(joined("17th @-@ place <eos> End"), "17th-place\nEnd");
        assert_eq!(joined("user @ home $ 5 %"), "user @ home $5%");
        assert_eq!(
            joined("the boys ' room isn 't ours"),
            "the boys' room isn't ours"
        );
        let characters = ["a", " ", "b", "<eos>", "c"];
        assert_eq!(detokenise(characters, TokenKind::Characters), "a b\nc");
    }

    #[test]
    fn bytes_of_subwords_make_characters() {
        let mut joiner = Detokeniser::new(TokenKind::Bpe);
        let mut append = |token: &str| {
            let mut text = String::new();
            joiner.append(token, &mut text);
            text
        };
        // Two bytes of a character, then its third.
        let shown = ["Ġa", "æĹ", "¥", "æĹ", "b", "æ", "<eos>", "x"].map(&mut append);
        assert_eq!(
            shown,
            [" a", "", "日", "", "\u{fffd}b", "", "\u{fffd}\n", "x"]
        );
        assert_eq!(detokenise(["a", "æĹ"], TokenKind::Bpe), "a\u{fffd}");
    }

    /// Splits lines into words and joins them again.
    fn there_and_back<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(&'a str, String)> {
        let mut joiner = Detokeniser::new(TokenKind::Words);
        let there_and_back = |line: &'a str| {
            let mut text = String::new();
            for token in TokenKind::Words.split(line) {
                joiner.append(token, &mut text);
            }
            joiner.append("<eos>", &mut String::new());
            (line, text)
        };
        lines.map(there_and_back).collect()
    }

    #[test]
    fn sentences_come_back() {
        let text = "\
\"Well,\" said Anna, \"it's 12:30; let's go!\" (She didn't.)
\"Is that a quotation that continues
in the next line?\" he asked... \"It is.\"

He paid $3.14 (about €2,90), 50% of the 1,000 dollars—or less.
The well-known ex-minister's son-in-law: a 'friend' of ours, o' the old kind.
'Tis the boys' room, not the '90s; and/or rock 'n' roll.
From 1914–1918 to the end – and on.
“Who’s there?” ‘Nobody,’ said Jean-Luc; “‘so’ is what it says.”
L’été dernier, j’ai vu l’homme d'Artagnan à l'école.
„Guten Tag“, sagte er. Он сказал: «Здравствуйте!» ¿Qué? ¡Olé!
日本語の文、「カタカナ」と漢字。中文没有空格,对吗?
ภาษาไทยไม่มีช่องว่าง
한국어는 있다.
Wait... what--now? See #12 at 20°, Mr. O'Neil [sic].
नमस्ते दुनिया। שלום עולם. مرحبا بالعالم.
";
        for (line, back) in there_and_back(text.lines()) {
            assert_eq!(back, line);
        }
    }

    /// The share of the lines of a play that come back.
    #[test]
    fn most_lines_come_back() {
        let text = include_str!("../../configs/shakespeare/train.txt");
        let lines = there_and_back(text.lines());
        let same = lines.iter().filter(|(line, back)| line == back).count();
        let share = same as f64 / lines.len() as f64;
        assert!(share > 0.99, "{share}");
    }
}
