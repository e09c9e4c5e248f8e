//! Every command line in the README, in help topics and in the help of commands is one that the program accepts.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::command::Arguments;
use crate::help::TOPICS;

/// Placeholders for a value that must be a number or a name.
const PLACEHOLDERS: [(&str, &str); 8] = [
    ("N", "1"),
    ("X", "1"),
    ("P", "0.5"),
    ("SIZE", "8GB"),
    ("SHELL", "bash"),
    ("FORMAT", "onnx"),
    ("TOPIC", "devices"),
    ("COMMAND", "train"),
];

/// A command line. It is complete in a block of code; in a sentence it may lack arguments.
struct Line {
    text: String,
    is_complete: bool,
}

/// The command lines of a Markdown text: in fenced and indented code, and in code within sentences.
fn lines_of_markdown(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut prose = String::new();
    let mut is_fenced = false;
    let text = text.replace("\\\n", " ");
    for line in text.lines() {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        } else if is_fenced || line.starts_with("    ") {
            lines.push(Line {
                text: line.trim().to_owned(),
                is_complete: true,
            });
        } else {
            prose += line;
            prose.push(' ');
        }
    }
    let code = prose.split('`').skip(1).step_by(2);
    lines.extend(code.map(|code| Line {
        text: code.to_owned(),
        is_complete: false,
    }));
    lines
}

/// The command lines of the help of a command: indented lines.
fn lines_of_help(command: &clap::Command) -> Vec<Line> {
    let help = command.get_after_help().map(ToString::to_string);
    let help = help.unwrap_or_default().replace("\\\n", " ");
    let indented = help.lines().filter(|line| line.starts_with("  "));
    let mut lines: Vec<Line> = indented
        .map(|line| Line {
            text: line.trim().to_owned(),
            is_complete: true,
        })
        .collect();
    for command in command.get_subcommands() {
        lines.extend(lines_of_help(command));
    }
    lines
}

/// Splits a command line as a shell does, at spaces outside quotes. Ends at the first pipe, redirection or comment
/// after `wlstm`.
fn arguments(line: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c == ' ' => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let is_cargo = line.starts_with("cargo run");
    let is_program =
        |word: &String| word == "wlstm" || word.ends_with("/wlstm") || is_cargo && word == "--";
    let start = words.iter().position(is_program)?;
    // The path of the program may be an argument of another command.
    if start > 0 && ["--bin", "install"].iter().any(|word| line.contains(word)) {
        return None;
    }
    let ends = |word: &&String| !matches!(word.as_str(), "|" | ">" | "#" | "&&" | ";");
    let words = words[start + 1..].iter().take_while(ends);
    let given = words.map(|word| {
        let found = PLACEHOLDERS.iter().find(|(name, _)| name == word);
        found.map_or_else(|| word.clone(), |(_, value)| (*value).to_owned())
    });
    Some(given.collect())
}

/// The reason why the program does not accept a line, if it does not.
fn refusal(line: &Line) -> Option<String> {
    let mut given = arguments(&line.text)?;
    if !line.is_complete {
        // `...` and `[OPTION]` are placeholders.
        given.retain(|word| !word.ends_with("...") && !word.starts_with('['));
    }
    let words = ["wlstm"]
        .into_iter()
        .chain(given.iter().map(String::as_str));
    let error = Arguments::try_parse_from(words).err()?;
    let is_fine = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::MissingRequiredArgument
        | ErrorKind::MissingSubcommand => !line.is_complete,
        _ => false,
    };
    (!is_fine).then(|| format!("{}\n{error}", line.text))
}

#[test]
fn every_documented_command_line_parses() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readmes = ["README.md", "benches/README.md"];
    let readmes = readmes.map(|name| std::fs::read_to_string(root.join(name)).unwrap());
    let topics = TOPICS.iter().map(|topic| topic.text.to_owned());
    let texts: Vec<String> = readmes.into_iter().chain(topics).collect();
    let mut lines = lines_of_help(&Arguments::command());
    lines.extend(texts.iter().flat_map(|text| lines_of_markdown(text)));
    let found = lines.iter().filter(|line| arguments(&line.text).is_some());
    assert!(found.count() > 80, "the lines are not found");
    let wrong: Vec<String> = lines.iter().filter_map(refusal).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn wrong_lines_are_refused() {
    let line = |text: &str, is_complete| Line {
        text: text.to_owned(),
        is_complete,
    };
    assert!(refusal(&line("wlstm train a.toml --out 'b c' | less --wrong", true)).is_none());
    assert!(refusal(&line("echo x | A=b target/release/wlstm score run", true)).is_none());
    assert!(refusal(&line("wlstm train", true)).is_some());
    assert!(refusal(&line("wlstm train", false)).is_none());
    assert!(refusal(&line("wlstm train a.toml --stepz 3", false)).is_some());
    assert!(refusal(&line("wlstm trian a.toml", false)).is_some());
}
