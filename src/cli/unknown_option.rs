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

/// Options of other programs that name the training text.
const TEXTS: &[&str] = &[
    "data",
    "text",
    "input",
    "i",
    "corpus",
    "dataset",
    "train",
    "train-data",
    "train-file",
];

/// Commands, and names of the same in other programs.
const COMMANDS: &[(&str, &[&str])] = &[
    ("train", &["fit", "learn", "run"]),
    ("train CONFIG --resume", &["resume", "continue"]),
    ("train CONFIG --init RUN", &["finetune", "fine-tune"]),
    ("eval", &["test", "evaluate", "valid", "perplexity", "ppl"]),
    ("score", &["query", "predict", "logprob"]),
    ("generate", &["sample", "gen", "complete", "chat", "infer"]),
    (
        "vocab",
        &["build-vocab", "vocabulary", "tokenize", "preprocess"],
    ),
    ("devices", &["list-devices", "gpus"]),
    ("plan", &["info", "summary", "params", "memory"]),
    ("report", &["plot", "show", "tensorboard"]),
    ("bench", &["benchmark", "profile", "speed"]),
    ("export", &["convert", "save"]),
    ("help configuration", &["config", "init"]),
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
    let name_of = |kind| match error.get(kind) {
        Some(ContextValue::String(given)) => Some(given.clone()),
        _ => None,
    };
    let suggest = |error: &mut clap::Error, suggestion: String| {
        let suggestion = ContextValue::StyledStrs(vec![StyledStr::from(suggestion)]);
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, suggestion);
    };
    if error.kind() == ErrorKind::InvalidSubcommand {
        let given = name_of(ContextKind::InvalidSubcommand).unwrap_or_default();
        let known = COMMANDS
            .iter()
            .find(|(_, names)| names.contains(&given.as_str()));
        if let Some((command, _)) = known {
            suggest(error, format!("use 'wlstm {command}'"));
        }
        return;
    }
    let (ErrorKind::UnknownArgument, Some(given)) =
        (error.kind(), name_of(ContextKind::InvalidArg))
    else {
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
    if let Some(advice) = advice(&given, command) {
        suggest(error, advice);
    }
}

/// The suggestion for the unknown option `given`, with its dashes, in this command.
fn advice(given: &str, command: &Command) -> Option<String> {
    if !given.starts_with('-') {
        let options = [
            ("data", format!("to read a text, use '--data {given}'")),
            (
                "prompt",
                format!("to continue a text, use --prompt \"{given}\""),
            ),
            (
                "set",
                if given.contains('=') {
                    format!("to set a key, use '--set {given}'")
                } else {
                    format!("to train on a text, use '--set data.train={given}'")
                },
            ),
        ];
        let taken = options.into_iter().find(|(option, _)| has(command, option));
        return taken.map(|(_, advice)| advice);
    }
    let name = given.trim_start_matches('-').replace('_', "-");
    let has = |option: &str| has(command, option);
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
    if TEXTS.contains(&name.as_str()) {
        return Some("use '--set data.train=FILE'".to_owned());
    }
    Some(match meaning(&name)? {
        Meaning::Key(path) => format!("use '--set {path}=VALUE'"),
        Meaning::Advice(advice) => advice,
    })
}

/// Whether a command has this option with a value.
fn has(command: &Command, option: &str) -> bool {
    let mut options = command.get_opts();
    options.any(|known| known.get_long() == Some(option))
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
            ("-q train a.toml --data x", "--set data.train=FILE"),
            ("train a.toml -o x", "use '--out'"),
            ("train a.toml --gpu", "use '--device gpu'"),
            ("train a.toml --max-epochs 3", "use '--epochs'"),
            (
                "train a.toml --weight-decay 0.1",
                "there is no weight decay",
            ),
            ("train a.toml --verbose", "RUST_LOG"),
            ("eval run --input x", "use '--data'"),
            ("eval run text.txt", "use '--data text.txt'"),
            ("generate run ROMEO:", "use --prompt \"ROMEO:\""),
            (
                "train a.toml my-text.txt",
                "use '--set data.train=my-text.txt'",
            ),
            ("train a.toml train.steps=3", "use '--set train.steps=3'"),
            ("test run", "use 'wlstm eval'"),
            ("perplexity run", "use 'wlstm eval'"),
            ("resume run", "use 'wlstm train CONFIG --resume'"),
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
