//! The token cache: it gives the batches and positions of the text, parses each text once, and never stops a run.

mod contents;
mod folder;
mod tools;
