//! What a baseline contains of a measurement.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What is read of [`StepTimes`](crate::bench::step::StepTimes).
#[derive(Deserialize)]
pub(super) struct StepDocument {
    pub device: String,
    pub settings: BTreeMap<String, String>,
    #[serde(default)]
    pub without: Vec<String>,
    pub seconds_per_step: f64,
    #[serde(default)]
    pub profile: Option<ProfileDocument>,
}

#[derive(Deserialize)]
pub(super) struct ProfileDocument {
    pub groups: Vec<GroupDocument>,
    pub kernels: Vec<PurposeDocument>,
}

#[derive(Deserialize)]
pub(super) struct GroupDocument {
    pub group: String,
    pub seconds: f64,
}

#[derive(Deserialize)]
pub(super) struct PurposeDocument {
    pub purpose: String,
    pub seconds: f64,
}

/// What is read of [`KernelTimes`](crate::bench::kernels::KernelTimes).
#[derive(Deserialize)]
pub(super) struct KernelDocument {
    pub device: String,
    pub kernels: Vec<CaseDocument>,
    #[serde(default)]
    pub products: Vec<ProductDocument>,
}

#[derive(Deserialize)]
pub(super) struct CaseDocument {
    pub kernel: String,
    pub case: String,
    pub precision: String,
    pub seconds: f64,
}

#[derive(Deserialize)]
pub(super) struct ProductDocument {
    pub shape: String,
    pub precision: String,
    pub groups: u32,
    pub rows: u32,
    pub columns: u32,
    pub depth: u32,
    pub forms: Vec<FormDocument>,
}

#[derive(Deserialize)]
pub(super) struct FormDocument {
    pub kernel: String,
    pub seconds: f64,
}
