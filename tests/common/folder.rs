//! Temporary folders of tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The contents of a folder, for comparison: every file with its bytes, every folder with `None`. A broken link has no bytes.
pub type Snapshot = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// A temporary folder.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// An empty folder.
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    /// An empty folder, in memory if the system has such a file system, so that tests do not wait for a disk.
    pub fn in_memory() -> Folder {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        Folder(folder.expect("a temporary folder"))
    }

    /// The path of `name` in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and creates its parent folders.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        std::fs::write(&path, contents).expect("a file");
        path
    }

    /// The contents of the folder.
    pub fn snapshot(&self) -> Snapshot {
        snapshot(self.0.path())
    }
}

/// The contents of a folder.
pub fn snapshot(folder: &Path) -> Snapshot {
    let mut found = Snapshot::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder that can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path.clone());
                found.insert(path, None);
            } else {
                let is_broken = path.is_symlink() && !path.exists();
                let bytes =
                    (!is_broken).then(|| std::fs::read(&path).expect("a file that can be read"));
                found.insert(path, Some(bytes.unwrap_or_default()));
            }
        }
    }
    found
}
