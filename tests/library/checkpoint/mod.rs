//! Checkpoints and run folders: files round-trip, other programs read them, damage is reported, nothing is lost.

mod files;
mod folders;
mod tools;
