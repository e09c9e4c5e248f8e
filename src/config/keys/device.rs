//! The section `[device]`.

use super::limits::{COUNT, INDEX};
use crate::config::document::Document;
use crate::config::key::Resume::MayChange;
use crate::config::section::section;
use crate::config::setting::Setting;
use crate::error::Result;

/// The lower limit of `max_binding` in bytes. It is larger than the alignment of bindings.
const MIN_BINDING: u64 = 1 << 12;

section! {
    /// How devices are used.
    DeviceConfig: "device" {
        /// Maximum size in bytes of a buffer binding, and of each buffer of a table; 0: the limit of the device.
        /// Smaller bindings give the same results up to rounding.
        max_binding: u64 = Setting { default: 0, rule: 0..=COUNT, resume: MayChange };

        /// Number of rows of each table that a device caches with `model.tables = "host"`, at least the number that
        /// a step uses; 0: four times that number.
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
