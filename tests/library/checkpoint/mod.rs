//! Checkpoints and run folders: files round-trip, other programs read them, damage is reported, nothing is lost.

mod begun;
mod files;
mod folders;
mod tools;
