//! The ratios of a measurement to an earlier one.

use std::collections::BTreeMap;

use serde::Serialize;

use super::file::Baseline;
use crate::bench::kernels::{KernelTime, KernelTimes};
use crate::bench::products::ProductTime;
use crate::bench::step::StepTimes;
use crate::error::{Error, Result};

/// The ratios of a step.
#[derive(Clone, Debug, Serialize)]
pub struct StepRatios {
    /// The file with the earlier measurement.
    pub file: String,
    /// The device of the earlier measurement.
    pub device: String,
    /// The optimizations that were disabled in the earlier measurement.
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
    /// The products that both measurements have: the speed of the fastest form now, relative to the fastest form then.
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
    /// The fastest form in this measurement.
    pub form: &'static str,
    /// The fastest form in the earlier measurement.
    pub form_before: String,
    /// The ratio.
    pub speed: f64,
}

impl Baseline {
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
        let device = self.kernels[0].device.clone();
        let before = || self.kernels.iter();
        let case = |time: &KernelTime| {
            let same = before().flat_map(|one| &one.kernels).find(|one| {
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
        let product = |time: &ProductTime| {
            let same = before().flat_map(|one| &one.products).find(|one| {
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
            device,
            kernels: now.kernels.iter().filter_map(case).collect(),
            products: now.products.iter().filter_map(product).collect(),
        };
        if ratios.kernels.is_empty() && ratios.products.is_empty() {
            let what = format!(
                "`{}` has no kernel, case or product in common with this measurement",
                self.name
            );
            return Err(
                Error::data(what).help("use the --only and --filter of the earlier measurement")
            );
        }
        Ok(ratios)
    }
}
