//! Writes files atomically, and reads folders.
//!
//! A file is written to a temporary file in the same folder, flushed to the disk, and renamed to its final name; then the
//! folder is flushed too. If the process or the machine stops in between, the old file is unchanged. A process holds a lock on
//! the temporary file that it writes; [`sweep`] removes those that killed processes leave.
//!
//! Outputs that a user names are written with [`Output`], files in folders of this program with [`write_atomically`].

mod atomic;
mod failure;
mod folder;
mod output;
mod own;
mod page_cache;
mod regular;
mod streamed;
mod text_kind;

pub use atomic::{write_atomically, write_text};
pub use failure::{cannot_create, cannot_write};
pub use folder::{
    cache_folder, create_folders, entries, folder_of, is_partial, remove_empty, sweep, sweep_older,
    sync_folder, temporary_file,
};
pub use output::{OpenStdout, Output};
pub use own::{check_own, check_own_folder, read_own};
pub use page_cache::read_once;
pub use regular::{open_regular, read_regular};
pub use streamed::{WRITE_BUFFERS, write_large_atomically};
pub use text_kind::{LineEnds, check_encoding, check_line_ends, nul_at};
