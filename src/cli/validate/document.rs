//! The results of one device, and the verdict over all.

use serde::Serialize;

use crate::device::AdapterSummary;
use crate::error::{Error, Kind, Result};
use crate::validate::golden::Difference;
use crate::validate::kernels::KernelReport;

/// The results of one device.
#[derive(Serialize)]
pub(super) struct Document {
    /// The version of wlstm.
    pub version: &'static str,
    /// Operating system and processor.
    pub system: String,
    pub device: String,
    /// None for the CPU.
    pub adapter: Option<AdapterSummary>,
    /// Whether everything agrees.
    pub agrees: bool,
    pub kernels: Vec<KernelReport>,
    pub training: Vec<Trained>,
}

/// Three training steps of a model, compared with reference values.
#[derive(Serialize)]
pub(super) struct Trained {
    pub model: &'static str,
    pub precision: &'static str,
    pub agrees: bool,
    /// The number of tensors compared.
    pub tensors: usize,
    /// The largest difference relative to its tolerance.
    pub worst: Option<Difference>,
    /// Why it could not be trained.
    pub failure: Option<String>,
}

impl Trained {
    /// The name that `--filter` matches.
    pub fn name(&self) -> String {
        format!("golden/{} ({})", self.model, self.precision)
    }
}

/// An error with its causes, without the prefix `error: `.
pub(super) fn cause(error: &Error) -> String {
    let chain = error.chain().to_string();
    chain.trim_start_matches("error: ").to_owned()
}

/// # Errors
///
/// A mismatch, if a device disagrees with the reference.
pub(super) fn verdict(documents: &[Document]) -> Result<()> {
    let mut wrong = Vec::new();
    for document in documents.iter().filter(|document| !document.agrees) {
        let kernels = document
            .kernels
            .iter()
            .filter(|found| found.failure.is_some());
        let models = document.training.iter().filter(|trained| !trained.agrees);
        let names: Vec<String> = kernels
            .map(|found| found.kernel.to_owned())
            .chain(models.map(Trained::name))
            .collect();
        wrong.push(format!("{} on {}", names.join(", "), document.device));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Kind::Mismatch,
        format!("these disagree with their reference: {}", wrong.join("; ")),
    )
    .help(
        "do not train on this device: update its driver and try again, name another --device, or another WGPU_BACKEND; and report it \
         with the output above",
    ))
}
