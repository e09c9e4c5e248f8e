//! Suggestions for unknown options: names of options and settings in other programs.

use std::ffi::OsString;

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::{Meaning, meaning};

/// Options, with their names in other programs. Single letters are short options.
const SYNONYMS: &[(&str, &[&str])] = &[
    (
        "out",
        &[
            "o",
            "output",
            "output-dir",
            "out-dir",
            "outdir",
            "save",
            "save-dir",
            "run-dir",
            "log-dir",
        ],
    ),
    (
        "device",
        &[
            "gpu", "gpus", "cuda", "cpu", "d", "use-cuda", "no-cuda", "gpu-id", "backend",
        ],
    ),
    ("data", &["i", "input", "text", "test", "file", "corpus"]),
    (
        "prompt",
        &["p", "prime", "prefix", "text", "input", "start"],
    ),
    (
        "tokens",
        &[
            "n",
            "n-predict",
            "length",
            "max-length",
            "max-tokens",
            "max-new-tokens",
            "num-tokens",
            "words",
        ],
    ),
    ("samples", &["num-samples", "n-samples", "count"]),
    ("temperature", &["temp", "t"]),
    (
        "size",
        &["vocab-size", "vocabulary-size", "max-size", "limit"],
    ),
    (
        "min-count",
        &["min-freq", "min-frequency", "mincount", "threshold"],
    ),
    (
        "epochs",
        &["e", "num-epochs", "n-epochs", "max-epochs", "epoch"],
    ),
    (
        "steps",
        &["max-steps", "num-steps", "iterations", "iters", "max-iters"],
    ),
    ("seconds", &["time", "timeout", "duration", "max-time"]),
    (
        "resume",
        &["continue", "resume-from", "restore", "checkpoint"],
    ),
    ("init", &["pretrained", "init-from", "load", "weights"]),
    ("seed", &["s", "random-seed"]),
    ("format", &["f", "type"]),
    ("lm-weight", &["alpha", "lmwt", "lm-scale"]),
    (
        "word-bonus",
        &["beta", "insertion-penalty", "word-insertion-penalty"],
    ),
    ("references", &["refs", "ref", "reference"]),
    ("factor", &["rank", "r"]),
    ("groups", &["g", "num-groups"]),
    ("quiet", &["silent", "no-progress"]),
];

/// Options of other programs that have no counterpart, with the help for each.
const OTHERS: &[(&[&str], &str)] = &[
    (
        &["v", "verbose", "debug", "log-level"],
        "progress is shown without an option; the variable RUST_LOG=wlstm=debug shows more",
    ),
    (&["version"], "write `wlstm --version`"),
];

/// Replaces the suggestion in an error about an unknown option, if other programs have an option of this name. `arguments`: the
/// arguments after the name of the program.
pub(super) fn advise(error: &mut clap::Error, program: &Command, arguments: &[OsString]) {
    if error.kind() != ErrorKind::UnknownArgument {
        return;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    let mut command = program;
    for argument in arguments.iter().filter_map(|argument| argument.to_str()) {
        match command.find_subcommand(argument) {
            Some(found) => command = found,
            None if argument.starts_with('-') && command.get_name() == program.get_name() => {}
            None => break,
        }
    }
    if let Some(advice) = advice(given, command) {
        error.remove(ContextKind::SuggestedArg);
        let advice = ContextValue::StyledStrs(vec![StyledStr::from(advice)]);
        error.insert(ContextKind::Suggested, advice);
    }
}

/// The suggestion for the unknown option `given`, with its dashes, in this command.
fn advice(given: &str, command: &Command) -> Option<String> {
    let name = given.trim_start_matches('-').replace('_', "-");
    let has = |option: &str| {
        let mut options = command.get_opts();
        options.any(|known| known.get_long() == Some(option))
    };
    let synonym = SYNONYMS
        .iter()
        .find(|(option, names)| names.contains(&name.as_str()) && has(option));
    if let Some((option, _)) = synonym {
        let value = match (*option, name.as_str()) {
            ("device", "cpu" | "no-cuda") => " cpu",
            ("device", "gpu" | "gpus" | "cuda" | "use-cuda") => " gpu",
            _ => "",
        };
        return Some(format!("use '--{option}{value}'"));
    }
    if let Some((_, advice)) = OTHERS
        .iter()
        .find(|(names, _)| names.contains(&name.as_str()))
    {
        return Some((*advice).to_owned());
    }
    if !has("set") {
        return None;
    }
    Some(match meaning(&name)? {
        Meaning::Key(path) => format!("use '--set {path}=VALUE'"),
        Meaning::Advice(advice) => advice,
    })
}

#[cfg(test)]
mod tests {
    use super::super::command::command_line;
    use super::*;

    fn message(arguments: &[&str]) -> String {
        let program = command_line();
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let all = [OsString::from("wlstm")]
            .into_iter()
            .chain(arguments.iter().cloned());
        let mut error = program
            .clone()
            .try_get_matches_from(all)
            .expect_err("an unknown option");
        advise(&mut error, &program, &arguments);
        error.render().to_string()
    }

    #[test]
    fn options_of_other_programs_name_ours() {
        for (line, tip) in [
            ("train a.toml --lr 0.1", "--set train.learning_rate=VALUE"),
            ("train a.toml --batch-size=3", "--set train.batch=VALUE"),
            ("train a.toml --batch_size 3", "--set train.batch=VALUE"),
            ("-q train a.toml --data x", "--set data.train=VALUE"),
            ("train a.toml -o x", "use '--out'"),
            ("train a.toml --gpu", "use '--device gpu'"),
            ("train a.toml --max-epochs 3", "use '--epochs'"),
            (
                "train a.toml --weight-decay 0.1",
                "there is no weight decay",
            ),
            ("train a.toml --verbose", "RUST_LOG"),
            ("eval run --input x", "use '--data'"),
            ("generate run --max-new-tokens 3", "use '--tokens'"),
            ("generate run -n 3", "use '--tokens'"),
            ("vocab a --out b --min-freq 2", "use '--min-count'"),
            (
                "bench step a.toml --lr 1",
                "--set train.learning_rate=VALUE",
            ),
            ("rescore run a --alpha 1", "use '--lm-weight'"),
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            let message = message(&words);
            assert!(message.contains(tip), "{line}\n{message}");
            assert!(!message.contains("as a value"), "{line}\n{message}");
            assert!(message.contains("Usage: "), "{line}\n{message}");
        }
    }

    #[test]
    fn misspelt_and_unknown_options_keep_their_advice() {
        assert!(message(&["train", "a.toml", "--sed", "1"]).contains("'--seed'"));
        assert!(message(&["train", "a.toml", "--nonsense"]).contains("--nonsense"));
        assert!(!message(&["score", "run", "--lr", "1"]).contains("--set"));
    }

    /// Each option in the table is an option of a command.
    #[test]
    fn every_synonym_names_an_option() {
        let program = command_line();
        let has = |command: &Command, option: &str| {
            let mut options = command.get_arguments();
            options.any(|known| known.get_long() == Some(option))
        };
        for (option, _) in SYNONYMS {
            let mut commands = program.get_subcommands().chain([&program]);
            assert!(commands.any(|command| has(command, option)), "{option}");
        }
    }
}
