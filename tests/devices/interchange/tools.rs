//! Shared by these tests: stored files and trained models.

use std::path::{Path, PathBuf};

use crate::common::program::{Dice, Folder, train};

/// A file in the folder of this test.
pub fn beside(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interchange");
    Path::new(folder).join(name)
}

/// A trained model with moving averages, and its configuration.
pub fn trained(folder: &Folder, cell: &str) -> (PathBuf, PathBuf) {
    trained_with(folder, cell, "kind = \"full\"")
}

/// The same with another softmax.
pub fn trained_with(folder: &Folder, cell: &str, softmax: &str) -> (PathBuf, PathBuf) {
    folder.write(
        "train.txt",
        Dice(1).text(200, 9, &["a", "b", "c", "d", "e"]),
    );
    let config = format!(
        "[model]\n{cell}\nlayers = 2\nembedding = 8\nhidden = 12\nprojection = 8\n[softmax]\n{softmax}\n\
         [data]\ntrain = [\"train.txt\"]\n[train]\nbatch = 4\nunroll = 5\nsteps = 20\nema = 0.8\n"
    );
    let config = folder.write("model.toml", config);
    let run = folder.path("trained");
    train(&config, &run, "cpu", &[]);
    (config, run)
}
