//! The topics of `wlstm help`, one Markdown file each.
//!
//! The keys of a configuration, the weights of gates and the states of optimizers are declared in the code. The test
//! `tests/library/help.rs` checks their tables. After a change, `INSTA_UPDATE=always cargo test --test library help` writes
//! them.
//!
//! To add a topic, write `src/help/NAME.md`, and add a line below and its name to the README. The first line of the file says
//! what the topic is about.

/// A topic of `wlstm help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The name, as `wlstm help` takes it.
    pub name: &'static str,
    /// The text, in Markdown.
    pub text: &'static str,
}

impl Topic {
    /// What the topic is about: the first line of its text.
    pub fn about(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The topic of this name.
    pub fn named(name: &str) -> Option<&'static Topic> {
        TOPICS.iter().find(|topic| topic.name == name)
    }
}

/// Makes [`TOPICS`], and for each topic a module with its text as documentation.
macro_rules! topics {
    ($($module:ident: $name:literal,)*) => {
        $(
            #[doc = include_str!(concat!($name, ".md"))]
            pub mod $module {}
        )*

        /// All topics.
        pub const TOPICS: &[Topic] = &[$(Topic {
            name: $name,
            text: include_str!(concat!($name, ".md")),
        },)*];
    };
}

topics! {
    configuration: "configuration",
    texts: "texts",
    run_folder: "run-folder",
    file_formats: "file-formats",
    devices: "devices",
    memory: "memory",
    precision: "precision",
    distributed: "distributed",
    reproducibility: "reproducibility",
    interchange: "interchange",
    environment: "environment",
    exit_codes: "exit-codes",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    /// Every code has its row, and no other has one.
    #[test]
    fn exit_codes_are_those_of_errors() {
        let text = Topic::named("exit-codes").unwrap().text;
        let code = |line: &str| line.strip_prefix("| ")?.split(' ').next()?.parse().ok();
        let documented: Vec<u8> = text.lines().filter_map(code).collect();
        let mut codes: Vec<u8> = Kind::ALL.iter().map(|kind| kind.exit_code()).collect();
        codes.push(0);
        codes.sort_unstable();
        assert_eq!(documented, codes);
    }

    #[test]
    fn every_topic_begins_with_a_sentence() {
        for topic in TOPICS {
            let about = topic.about();
            assert!(about.ends_with('.') && about.len() < 90, "{}", topic.name);
        }
    }
}
