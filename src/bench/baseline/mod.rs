//! Ratios to earlier measurements, from the JSON that `wlstm bench` printed or from a file that contains several such documents.
//!
//! A ratio is the speed of now over that of the earlier measurement: above 1 it is faster now.

mod document;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use document::{KernelDocument, StepDocument};

use super::kernels::KernelTimes;
use super::step::StepTimes;
use crate::error::{Error, Result};

/// Earlier measurements.
pub struct Baseline {
    /// The name of the file, for messages.
    name: String,
    steps: Vec<StepDocument>,
    kernels: Vec<KernelDocument>,
}

/// The ratios of a step.
#[derive(Clone, Debug, Serialize)]
pub struct StepRatios {
    /// The file with the earlier measurement.
    pub file: String,
    /// The device of the earlier measurement.
    pub device: String,
    /// The changes that were switched off in the earlier measurement.
    pub without: Vec<String>,
    /// The ratio of the words per second.
    pub speed: f64,
    /// The ratio of each group of kernels, if both measurements have a profile.
    pub groups: Vec<GroupRatio>,
    /// The ratio of all kernels of each purpose that both measurements have.
    pub purposes: Vec<PurposeRatio>,
}

/// The ratio of a group.
#[derive(Clone, Debug, Serialize)]
pub struct GroupRatio {
    /// The group.
    pub group: &'static str,
    /// The ratio.
    pub speed: f64,
}

/// The ratio of the kernels of a purpose.
#[derive(Clone, Debug, Serialize)]
pub struct PurposeRatio {
    /// What they compute.
    pub purpose: String,
    /// The ratio.
    pub speed: f64,
}

/// The ratios of kernels.
#[derive(Clone, Debug, Serialize)]
pub struct KernelRatios {
    /// The file with the earlier measurement.
    pub file: String,
    /// The device of the earlier measurement.
    pub device: String,
    /// The cases that both measurements have.
    pub kernels: Vec<CaseRatio>,
    /// The products that both measurements have: the fastest form of now over the fastest form of then.
    pub products: Vec<ProductRatio>,
}

/// The ratio of a case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseRatio {
    /// The kernel.
    pub kernel: &'static str,
    /// The label of the case.
    pub case: &'static str,
    /// The precision.
    pub precision: &'static str,
    /// The ratio.
    pub speed: f64,
}

/// The ratio of a product.
#[derive(Clone, Debug, Serialize)]
pub struct ProductRatio {
    /// The shape.
    pub shape: &'static str,
    /// The precision.
    pub precision: &'static str,
    /// The fastest form of now.
    pub form: &'static str,
    /// The fastest form of then.
    pub form_before: String,
    /// The ratio.
    pub speed: f64,
}

impl Baseline {
    /// The measurements in the text of a file of this name.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the text is no JSON or contains no measurement.
    pub fn parse(text: &str, name: &str) -> Result<Baseline> {
        let refuse = |what: &str| {
            Error::data(format!("`{name}` {what}")).help(
                "give a file with the output of `wlstm bench step CONFIG --json` or of `wlstm bench kernels --json`",
            )
        };
        let document: Value =
            serde_json::from_str(text).map_err(|error| refuse("is no JSON").because(error))?;
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
    fn same_settings(&self, settings: &BTreeMap<String, String>) -> Result<&StepDocument> {
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

    /// Fails unless the file contains a measurement with these settings ([`StepTimes::settings`]).
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data), with the settings that differ.
    pub fn require_settings(&self, settings: &BTreeMap<String, String>) -> Result<()> {
        self.same_settings(settings).map(|_| ())
    }

    /// The ratios of steps to the measurement with the same settings.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is none.
    pub fn of_step(&self, now: &StepTimes) -> Result<StepRatios> {
        let before = self.same_settings(&now.settings)?;
        let (mut groups, mut purposes) = (Vec::new(), Vec::new());
        if let (Some(profile), Some(before)) = (&now.profile, &before.profile) {
            for group in &profile.groups {
                let same = before.groups.iter().find(|one| one.group == group.group);
                groups.extend(same.map(|one| GroupRatio {
                    group: group.group,
                    speed: one.seconds / group.seconds,
                }));
            }
            // All kernels of a purpose together: they may have other forms now.
            let mut all: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
            for kernel in &before.kernels {
                all.entry(&kernel.purpose).or_default()[0] += kernel.seconds;
            }
            for kernel in &profile.kernels {
                all.entry(&kernel.purpose).or_default()[1] += kernel.seconds;
            }
            let both = all
                .iter()
                .filter(|(_, times)| times.iter().all(|time| *time > 0.0));
            purposes.extend(both.map(|(purpose, [before, now])| PurposeRatio {
                purpose: (*purpose).to_owned(),
                speed: before / now,
            }));
        }
        Ok(StepRatios {
            file: self.name.clone(),
            device: before.device.clone(),
            without: before.without.clone(),
            speed: before.seconds_per_step / now.seconds_per_step,
            groups,
            purposes,
        })
    }

    /// The ratios of kernels and products.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the two measurements have nothing in common.
    pub fn of_kernels(&self, now: &KernelTimes) -> Result<KernelRatios> {
        self.require_kernels()?;
        let before = &self.kernels[0];
        let case = |time: &super::kernels::KernelTime| {
            let same = before.kernels.iter().find(|one| {
                (&*one.kernel, &*one.case, &*one.precision)
                    == (time.kernel, time.case, time.precision)
            });
            same.map(|one| CaseRatio {
                kernel: time.kernel,
                case: time.case,
                precision: time.precision,
                speed: one.seconds / time.seconds,
            })
        };
        let product = |time: &super::products::ProductTime| {
            let same = before.products.iter().find(|one| {
                (&*one.shape, &*one.precision) == (time.shape, time.precision)
                    && [one.groups, one.rows, one.columns, one.depth]
                        == [time.groups, time.rows, time.columns, time.depth]
            })?;
            let by_time = |x: f64, y: f64| x.total_cmp(&y);
            let then = same.forms.iter();
            let then = then.min_by(|x, y| by_time(x.seconds, y.seconds))?;
            let now = time.forms.iter();
            let now = now.min_by(|x, y| by_time(x.seconds, y.seconds))?;
            Some(ProductRatio {
                shape: time.shape,
                precision: time.precision,
                form: now.kernel,
                form_before: then.kernel.clone(),
                speed: then.seconds / now.seconds,
            })
        };
        let ratios = KernelRatios {
            file: self.name.clone(),
            device: before.device.clone(),
            kernels: now.kernels.iter().filter_map(case).collect(),
            products: now.products.iter().filter_map(product).collect(),
        };
        if ratios.kernels.is_empty() && ratios.products.is_empty() {
            let what = format!(
                "`{}` has no kernel, case and size of this measurement",
                self.name
            );
            return Err(Error::data(what).help("measure the same part, with the same --filter"));
        }
        Ok(ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::peaks::Peaks;
    use crate::bench::products::{FormTime, ProductTime};
    use crate::error::Kind;

    /// A step of 20 ms, or of `seconds`.
    fn step(seconds: f64, groups: &str) -> StepTimes {
        let settings = [("model.groups", groups), ("vocabulary", "50")];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        StepTimes {
            device: "a device".into(),
            precision: "f32",
            settings: settings.into(),
            without: Vec::new(),
            words: 100,
            steps: 3,
            seconds_per_step: seconds,
            seconds_shortest: seconds,
            words_per_second: 100.0 / seconds,
            flops_per_second: 1.0,
            host_share: 0.0,
            dispatches: 1,
            loss: 1.0,
            floor_seconds: None,
            times_floor: None,
            profile: None,
        }
    }

    fn product(seconds: [f64; 2], rows: u32) -> ProductTime {
        let form = |kernel, seconds| FormTime {
            kernel,
            seconds,
            flops_per_second: 1.0,
            share_of_peak: 1.0,
            is_fastest: false,
        };
        ProductTime {
            shape: "projection",
            precision: "f32",
            groups: 1,
            rows,
            columns: 8,
            depth: 8,
            transposed: "none",
            pieces: 1,
            reduced: false,
            sum_seconds: None,
            forms: vec![form("one", seconds[0]), form("another", seconds[1])],
        }
    }

    fn kernels(products: Vec<ProductTime>) -> KernelTimes {
        KernelTimes {
            device: "a device".into(),
            peaks: Peaks {
                flops_per_second: 1.0,
                bytes_per_second: 1.0,
                unit_flops_per_second: None,
            },
            kernels: Vec::new(),
            products,
            micro: None,
        }
    }

    fn parse(document: &impl Serialize) -> Baseline {
        Baseline::parse(&serde_json::to_string(document).unwrap(), "old.json").unwrap()
    }

    fn message(result: Result<impl Sized>) -> String {
        let error = result.err().expect("an error");
        assert_eq!(error.kind(), Kind::Data);
        error.chain().to_string()
    }

    #[test]
    fn the_measurement_with_the_same_settings_is_found() {
        let file = serde_json::json!({
            "note": "two models", "steps": {"g4": step(0.2, "4"), "g8": step(0.3, "8")}
        });
        let baseline = parse(&file);
        let speed = |step: StepTimes| baseline.of_step(&step).map(|ratios| ratios.speed);
        assert!((speed(step(0.1, "4")).unwrap() - 2.0).abs() < 1e-12);
        assert!((speed(step(0.1, "8")).unwrap() - 3.0).abs() < 1e-12);
        let text = message(speed(step(0.1, "2")));
        assert!(text.contains("model.groups was 4 and is 2"), "{text}");
        let mut other = step(0.1, "4");
        other.settings.remove("vocabulary");
        let text = message(speed(other));
        assert!(text.contains("vocabulary was 50 and is not set"), "{text}");
    }

    #[test]
    fn other_files_are_refused() {
        let read = |text: &str| message(Baseline::parse(text, "old.json"));
        assert!(read("words per second").contains("`old.json` is no JSON"));
        for text in ["{}", "[1, 2]", "{\"seconds_per_step\": 1}"] {
            assert!(read(text).contains("contains no measurement"), "{text}");
        }
        let steps = parse(&step(0.1, "4"));
        let text = message(steps.of_kernels(&kernels(Vec::new())));
        assert!(
            text.contains("measures training steps, not kernels"),
            "{text}"
        );
        let file = parse(&kernels(vec![product([1.0, 2.0], 8)]));
        let text = message(file.of_step(&step(0.1, "4")));
        assert!(
            text.contains("measures kernels, not training steps"),
            "{text}"
        );
        // The same product at another size is no match.
        let text = message(file.of_kernels(&kernels(vec![product([1.0, 2.0], 16)])));
        assert!(text.contains("has no kernel, case and size"), "{text}");
    }

    #[test]
    fn the_fastest_forms_of_products_are_compared() {
        let file = parse(&kernels(vec![product([3.0, 2.0], 8)]));
        let now = kernels(vec![product([0.5, 4.0], 8)]);
        let ratios = file.of_kernels(&now).unwrap();
        let [ratio] = &ratios.products[..] else {
            panic!("one product");
        };
        assert_eq!((ratio.form, &*ratio.form_before), ("one", "another"));
        assert_eq!(ratio.speed, 4.0);
    }
}
