//! The results of tuning for one adapter and driver, in a file of the user's cache folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::device::adapter::AdapterSummary;
use crate::digest::Fnv1a;
use crate::error::Result;
use crate::files::write_atomically;
use crate::kernel::{Halves, Kernel, UnitOperands};
use crate::kernels::catalogue;

/// The results for an adapter, as stored in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    /// The version of the program and a digest of its shaders.
    version: String,
    /// The adapter with its backend and driver.
    adapter: String,
    /// From the key of a step to the fastest form of its kernel.
    choices: BTreeMap<String, String>,
    /// Whether a kernel computes correctly without run-time checks, by its name and the element sizes of its bindings.
    #[serde(default)]
    trusted: BTreeMap<String, bool>,
    /// From the operands of matrix units to the bytes of the vectors from which the units read tiles, if they passed a trial.
    #[serde(default)]
    units: BTreeMap<String, u32>,
}

/// The results for one adapter.
#[derive(Debug)]
pub struct TuningResults {
    path: Option<PathBuf>,
    known: Known,
}

impl TuningResults {
    /// Loads the results of earlier runs from a cache folder. A file that cannot be read is replaced.
    pub fn open(summary: &AdapterSummary, folder: Option<PathBuf>) -> TuningResults {
        let adapter = format!(
            "{}, {}, {} {}, subgroups of {} to {}, {:?}",
            summary.name,
            summary.backend,
            summary.driver,
            summary.driver_info,
            summary.subgroup_min,
            summary.subgroup_max,
            summary.matrix_units
        );
        let version = format!("{} {:016x}", env!("CARGO_PKG_VERSION"), *KERNELS_DIGEST);
        let digest = Fnv1a::of(adapter.bytes());
        let path = folder.map(|folder| folder.join(format!("tuning-{:016x}.json", digest.value())));
        let known = path
            .as_deref()
            .and_then(read)
            .filter(|known| known.adapter == adapter && known.version == version)
            .unwrap_or(Known {
                version,
                adapter,
                choices: BTreeMap::new(),
                trusted: BTreeMap::new(),
                units: BTreeMap::new(),
            });
        TuningResults { path, known }
    }

    /// The fastest form of the kernel of the step with this key, if known.
    pub fn fastest(&self, key: &str) -> Option<&str> {
        self.known.choices.get(key).map(String::as_str)
    }

    /// Records the fastest form of the step with this key.
    pub fn set_fastest(&mut self, key: String, form: &str) {
        self.known.choices.insert(key, form.to_owned());
    }

    /// Writes the file, if there is a cache folder.
    pub fn save(&self) {
        if let Some(path) = &self.path
            && let Err(error) = write(path, &self.known)
        {
            // The next run measures again.
            tracing::debug!(error = %error.chain(), "cannot store the results of tuning");
        }
    }

    /// Whether a kernel computes correctly without run-time checks, if known.
    pub fn trusts(&self, kernel: &Kernel, halves: Halves) -> Option<bool> {
        self.known
            .trusted
            .get(&trusted_key(kernel, halves))
            .copied()
    }

    /// Records whether a kernel computes correctly without run-time checks. [`TuningResults::save`] writes it to
    /// the file.
    pub fn set_trusted(&mut self, kernel: &Kernel, halves: Halves, good: bool) {
        self.known.trusted.insert(trusted_key(kernel, halves), good);
    }

    /// The bytes of the vectors from which the matrix units read tiles, if they have passed a trial with these operands.
    pub fn unit_vectors(&self, operands: UnitOperands) -> Option<u32> {
        self.known.units.get(&format!("{operands:?}")).copied()
    }

    /// Records that the matrix units passed a trial. [`TuningResults::save`] writes it to the file.
    pub fn set_unit_vectors(&mut self, operands: UnitOperands, bytes: u32) {
        self.known.units.insert(format!("{operands:?}"), bytes);
    }
}

/// A digest of everything that determines what kernels compute, and of the libraries that compile them. Stored results are valid
/// for this digest only.
static KERNELS_DIGEST: LazyLock<u64> = LazyLock::new(|| {
    let mut text = include_str!("../../../Cargo.lock").to_owned();
    for kernel in catalogue() {
        let snippets = kernel.snippets.iter().map(|snippet| snippet.wgsl);
        text.extend(snippets.chain([kernel.name, kernel.wgsl]));
        text += &format!("{:?}", kernel.bindings);
        for case in (kernel.cases)() {
            let (constants, grid) = (
                (kernel.constants)(&case.params),
                (kernel.grid)(&case.params),
            );
            text += &format!("{} {:?} {constants:?} {grid:?}", case.label, case.params);
        }
    }
    Fnv1a::of(text.bytes()).value()
});

/// The key of a kernel in `trusted`.
fn trusted_key(kernel: &Kernel, halves: Halves) -> String {
    format!("{} {}", kernel.name, widths_key(kernel, halves))
}

/// The element sizes of the bindings in bytes, as digits.
pub fn widths_key(kernel: &Kernel, halves: Halves) -> String {
    let widths = &halves.element_sizes()[..kernel.bindings.len()];
    widths.iter().map(u64::to_string).collect()
}

fn read(path: &Path) -> Option<Known> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn write(path: &Path, known: &Known) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| crate::files::cannot_write(path, error))?;
    }
    write_atomically(path, |out| {
        let text = serde_json::to_vec_pretty(known).expect("results have a JSON form");
        out.write_all(&text)
            .map_err(|error| crate::files::cannot_write(path, error))
    })
}
