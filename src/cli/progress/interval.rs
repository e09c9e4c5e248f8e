//! How often plain lines are printed.

use std::time::Duration;

/// The time between two plain lines.
pub(in crate::cli) const INTERVAL: Duration = Duration::from_secs(10);
