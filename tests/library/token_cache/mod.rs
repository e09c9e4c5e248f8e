//! The token cache: batches and positions equal those of the text, each text is parsed once, and a failure of the
//! cache does not stop a run.

mod contents;
mod folder;
mod job;
mod tools;
