//! Writes files atomically, and reads folders.
//!
//! A file is written to a temporary file in the same folder, flushed to the disk, and renamed to its final name; then the folder
//! is flushed too. If the process or the machine stops in between, the old file is unchanged. [`sweep`] removes the temporary
//! files that killed processes leave.

mod atomic;
mod failure;
mod folder;
mod page_cache;
mod regular;
mod streamed;
mod text_kind;

pub use atomic::{write_atomically, write_text};
pub use failure::{cannot_create, cannot_write};
pub use folder::{cache_folder, entries, folder_of, sweep, sweep_older, sync_folder};
pub use page_cache::read_once;
pub use regular::{open_regular, read_regular};
pub use streamed::{WRITE_BUFFERS, write_large_atomically};
pub use text_kind::{check_encoding, check_line_ends, nul_at};
