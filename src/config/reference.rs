//! The reference of all keys, generated from their declarations.

use super::key::{Key, Resume};
use super::resolved::keys;

/// The column of the comments in [`reference`].
const COLUMN: usize = 26;
/// The maximum number of characters of a line in [`reference`].
const WIDTH: usize = 100;

/// Every key with its default, as commented TOML. It is a complete configuration except for the training text.
pub fn reference() -> String {
    let mut text = String::from(
        "# Every key with its default. On --resume, keys without a note must not change.\n",
    );
    let mut section = "";
    for key in keys() {
        if key.section != section {
            section = key.section;
            text += &format!("[{section}]\n");
        }
        let mut start = format!("{} = {}", key.name, key.default);
        for line in comment(key) {
            text += &format!("{start:<width$}# {line}\n", width = COLUMN);
            start.clear();
        }
    }
    text
}

/// The documentation of a key and of its values, in lines.
fn comment(key: &Key) -> Vec<String> {
    let resume = if key.resume == Resume::MustStay {
        String::new()
    } else {
        format!(" On --resume: {}.", key.resume.as_str())
    };
    let mut lines = wrap(&format!("{}{resume}", key.doc), "");
    for (name, doc) in &key.values {
        lines.extend(wrap(&format!("{name}: {doc}"), "  "));
    }
    lines
}

/// Wraps a text to the width of comments. Lines after the first begin with `indent`.
fn wrap(text: &str, indent: &str) -> Vec<String> {
    let most = WIDTH - COLUMN - "# ".len();
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.is_empty() {
            line = word.to_owned();
        } else if line.chars().count() + 1 + word.chars().count() <= most {
            line = format!("{line} {word}");
        } else {
            lines.push(std::mem::replace(&mut line, format!("{indent}{word}")));
        }
    }
    lines.push(line);
    lines
}
