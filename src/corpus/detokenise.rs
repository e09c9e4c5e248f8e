//! Joins generated tokens to text.

use super::tokens::TokenKind;

/// Joins tokens to text as people write it: boundary tokens become line breaks, punctuation attaches to the
/// right word, and the `@-@` of WikiText becomes a hyphen. Characters are joined as they are.
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
    text
}

/// Joins tokens to text one by one; see [`detokenise`].
#[derive(Clone, Debug)]
pub struct Detokeniser {
    kind: TokenKind,
    /// Whether the next token follows without a space.
    attached: bool,
    in_quotes: bool,
}

impl Detokeniser {
    /// Starts a text.
    pub fn new(kind: TokenKind) -> Detokeniser {
        Detokeniser {
            kind,
            attached: true,
            in_quotes: false,
        }
    }

    /// Appends the next token to the text, after a space if one belongs there.
    pub fn append(&mut self, token: &str, text: &mut String) {
        if matches!(token, "<S>" | "<eos>") {
            text.push('\n');
            (self.attached, self.in_quotes) = (true, false);
        } else if self.kind == TokenKind::Characters {
            text.push_str(token);
        } else if let Some(joint) = joint(token) {
            text.push_str(joint);
            self.attached = true;
        } else {
            let closes_quotes = self.in_quotes && matches!(token, "\"" | "''");
            if !self.attached && !closes_quotes && !attaches_left(token) {
                text.push(' ');
            }
            text.push_str(token);
            self.attached = matches!(
                token,
                "(" | "[" | "{" | "“" | "‘" | "``" | "$" | "£" | "€" | "#" | "/"
            );
            if matches!(token, "\"" | "``" | "''") {
                self.in_quotes = !closes_quotes;
                self.attached = self.in_quotes;
            }
        }
    }
}

/// The character that joins two parts of a word or number in the notation of WikiText, such as `@-@`.
fn joint(token: &str) -> Option<&str> {
    token.strip_prefix('@')?.strip_suffix('@').filter(|inner| {
        let mut characters = inner.chars();
        characters.next().is_some_and(|c| !c.is_alphanumeric()) && characters.next().is_none()
    })
}

/// Whether there is no space before this token.
fn attaches_left(token: &str) -> bool {
    match token {
        "." | "," | ";" | ":" | "!" | "?" | "%" | ")" | "]" | "}" | "”" | "…" | "..." | "/"
        | "n't" | "n’t" => true,
        _ => {
            // Clitics such as 's, 're and 'll, and a single apostrophe, as in "the boys' room".
            let rest = token.strip_prefix(['\'', '’']);
            rest.is_some_and(|rest| rest.len() <= 2 && rest.chars().all(char::is_alphabetic))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_joined_as_people_write_it() {
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
        let characters = ["a", " ", "b", "<eos>", "c"];
        assert_eq!(detokenise(characters, TokenKind::Characters), "a b\nc");
    }
}
