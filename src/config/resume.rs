//! What a resumed run may change.

use super::key::Resume;
use super::resolved::{Config, ENTRIES};

impl Config {
    /// The reasons why this configuration cannot resume a run of the configuration `before`: a text such as
    /// "`model.hidden` was 512 and is 1024" for each key that must not change but did. Empty if the run can be
    /// resumed.
    ///
    /// What needs a checkpoint is not compared here: keys with the rules [`Resume::SameContent`] and
    /// [`Resume::SameMeasure`].
    pub fn resume_conflicts(&self, before: &Config) -> Vec<String> {
        let must_stay = ENTRIES
            .iter()
            .filter(|entry| entry.key.resume == Resume::MustStay);
        let conflict = |entry: &super::entry::Entry<Config>| {
            let path = entry.key.path();
            match (entry.value(before), entry.value(self)) {
                (before, now) if before == now => None,
                (Some(before), Some(now)) => Some(format!("`{path}` was {before} and is {now}")),
                (Some(before), None) => Some(format!("`{path}` was {before}")),
                (None, now) => Some(format!("`{path}` is {}", now.unwrap_or_default())),
            }
        };
        must_stay.filter_map(conflict).collect()
    }
}
