//! Untrusted and unusual inputs: files that are not text, words and paths with control characters, folders with links out of
//! them, and machines without threads or memory.

mod folders;
mod limits;
mod models;
mod terminal;
mod texts;

use std::path::PathBuf;

use crate::common::program::{Ended, Folder, train};

/// A small configuration of plain text.
pub const CONFIG: &str = "[model]\ncell = \"lstmp\"\nlayers = 1\nembedding = 4\nhidden = 8\nprojection = 4\ndropout = 0.0\n\
    [softmax]\nkind = \"full\"\n[data]\norder = \"contiguous\"\ntrain = [\"text.txt\"]\n[train]\nbatch = 2\nunroll = 3\nsteps = 4\n";

/// A folder with a text, a configuration and, once trained, a run.
pub struct Small {
    pub folder: Folder,
    pub config: PathBuf,
    pub run: PathBuf,
}

impl Small {
    pub fn new(text: impl AsRef<[u8]>) -> Small {
        let folder = Folder::new();
        folder.write("text.txt", text);
        Small {
            config: folder.write("small.toml", CONFIG),
            run: folder.path("run"),
            folder,
        }
    }

    pub fn trained(text: impl AsRef<[u8]>) -> Small {
        let small = Small::new(text);
        train(&small.config, &small.run, "cpu", &[]);
        small
    }
}

/// Checks for a single error with this exit code that contains these texts, and no panic.
#[track_caller]
pub fn failed(ended: &Ended, code: i32, says: &[&str]) {
    let Ended { stderr, .. } = ended;
    assert_eq!(ended.code, Some(code), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert_eq!(stderr.matches("error: ").count(), 1, "{stderr}");
    for words in says {
        assert!(stderr.contains(words), "`{words}` is missing: {stderr}");
    }
}
