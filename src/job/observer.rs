//! The observer of a job.

use crate::train::watch::Event;

/// Receives the events of a job. It may be called from different threads, but never concurrently.
pub type Observer<'a> = dyn FnMut(Event) + Send + 'a;
