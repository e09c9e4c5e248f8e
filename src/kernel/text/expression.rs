//! Expressions of directives.

use std::fmt::{self, Display};

/// The value of an expression. A boolean is 0 or 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(i64),
    Word(String),
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Word(word) => write!(f, "{word}"),
        }
    }
}

/// The values of names, the latest last.
#[derive(Default)]
pub(super) struct Names(Vec<(String, Value)>);

impl Names {
    pub(super) fn push(&mut self, name: &str, value: Value) {
        self.0.push((name.to_owned(), value));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets all but the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// The value of a name, or the word of its lower case in upper case.
    fn get(&self, name: &str) -> Option<Value> {
        let find = |name: &str| self.0.iter().rev().find(|(other, _)| other == name);
        if let Some((_, value)) = find(name) {
            return Some(value.clone());
        }
        match find(&name.to_lowercase()) {
            Some((_, Value::Word(word))) => Some(Value::Word(word.to_uppercase())),
            _ => None,
        }
    }
}

/// Operators by increasing precedence; those in a row have the same precedence.
const OPERATORS: [&[&str]; 5] = [
    &["||"],
    &["&&"],
    &["==", "!=", "<=", ">=", "<", ">"],
    &["+", "-"],
    &["*", "/", "%"],
];

/// The value of an expression.
pub(super) fn evaluate(text: &str, names: &Names) -> Result<Value, String> {
    let mut parser = Parser {
        rest: text.trim(),
        names,
    };
    let value = parser.binary(0)?;
    if parser.rest.is_empty() {
        Ok(value)
    } else {
        Err(format!("`{}` is not expected", parser.rest))
    }
}

struct Parser<'a> {
    rest: &'a str,
    names: &'a Names,
}

impl Parser<'_> {
    /// Skips this text, if it is next.
    fn skip(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.map_or(self.rest, str::trim_start);
        rest.is_some()
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        if self.skip(text) {
            Ok(())
        } else {
            Err(format!("`{text}` is missing before `{}`", self.rest))
        }
    }

    fn binary(&mut self, level: usize) -> Result<Value, String> {
        let Some(operators) = OPERATORS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.skip(operator)) {
            let right = self.binary(level + 1)?;
            let (a, b) = (number(&left)?, number(&right)?);
            left = Value::Number(match *operator {
                "||" => (a != 0 || b != 0).into(),
                "&&" => (a != 0 && b != 0).into(),
                "==" => (a == b).into(),
                "!=" => (a != b).into(),
                "<=" => (a <= b).into(),
                ">=" => (a >= b).into(),
                "<" => (a < b).into(),
                ">" => (a > b).into(),
                "+" => a + b,
                "-" => a - b,
                "*" => a * b,
                "/" => a.checked_div(b).ok_or("division by zero")?,
                _ => a.checked_rem(b).ok_or("division by zero")?,
            });
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Value, String> {
        if self.skip("!") {
            let value = number(&self.unary()?)?;
            return Ok(Value::Number((value == 0).into()));
        }
        if self.skip("(") {
            let value = self.binary(0)?;
            self.expect(")")?;
            return Ok(value);
        }
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !inside(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            let found = if rest.is_empty() { "the end" } else { rest };
            return Err(format!("a value is missing at {found}"));
        }
        self.rest = rest.trim_start();
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            let digits = word.strip_suffix('u').unwrap_or(word);
            let number = digits.parse();
            let number = number.map_err(|_| format!("`{word}` is not a whole number"))?;
            return Ok(Value::Number(number));
        }
        match word {
            "true" => Ok(Value::Number(1)),
            "false" => Ok(Value::Number(0)),
            "min" | "max" | "select" => self.call(word),
            name => {
                let value = self.names.get(name);
                value.ok_or_else(|| format!("`{name}` has no value"))
            }
        }
    }

    fn call(&mut self, function: &str) -> Result<Value, String> {
        self.expect("(")?;
        let first = self.binary(0)?;
        self.expect(",")?;
        let second = self.binary(0)?;
        let value = if function == "select" {
            self.expect(",")?;
            let condition = number(&self.binary(0)?)?;
            if condition != 0 { second } else { first }
        } else {
            let (a, b) = (number(&first)?, number(&second)?);
            Value::Number(if function == "min" {
                a.min(b)
            } else {
                a.max(b)
            })
        };
        self.expect(")")?;
        Ok(value)
    }
}

fn number(value: &Value) -> Result<i64, String> {
    match value {
        Value::Number(number) => Ok(*number),
        Value::Word(word) => Err(format!("`{word}` is not a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_have_the_precedence_of_wgsl() {
        let mut names = Names::default();
        names.push("ROWS", Value::Number(64));
        names.push("i", Value::Number(3));
        let of = |text| evaluate(text, &names).map(|value| value.to_string());
        for (text, value) in [
            ("1 + 2 * 3", "7"),
            ("(1 + 2) * 3", "9"),
            ("10 - 3 - 2", "5"),
            ("ROWS / 8u * (ROWS / 8u)", "64"),
            ("i/2+i%2", "2"),
            ("ROWS > 4u && i != 3 || i <= 3", "1"),
            ("!(i == 3) || false", "0"),
            ("select(1u, ROWS, i > 2)", "64"),
            ("max(min(i, 2), 1)", "2"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(value), "{text}");
        }
        for (text, error) in [
            ("1.5", "`.5` is not expected"),
            ("4x", "`4x` is not a whole number"),
            ("min(1)", "`,` is missing before `)`"),
            ("(1", "`)` is missing before ``"),
        ] {
            assert_eq!(of(text), Err(error.to_owned()));
        }
    }
}
