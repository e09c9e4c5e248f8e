//! What README and help topics repeat of the source is what stands there.

use std::collections::BTreeSet;

use crate::layering::source::{code_and_strings, files_below, root};
use wlstm::help::{TOPICS, Topic};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

/// What stands in backquotes in the first column of a row of a table.
fn names_in_first_column(row: &str) -> impl Iterator<Item = &str> {
    let cell = row
        .strip_prefix("| ")
        .and_then(|row| row.split(" | ").next());
    cell.unwrap_or_default().split('`').skip(1).step_by(2)
}

/// The program in the README, without the comment in the first line, is the first example, which the tests compile and run.
#[test]
fn program_of_the_readme_is_the_example() {
    let readme = read("README.md");
    let programs: Vec<&str> = readme
        .split("```rust\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    let example = read("tests/examples/train.rs");
    let (_, program) = example.split_once('\n').expect("lines");
    assert_eq!(programs, [program]);
}

#[test]
fn the_readme_lists_every_topic() {
    let readme = read("README.md");
    let table = readme.split("| topic | content |\n").nth(1);
    let rows = table.and_then(|rest| rest.split("\n\n").next());
    let rows = rows.expect("the table of topics").lines();
    let listed: BTreeSet<&str> = rows.flat_map(names_in_first_column).collect();
    let topics: BTreeSet<&str> = TOPICS.iter().map(|topic| topic.name).collect();
    assert_eq!(listed, topics);
}

/// What a library reads, not the source of this crate.
const READ_ELSEWHERE: [&str; 1] = ["RAYON_NUM_THREADS"];

/// Every environment variable that the source reads has its row, and no other has one.
#[test]
fn environment_variables_are_those_that_are_read() {
    let is_variable = |text: &&str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        text.contains('_')
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.chars().all(is_part)
    };
    let mut read: BTreeSet<String> = READ_ELSEWHERE.map(str::to_owned).into();
    for path in files_below("src", &["rs"]) {
        let text = std::fs::read_to_string(path).expect("a source file");
        if text.contains("env::var") {
            // What is set is for a library, and what `env!` names is read by the compiler.
            let others = text
                .replace("set_var(\"", "(\"set ")
                .replace("env!(\"", "(\"built ");
            let (_, strings) = code_and_strings(&others);
            let names = strings.iter().map(String::as_str).filter(is_variable);
            read.extend(names.map(str::to_owned));
            for call in ["env::var(\"", "env::var_os(\""] {
                let rests = others.split(call).skip(1);
                read.extend(rests.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }
    assert!(read.len() > 10, "{read:?}");
    let text = Topic::named("environment").expect("the topic").text;
    let names = text.lines().flat_map(names_in_first_column);
    let documented = names.map(str::to_owned).collect();
    assert_eq!(read, documented);
}
