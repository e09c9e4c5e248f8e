//! Who hears of a job.

use crate::train::watch::Event;

/// Hears what happens while a job is prepared and trains. Called from several threads, one at a time.
pub type Observer<'a> = dyn FnMut(Event) + Send + 'a;
