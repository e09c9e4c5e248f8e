//! The section `[device]`.

use super::limits::{COUNT, INDEX};
use crate::config::document::Document;
use crate::config::key::Resume::MayChange;
use crate::config::section::section;
use crate::config::setting::Setting;
use crate::error::Result;

/// The fewest bytes of a binding: the alignment of bindings, and some more.
const MIN_BINDING: u64 = 1 << 12;

section! {
    /// How devices are used.
    DeviceConfig: "device" {
        /// Most bytes of one buffer that a step binds, and that a buffer of a table holds; 0: what the device allows.
        /// Smaller bindings give the same results, but for rounding.
        max_binding: u64 = Setting { default: 0, rule: 0..=COUNT, resume: MayChange };

        /// Rows of a table that a device caches with `model.tables = "host"`, at least those of a step; 0: four times
        /// these.
        table_rows: usize = Setting { default: 0, rule: 0..=INDEX, resume: MayChange };
    }
}

impl DeviceConfig {
    /// Reads and checks the section.
    pub(crate) fn read(document: &Document) -> Result<DeviceConfig> {
        let mut device = DeviceConfig::read_keys(document)?;
        if (1..MIN_BINDING).contains(&device.max_binding) {
            return Err(document.field("device.max_binding").refuse(format!(
                "0 (what the device allows), or at least {MIN_BINDING} bytes"
            )));
        }
        // Bindings are whole numbers of `u32`s.
        device.max_binding = device.max_binding / 4 * 4;
        Ok(device)
    }
}
