//! Keeps the memory of mapped files bounded.
//!
//! The operating system loads the pages of a mapped file as they are read. Readers report what they read. When the total
//! exceeds a budget, [`PageBudget`] releases the pages. Released pages are loaded again from the file or the page cache when
//! they are needed.

use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;

/// Bytes of mapped files that may stay in memory, approximately.
const BUDGET: usize = 64 << 20;

/// Bytes that the operating system loads for one byte that is read (Linux maps 16 pages around it).
pub(super) const FAULT_AROUND: usize = 1 << 16;

/// Counts the bytes read from a set of mapped files, and releases their pages when the count passes the budget.
#[derive(Debug, Default)]
pub(super) struct PageBudget(AtomicUsize);

impl PageBudget {
    /// Records a read of about this many bytes.
    pub(super) fn note_read<'a>(&self, bytes: usize, maps: impl Iterator<Item = &'a Mmap>) {
        if self.0.fetch_add(bytes, Ordering::Relaxed) + bytes < BUDGET {
            return;
        }
        self.0.store(0, Ordering::Relaxed);
        #[cfg(unix)]
        for map in maps {
            // SAFETY: the maps are shared and only read, so released pages come back unchanged.
            #[allow(unsafe_code)]
            let released = unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) };
            if let Err(error) = released {
                tracing::debug!(%error, "cannot release the pages of a corpus");
            }
        }
        #[cfg(not(unix))]
        drop(maps);
    }

    /// Records a read of a few bytes at a random offset of a file of `length` bytes.
    pub(super) fn note_random_read<'a>(&self, length: usize, maps: impl Iterator<Item = &'a Mmap>) {
        // A file below the budget may stay in memory as a whole.
        if length > BUDGET {
            self.note_read(FAULT_AROUND, maps);
        }
    }
}
