//! Every command line in the README, in help topics, in the help of commands, in configurations and in the source is one that
//! the program accepts, and every reference to a help topic leads to one.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::command::Arguments;
use crate::help::{TOPICS, Topic};

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

/// A command line. It is complete in a block of code; in a sentence it may lack all arguments, or those at `...`.
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
    let mut may_lack = false;
    if !line.is_complete {
        // `...` stands for arguments, `CONFIG...` for one or more, and `[OPTION]` for an option.
        may_lack = given.iter().any(|word| word == "...") || names_a_command(&given);
        given.retain(|word| word != "..." && !word.starts_with('['));
        for word in &mut given {
            *word = word.trim_end_matches("...").to_owned();
        }
    }
    let words = ["wlstm"]
        .into_iter()
        .chain(given.iter().map(String::as_str));
    let error = Arguments::try_parse_from(words).err()?;
    let is_fine = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::MissingRequiredArgument
        | ErrorKind::MissingSubcommand => may_lack,
        // An option without its value.
        ErrorKind::InvalidValue => {
            may_lack && given.last().is_some_and(|word| word.starts_with("--"))
        }
        _ => false,
    };
    (!is_fine).then(|| format!("{}\n{error}", line.text))
}

/// Whether words are only a command, with options or without.
fn names_a_command(words: &[String]) -> bool {
    let mut command = Arguments::command();
    let mut rest = words;
    while let Some((first, others)) = rest.split_first()
        && let Some(found) = command.find_subcommand(first)
    {
        (command, rest) = (found.clone(), others);
    }
    rest.first().is_none_or(|word| word.starts_with("--"))
}

/// All files in a folder and the folders in it.
pub(super) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The texts of all files of these folders with one of these extensions.
fn texts_of(folders: &[&str], extensions: &[&str]) -> Vec<String> {
    let files = folders
        .iter()
        .flat_map(|folder| files_below(&root().join(folder)));
    let is_wanted = |path: &PathBuf| {
        extensions
            .iter()
            .any(|end| path.extension() == Some(end.as_ref()))
    };
    let wanted = files.filter(is_wanted);
    wanted
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

fn readmes() -> [String; 2] {
    ["README.md", "benches/README.md"]
        .map(|name| std::fs::read_to_string(root().join(name)).unwrap())
}

/// The text of the comments of a source file or a configuration, without their marks.
fn comments(text: &str, marks: &[&str]) -> String {
    let of_line = |line: &str| {
        let rest = marks
            .iter()
            .find_map(|mark| line.trim_start().strip_prefix(mark))?;
        Some(rest.strip_prefix(' ').unwrap_or(rest).to_owned() + "\n")
    };
    text.lines().filter_map(of_line).collect()
}

/// The code `wlstm ...` within messages and comments of a source file.
fn lines_of_source(text: &str) -> Vec<Line> {
    let marks = ["//! ", "/// ", "// "];
    let line = |line: &str| {
        let line = line.trim_start();
        let comment = marks.iter().find_map(|mark| line.strip_prefix(mark));
        comment.unwrap_or(line).trim_end_matches('\\').to_owned() + " "
    };
    let text: String = text.lines().map(line).collect();
    // In two parts, so that this line is not found.
    let opening = ["`", "wlstm "].concat();
    let code = text.split(&opening).skip(1);
    let code = code.filter_map(|rest| rest.split('`').next());
    let line = |code: &str| Line {
        text: format!(
            "wlstm {}",
            code.split_whitespace().collect::<Vec<_>>().join(" ")
        ),
        is_complete: false,
    };
    // `{place}` stands for a value of the program.
    code.filter(|code| !code.contains('{')).map(line).collect()
}

#[test]
fn every_documented_command_line_parses() {
    let topics = TOPICS.iter().map(|topic| topic.text.to_owned());
    let configurations = texts_of(&["configs"], &["toml"]);
    let configurations = configurations.iter().map(|text| comments(text, &["#"]));
    let sources = texts_of(&["src"], &["rs"]);
    let pages = sources.iter().map(|text| comments(text, &["//!", "///"]));
    let texts: Vec<String> = readmes()
        .into_iter()
        .chain(topics)
        .chain(configurations)
        .collect();
    let mut lines = lines_of_help(&Arguments::command());
    lines.extend(texts.iter().flat_map(|text| lines_of_markdown(text)));
    let in_blocks = |text: String| {
        lines_of_markdown(&text)
            .into_iter()
            .filter(|line| line.is_complete)
    };
    lines.extend(pages.flat_map(in_blocks));
    lines.extend(sources.iter().flat_map(|text| lines_of_source(text)));
    let found = lines.iter().filter(|line| arguments(&line.text).is_some());
    assert!(found.count() > 200, "the lines are not found");
    let mut wrong: Vec<String> = lines.iter().filter_map(refusal).collect();
    for line in &lines {
        // Configurations of this repository, and its examples.
        let words: Vec<&str> = line.text.split_whitespace().collect();
        let configs = words
            .iter()
            .filter(|word| word.starts_with("configs/") && word.ends_with(".toml"));
        let examples = words.windows(2).filter(|pair| pair[0] == "--example");
        let files = configs
            .filter(|word| !word.contains('*'))
            .map(|word| (*word).to_owned());
        let files = files.chain(examples.map(|pair| format!("tests/examples/{}.rs", pair[1])));
        let missing = files.filter(|file| !root().join(file).exists());
        wrong.extend(missing.map(|file| format!("{}\nthere is no {file}", line.text)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn references_to_help_exist() {
    let command = Arguments::command();
    let files = texts_of(
        &["src", "tests/examples", "benches", "configs"],
        &["rs", "md", "toml"],
    );
    let mut found = 0;
    for text in files.iter().chain(&readmes()) {
        for rest in text.split("wlstm help ").skip(1) {
            let name = rest
                .split(|c: char| !c.is_ascii_lowercase() && c != '-')
                .next()
                .unwrap();
            // `TOPIC` stands for any.
            if !name.is_empty() {
                found += 1;
                let is_known =
                    Topic::named(name).is_some() || command.find_subcommand(name).is_some();
                assert!(is_known, "wlstm help {name}");
            }
        }
    }
    assert!(found > 15, "the references are not found");
}

#[test]
fn the_readme_lists_every_command() {
    let [readme, _] = readmes();
    let table = readme.split("| command | what it does |\n").nth(1).unwrap();
    let rows = table.split("\n\n").next().unwrap().lines();
    let names = rows.flat_map(|row| {
        row.split(" | ")
            .next()
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2)
    });
    let mut listed: Vec<&str> = names.map(|code| code.split(' ').next().unwrap()).collect();
    listed.retain(|name| *name != "---");
    listed.sort_unstable();
    let command = Arguments::command();
    let mut commands: Vec<&str> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    commands.sort_unstable();
    assert_eq!(listed, commands);
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
    assert!(refusal(&line("wlstm import ...", false)).is_none());
    assert!(refusal(&line("wlstm import a.safetensors", false)).is_some());
    assert!(refusal(&line("wlstm train a.toml --stepz 3", false)).is_some());
    assert!(refusal(&line("wlstm trian a.toml", false)).is_some());
}
