//! `wlstm devices`: what there is to compute on.

use super::arguments::Devices;
use crate::device::{adapters, devices_json, devices_text};
use crate::error::Result;

/// Lists the adapters; where there are none, says what to install.
pub(super) fn run(arguments: &Devices) -> Result<()> {
    let found: Vec<_> = adapters()
        .into_iter()
        .map(|adapter| adapter.summary)
        .collect();
    let text = if arguments.json {
        devices_json(&found) + "\n"
    } else {
        devices_text(&found)
    };
    super::print(text.as_bytes())
}
