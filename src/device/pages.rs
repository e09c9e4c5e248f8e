//! Host memory for tensors, zeroed by the operating system and in huge pages where available. A step reads tens of megabytes row
//! by row; with pages of 4 KiB, every row costs a page table walk and restarts the prefetcher.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

use crate::error::{Error, Result};
use crate::real::Real;

/// The size from which huge pages are requested: one huge page on most machines.
#[cfg(target_os = "linux")]
const HUGE: usize = 2 << 20;

/// The advice of errors about memory.
pub(super) const SMALLER: &str = "make the model, the batch or the unroll smaller";

/// A slice of real numbers, initially zero.
pub struct Pages<R> {
    map: MmapMut,
    elements: PhantomData<R>,
}

impl<R: Real> Pages<R> {
    /// Allocates `len` zeros for the tensor `name`.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device), naming the tensor, if there is not enough memory.
    pub fn zeros(len: usize, name: &str) -> Result<Pages<R>> {
        let bytes = len * size_of::<R>();
        // The system refuses an empty map.
        let map = MmapMut::map_anon(bytes.max(1)).map_err(|error| {
            Error::device(format!("out of memory: `{name}` needs {} MiB", bytes >> 20))
                .because(error)
                .help(SMALLER)
        })?;
        #[cfg(target_os = "linux")]
        if bytes >= HUGE
            && let Err(error) = map.advise(memmap2::Advice::HugePage)
        {
            // Slower, but not an error.
            tracing::debug!(%error, name, "no huge pages");
        }
        Ok(Pages {
            map,
            elements: PhantomData,
        })
    }
}

impl<R: Real> Deref for Pages<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        let whole = self.map.len() / size_of::<R>() * size_of::<R>();
        bytemuck::cast_slice(&self.map[..whole])
    }
}

impl<R: Real> DerefMut for Pages<R> {
    fn deref_mut(&mut self) -> &mut [R] {
        let whole = self.map.len() / size_of::<R>() * size_of::<R>();
        bytemuck::cast_slice_mut(&mut self.map[..whole])
    }
}
