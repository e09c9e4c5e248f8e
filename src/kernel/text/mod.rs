//! Text generation: see [the module above](super#text-generation).

mod expression;

use std::iter::Peekable;
use std::str::Lines;

use expression::{Names, Value, evaluate};

/// The text with its constants set and its directives expanded.
///
/// # Panics
///
/// If a directive or an expression is misspelt, or if the text has no line for a constant: the kernel misspells it.
pub fn expand(text: &str, constants: &[(&'static str, u32)]) -> String {
    let mut lines = text.lines().peekable();
    let parts = parse(&mut lines);
    if let Some(line) = lines.next() {
        panic!("`{}` without its `#for` or `#if`", line.trim());
    }
    let mut expansion = Expansion {
        constants,
        used: vec![false; constants.len()],
        names: Names::default(),
        text: String::new(),
    };
    expansion.parts(&parts);
    for ((name, _), used) in constants.iter().zip(expansion.used) {
        assert!(used, "the shader has no line `const {name}: u32 = ...;`");
    }
    expansion.text
}

/// A line, or the lines of a directive.
enum Part<'a> {
    Line(&'a str),
    For {
        directive: &'a str,
        body: Vec<Part<'a>>,
    },
    If {
        directive: &'a str,
        body: Vec<Part<'a>>,
        otherwise: Vec<Part<'a>>,
    },
}

/// The parts up to an `#else` or `#end` that begins none of them.
fn parse<'a>(lines: &mut Peekable<Lines<'a>>) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    while let Some(&line) = lines.peek() {
        let directive = line.trim();
        match directive.split_whitespace().next() {
            Some("#else" | "#end") => break,
            _ => lines.next(),
        };
        let end = |lines: &mut Peekable<Lines<'a>>| {
            let end = lines.next().map(str::trim);
            assert!(end == Some("#end"), "`{directive}` has no `#end`");
        };
        parts.push(match directive.split_whitespace().next() {
            Some("#for") => {
                let body = parse(lines);
                end(lines);
                Part::For { directive, body }
            }
            Some("#if") => {
                let (body, mut otherwise) = (parse(lines), Vec::new());
                if lines.peek().is_some_and(|line| line.trim() == "#else") {
                    lines.next();
                    otherwise = parse(lines);
                }
                end(lines);
                Part::If {
                    directive,
                    body,
                    otherwise,
                }
            }
            Some(word) if word.starts_with('#') => panic!("`{directive}` is not a directive"),
            _ => Part::Line(line),
        });
    }
    parts
}

struct Expansion<'a> {
    constants: &'a [(&'static str, u32)],
    /// Which of them have a line.
    used: Vec<bool>,
    /// Values of constants and loops.
    names: Names,
    text: String,
}

impl Expansion<'_> {
    fn parts(&mut self, parts: &[Part<'_>]) {
        for part in parts {
            match part {
                Part::Line(line) => self.line(line),
                Part::For { directive, body } => {
                    let (name, values) = self.range(directive);
                    let known = self.names.len();
                    for value in values {
                        self.names.push(&name, value);
                        self.parts(body);
                        self.names.truncate(known);
                    }
                }
                Part::If {
                    directive,
                    body,
                    otherwise,
                } => {
                    let condition = self.inserted(&directive["#if".len()..]);
                    let holds = self.number(directive, &condition) != 0;
                    self.parts(if holds { body } else { otherwise });
                }
            }
        }
    }

    /// The name of a loop, and its values.
    fn range(&self, directive: &str) -> (String, Vec<Value>) {
        let whole = self.inserted(&directive["#for".len()..]);
        let (name, range) = whole
            .split_once(" in ")
            .unwrap_or_else(|| panic!("`{directive}` is not `#for NAME in RANGE`"));
        let values = match range.split_once("..") {
            Some((from, to)) => {
                let numbers = self.number(directive, from)..self.number(directive, to);
                numbers.map(Value::Number).collect()
            }
            None => {
                let words = range.split_whitespace();
                words.map(|word| Value::Word(word.to_owned())).collect()
            }
        };
        (name.trim().to_owned(), values)
    }

    fn number(&self, directive: &str, expression: &str) -> i64 {
        match evaluate(expression, &self.names) {
            Ok(Value::Number(number)) => number,
            Ok(Value::Word(word)) => panic!("`{directive}`: `{word}` is not a number"),
            Err(error) => panic!("`{directive}`: {error}"),
        }
    }

    /// A line of WGSL.
    fn line(&mut self, line: &str) {
        let mut line = self.inserted(line);
        if let Some((name, kind, value)) = constant(&line) {
            let given = self
                .constants
                .iter()
                .position(|(constant, _)| *constant == name);
            let value = match given {
                Some(k) => {
                    self.used[k] = true;
                    Some(Value::Number(self.constants[k].1.into()))
                }
                // A line that no directive uses may have any expression.
                None => evaluate(value, &self.names).ok(),
            };
            let (name, kind) = (name.to_owned(), kind.to_owned());
            if let (Some(_), Some(Value::Number(number))) = (given, &value) {
                line = if kind == "bool" {
                    format!("const {name}: bool = {};", *number != 0)
                } else {
                    format!("const {name}: {kind} = {number}u;")
                };
            }
            if let Some(value) = value {
                self.names.push(&name, value);
            }
        }
        self.text += &line;
        self.text.push('\n');
    }

    /// The line with its insertions.
    fn inserted(&self, line: &str) -> String {
        let mut text = String::new();
        let mut rest = line;
        while let Some(at) = rest.find('{') {
            let (before, after) = rest.split_at(at);
            let inner = &after[1..];
            let begins = inner.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '(');
            text += before;
            match inner.split_once('}') {
                Some((expression, after)) if begins => {
                    match evaluate(expression, &self.names) {
                        Ok(value) => text += &value.to_string(),
                        Err(error) => panic!("`{}`: {error}", line.trim()),
                    }
                    rest = after;
                }
                _ => {
                    text.push('{');
                    rest = inner;
                }
            }
        }
        text + rest
    }
}

/// The name, the type and the expression of a line `const NAME: u32 = ...;` or `const NAME: bool = ...;` at its beginning.
fn constant(line: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = line.strip_prefix("const ")?.split_once(": ")?;
    let (kind, rest) = rest.split_once(" = ")?;
    let (value, _) = rest.split_once(';')?;
    matches!(kind, "u32" | "bool").then_some((name, kind, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_replace_their_lines() {
        let text = "const TILE: u32 = 4u; // rows\nconst TRANSPOSED: bool = false;\n";
        assert_eq!(
            expand(text, &[("TRANSPOSED", 1), ("TILE", 8)]),
            "const TILE: u32 = 8u;\nconst TRANSPOSED: bool = true;\n"
        );
    }

    #[test]
    fn loops_repeat_their_lines() {
        let text = "\
const TILE: u32 = 2u;
const SQUARES: u32 = max(TILE, 3u) * select(2u, 1u, TILE == 2u);
fn main() {
    #for i in 0..TILE
    #for side in left right
    sum{i}_{side} = {SIDE}_{4*i+1}u + {(SQUARES-1)/2}u;
    #end
    #end
    if (x) { return; }
}
";
        let expected = "\
const TILE: u32 = 2u;
const SQUARES: u32 = max(TILE, 3u) * select(2u, 1u, TILE == 2u);
fn main() {
    sum0_left = LEFT_1u + 1u;
    sum0_right = RIGHT_1u + 1u;
    sum1_left = LEFT_5u + 1u;
    sum1_right = RIGHT_5u + 1u;
    if (x) { return; }
}
";
        assert_eq!(expand(text, &[]), expected);
    }

    #[test]
    fn conditions_keep_one_of_two_texts() {
        let text = "\
const LEFT_ALONG: bool = true;
const LANES: u32 = 1u;
#for side in left
#if {SIDE}_ALONG && !(LANES >= 4u)
along
#else
across
#end
#end
#if LANES == 8
eights
#end
";
        let of = |along, lanes| {
            let text = expand(text, &[("LEFT_ALONG", along), ("LANES", lanes)]);
            let lines: Vec<String> = text.lines().skip(2).map(str::to_owned).collect();
            lines.join(" ")
        };
        assert_eq!(of(1, 1), "along");
        assert_eq!(of(1, 4), "across");
        assert_eq!(of(0, 8), "across eights");
    }

    /// The message of the panic.
    fn refused(text: &str, constants: &[(&'static str, u32)]) -> String {
        let panic = std::panic::catch_unwind(|| expand(text, constants));
        let message = panic.expect_err("the text must be refused");
        let text = message.downcast_ref::<String>().cloned();
        text.unwrap_or_else(|| (*message.downcast_ref::<&str>().expect("a text")).to_owned())
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        for (text, message) in [
            (
                "  #fro i in 0..2\n#end",
                "`#fro i in 0..2` is not a directive",
            ),
            ("#for i in 0..2\nx", "`#for i in 0..2` has no `#end`"),
            (
                "#if 1 == 1\n#else\n#else\n#end",
                "`#if 1 == 1` has no `#end`",
            ),
            ("#end", "`#end` without its `#for` or `#if`"),
            (
                "#for i of 0..2\n#end",
                "`#for i of 0..2` is not `#for NAME in RANGE`",
            ),
            (
                "#for i in 0..TILES\n#end",
                "`#for i in 0..TILES`: `TILES` has no value",
            ),
            (
                "#if TILES > 1\n#end",
                "`#if TILES > 1`: `TILES` has no value",
            ),
            ("#if 1 +\n#end", "`#if 1 +`: a value is missing at the end"),
            ("#if 1 2\n#end", "`#if 1 2`: `2` is not expected"),
            ("#if 1 / 0\n#end", "`#if 1 / 0`: division by zero"),
            (
                "#for w in a b\n#if w == 1\n#end\n#end",
                "`#if w == 1`: `a` is not a number",
            ),
            ("    let l{i} = 1u;", "`let l{i} = 1u;`: `i` has no value"),
        ] {
            assert_eq!(refused(text, &[]), message);
        }
        assert_eq!(
            refused("const TILES: u32 = 1u;", &[("TILE", 2)]),
            "the shader has no line `const TILE: u32 = ...;`"
        );
    }
}
