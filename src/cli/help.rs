//! `wlstm help`: the help of a command, or a topic.

use clap::{Args, Command};

use super::args::Invocation;
use super::markdown::render;
use super::output;
use crate::config::near;
use crate::error::{Error, Result};
use crate::help::{TOPICS, Topic};

/// Print the help of a command or a topic
#[derive(Clone, Debug, Args)]
pub(super) struct HelpArgs {
    /// A command, or a topic; without it, all commands and topics are listed
    pub topic: Vec<String>,
}

/// The columns where a terminal does not give them.
const WIDTH: usize = 80;

/// Prints.
pub(super) fn run(arguments: &HelpArgs, invocation: &Invocation) -> Result<()> {
    let mut command = (invocation.command_line)();
    // Gives the help of subcommands the whole usage line.
    command.build();
    let width = output::terminal_width().unwrap_or(WIDTH);
    let text = match arguments.topic.as_slice() {
        [] => overview(&mut command),
        [name, rest @ ..] => match Topic::named(name) {
            Some(topic) if rest.is_empty() => topic_text(topic, width),
            _ => {
                let mut found = command.find_subcommand_mut(name);
                for name in rest {
                    found = found.and_then(|command| command.find_subcommand_mut(name));
                }
                match found {
                    Some(command) => command.render_long_help().to_string(),
                    None => return Err(unknown(&arguments.topic, &command)),
                }
            }
        },
    };
    output::print(text.as_bytes())
}

/// All commands and topics.
fn overview(command: &mut Command) -> String {
    let topic = |topic: &Topic| format!("  {:<17}{}\n", topic.name, topic.about());
    let topics: String = TOPICS.iter().map(topic).collect();
    format!(
        "{}\nTopics of `wlstm help`:\n{topics}",
        command.render_long_help()
    )
}

/// Begins the configuration in the configuration topic.
const TOML: &str = "```toml\n";

/// The configuration topic is shown as a configuration, with its text in comments.
fn topic_text(topic: &Topic, width: usize) -> String {
    let Some((text, configuration)) = topic.text.split_once(TOML) else {
        return render(topic.text, width);
    };
    let comments: String = render(text.trim_end(), WIDTH)
        .lines()
        .map(|line| format!("# {line}").trim_end().to_owned() + "\n")
        .collect();
    format!("{comments}\n{}", configuration.trim_end_matches("```\n"))
}

fn unknown(topic: &[String], command: &Command) -> Error {
    let commands = command.get_subcommands().map(Command::get_name);
    // A topic can have the name of a command.
    let topics = TOPICS.iter().map(|topic| topic.name);
    let topics = topics.filter(|name| command.find_subcommand(name).is_none());
    let names: Vec<&str> = commands.chain(topics).collect();
    let given = topic.first().map_or("", String::as_str);
    let help = match near(given, names.iter().copied()) {
        Some(near) if topic.len() == 1 => format!("did you mean `wlstm help {near}`?"),
        _ => format!("give one of these: {}", names.join(", ")),
    };
    Error::usage(format!("there is no help for `{}`", topic.join(" "))).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn topics_fit_80_columns_except_code() {
        for topic in TOPICS.iter().filter(|topic| topic.name != "configuration") {
            for line in render(topic.text, 80).lines() {
                let is_code = line.starts_with("    ");
                assert!(
                    is_code || line.chars().count() <= 80,
                    "{}: {line}",
                    topic.name
                );
            }
        }
    }

    #[test]
    fn the_configuration_topic_is_a_configuration() {
        let text = topic_text(Topic::named("configuration").unwrap(), 80);
        let sets = ["data.train=x".to_owned(), "train.steps=1".to_owned()];
        let folder = std::path::Path::new("/");
        let parsed = Config::parse(&text, "help", folder, &sets).unwrap();
        let default = Config::parse("", "none", folder, &sets).unwrap();
        assert_eq!(parsed.to_toml(), default.to_toml());
    }
}
