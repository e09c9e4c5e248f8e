//! Memory of the host for tensors: zeroed by the operating system, in huge pages where it has them. A step walks over tens of
//! megabytes, row by row; with pages of 4 KiB every row costs a walk of the page tables and a start of the prefetcher.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

use crate::error::{Error, Result};
use crate::real::Real;

/// Bytes from which huge pages are asked for: one of them on most machines.
#[cfg(target_os = "linux")]
const HUGE: usize = 2 << 20;

/// The advice of errors about memory.
pub(super) const SMALLER: &str = "make the model, the batch or the unroll smaller";

/// A slice of reals, zero at first.
pub struct Pages<R> {
    map: MmapMut,
    elements: PhantomData<R>,
}

impl<R: Real> Pages<R> {
    /// `len` zeros.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device), with the name of the tensor, if there is no memory.
    pub fn zeros(len: usize, name: &str) -> Result<Pages<R>> {
        let bytes = len * size_of::<R>();
        // An empty map is refused.
        let map = MmapMut::map_anon(bytes.max(1)).map_err(|error| {
            Error::device(format!("out of memory: `{name}` needs {} MiB", bytes >> 20))
                .because(error)
                .help(SMALLER)
        })?;
        #[cfg(target_os = "linux")]
        if bytes >= HUGE
            && let Err(error) = map.advise(memmap2::Advice::HugePage)
        {
            // A kernel without them is no failure, only slower.
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
