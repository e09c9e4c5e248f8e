//! A file with earlier measurements.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::document::{KernelDocument, StepDocument};
use crate::error::{Error, Result};

/// Earlier measurements.
pub struct Baseline {
    /// The name of the file, for messages.
    pub(super) name: String,
    pub(super) steps: Vec<StepDocument>,
    pub(super) kernels: Vec<KernelDocument>,
}

impl Baseline {
    /// The measurements in the text of a file of this name.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the text is not JSON or contains no measurement.
    pub fn parse(text: &str, name: &str) -> Result<Baseline> {
        let refuse = |what: &str| {
            Error::data(format!("`{name}` {what}")).help(
                "give a file with the output of `wlstm bench step CONFIG --json` or of `wlstm bench kernels --json`",
            )
        };
        let document: Value =
            serde_json::from_str(text).map_err(|error| refuse("is not JSON").because(error))?;
        let mut found = Baseline {
            name: name.to_owned(),
            steps: Vec::new(),
            kernels: Vec::new(),
        };
        found.collect(&document);
        if found.steps.is_empty() && found.kernels.is_empty() {
            return Err(refuse(
                "contains no measurement of this version of `wlstm bench`",
            ));
        }
        Ok(found)
    }

    /// Collects the measurements in a document, at any depth.
    fn collect(&mut self, document: &Value) {
        match document {
            Value::Object(members) => {
                let has = |name| members.contains_key(name);
                if has("seconds_per_step") {
                    self.steps.extend(StepDocument::deserialize(document).ok());
                } else if has("peaks") && has("kernels") {
                    self.kernels
                        .extend(KernelDocument::deserialize(document).ok());
                } else {
                    members.values().for_each(|member| self.collect(member));
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| self.collect(element)),
            _ => {}
        }
    }

    /// Fails unless the file contains a measurement of steps.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data).
    pub fn require_steps(&self) -> Result<()> {
        if self.steps.is_empty() {
            let what = format!("`{}` measures kernels, not training steps", self.name);
            return Err(
                Error::data(what).help("give the output of `wlstm bench step CONFIG --json`")
            );
        }
        Ok(())
    }

    /// Fails unless the file contains a measurement of kernels.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data).
    pub fn require_kernels(&self) -> Result<()> {
        if self.kernels.is_empty() {
            let what = format!("`{}` measures training steps, not kernels", self.name);
            return Err(Error::data(what).help("give the output of `wlstm bench kernels --json`"));
        }
        Ok(())
    }

    /// The earlier measurement of steps with these settings.
    pub(super) fn same_settings(
        &self,
        settings: &BTreeMap<String, String>,
    ) -> Result<&StepDocument> {
        self.require_steps()?;
        let differences = |step: &StepDocument| -> Vec<String> {
            let keys = settings.keys().chain(step.settings.keys());
            let mut keys: Vec<&String> = keys.collect();
            keys.sort_unstable();
            keys.dedup();
            let value = |of: &BTreeMap<String, String>, key: &String| {
                of.get(key).cloned().unwrap_or_else(|| "not set".to_owned())
            };
            keys.into_iter()
                .filter(|key| settings.get(*key) != step.settings.get(*key))
                .map(|key| {
                    let (then, now) = (value(&step.settings, key), value(settings, key));
                    format!("{key} was {then} and is {now}")
                })
                .collect()
        };
        let all = self.steps.iter().map(|step| (differences(step), step));
        let (differences, step) = all
            .min_by_key(|(differences, _)| differences.len())
            .expect("there is a measurement of steps");
        if differences.is_empty() {
            return Ok(step);
        }
        let what = format!(
            "`{}` was measured with other settings: {}",
            self.name,
            differences.join(", ")
        );
        Err(Error::data(what).help("measure the same configuration, or give the file of this one"))
    }

    /// Fails unless the file contains a measurement with these settings
    /// ([`StepTimes::settings`](crate::bench::step::StepTimes::settings)).
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data), with the settings that differ.
    pub fn require_settings(&self, settings: &BTreeMap<String, String>) -> Result<()> {
        self.same_settings(settings).map(|_| ())
    }
}
