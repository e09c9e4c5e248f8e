//! The counterparts of settings of other programs.

use super::absent::{absent, plain};
use super::resolved::keys;

/// The counterpart of a setting of another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The key of this path, `section.key`.
    Key(String),
    /// There is no key; help for the user.
    Advice(String),
}

/// The counterpart of the setting of this name, with dashes or underscores. `None` if the name is unknown.
pub fn meaning(name: &str) -> Option<Meaning> {
    let name = plain(name);
    let key = keys()
        .find(|key| key.name == name)
        .or_else(|| keys().find(|key| key.known_as.contains(&name.as_str())));
    match key {
        Some(key) => Some(Meaning::Key(key.path())),
        None => absent(&name).map(Meaning::Advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_other_programs() {
        let key = |path: &str| Some(Meaning::Key(path.to_owned()));
        assert_eq!(meaning("--lr"), key("train.learning_rate"));
        assert_eq!(meaning("hidden"), key("model.hidden"));
        assert_eq!(meaning("Batch-Size"), key("train.batch"));
        assert!(matches!(meaning("weight_decay"), Some(Meaning::Advice(_))));
        assert_eq!(meaning("nonsense"), None);
    }
}
