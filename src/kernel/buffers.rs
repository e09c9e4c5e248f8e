//! The data of a kernel on the CPU: the slices of one step by name, and the twin that reads and writes them.

use super::binding::{Binding, MAX_BINDINGS};

/// The slices of one step on the CPU. A kernel takes each once, by the name of its binding.
pub struct Buffers<'a, R> {
    bindings: &'static [Binding],
    slots: [Buffer<'a, R>; MAX_BINDINGS],
    /// The binding after the one that was taken last: kernels take most of them in order.
    next: usize,
}

/// One exact slice on the CPU.
#[derive(Default)]
pub enum Buffer<'a, R> {
    /// Reals of [`Access::Read`](super::Access::Read).
    Read(&'a [R]),
    /// Reals of [`Access::Write`](super::Access::Write) and [`Access::ReadWrite`](super::Access::ReadWrite).
    Write(&'a mut [R]),
    /// Indices of [`Access::Read`](super::Access::Read).
    Index(&'a [u32]),
    /// Not bound, or taken already.
    #[default]
    Taken,
}

impl<'a, R> Buffers<'a, R> {
    /// The slices of a kernel's bindings, in their order.
    pub fn new(
        bindings: &'static [Binding],
        buffers: impl IntoIterator<Item = Buffer<'a, R>>,
    ) -> Buffers<'a, R> {
        let mut slots: [Buffer<'a, R>; MAX_BINDINGS] = Default::default();
        for (slot, buffer) in slots.iter_mut().zip(buffers) {
            *slot = buffer;
        }
        Buffers {
            bindings,
            slots,
            next: 0,
        }
    }

    /// Takes the reals of a binding that is only read.
    ///
    /// # Panics
    ///
    /// If there is no such binding, or it was taken before: a bug of the kernel.
    pub fn read(&mut self, name: &str) -> &'a [R] {
        match self.take(name) {
            Buffer::Read(slice) => slice,
            _ => panic!("`{name}` is not a slice of reals to read, or is taken already"),
        }
    }

    /// Takes the indices of a binding.
    ///
    /// # Panics
    ///
    /// Same as [`Buffers::read`].
    pub fn index(&mut self, name: &str) -> &'a [u32] {
        match self.take(name) {
            Buffer::Index(slice) => slice,
            _ => panic!("`{name}` is not a slice of indices, or is taken already"),
        }
    }

    /// Takes the reals of a binding that is written.
    ///
    /// # Panics
    ///
    /// Same as [`Buffers::read`].
    pub fn write(&mut self, name: &str) -> &'a mut [R] {
        match self.take(name) {
            Buffer::Write(slice) => slice,
            _ => panic!("`{name}` is not a slice of reals to write, or is taken already"),
        }
    }

    /// Whether the kernel has a binding of this name.
    pub fn has(&self, name: &str) -> bool {
        self.bindings.iter().any(|binding| binding.name == name)
    }

    /// The name of binding `k`.
    pub fn name(&self, k: usize) -> &'static str {
        self.bindings[k].name
    }

    #[inline]
    fn take(&mut self, name: &str) -> Buffer<'a, R> {
        let k = match self.bindings.get(self.next) {
            // The compiler usually merges the literals of the twin and of the declaration: then comparing addresses is
            // sufficient.
            Some(binding) if std::ptr::eq(binding.name, name) || binding.name == name => self.next,
            _ => self.find(name),
        };
        self.next = k + 1;
        std::mem::take(&mut self.slots[k])
    }

    /// The index of a binding, for kernels that take their slices in another order.
    #[cold]
    fn find(&self, name: &str) -> usize {
        let mut bindings = self.bindings.iter();
        let found = bindings.position(|binding| binding.name == name);
        found.unwrap_or_else(|| panic!("the kernel declares no binding `{name}`"))
    }
}

/// Computes one step on the CPU from its params and its slices.
pub type CpuFn<R> = fn(&[u32], &mut Buffers<'_, R>);

/// The specification of a kernel: plain loops over exact slices, for both kinds of [`Real`](crate::real::Real).
#[derive(Clone, Copy)]
pub struct Twin {
    /// In the precision of devices.
    pub single: CpuFn<f32>,
    /// The reference.
    pub double: CpuFn<f64>,
}

/// Makes a [`Twin`] of `fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>)`.
#[macro_export]
macro_rules! twin {
    ($twin:ident) => {
        $crate::kernel::Twin {
            single: |raw, buffers| $twin($crate::kernel::Params::of(raw), buffers),
            double: |raw, buffers| $twin($crate::kernel::Params::of(raw), buffers),
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    static BINDINGS: [Binding; 2] = [Binding::read("x"), Binding::write("y")];

    fn buffers<'a>(x: &'a [f32], y: &'a mut [f32]) -> Buffers<'a, f32> {
        Buffers::new(&BINDINGS, [Buffer::Read(x), Buffer::Write(y)])
    }

    #[test]
    fn slices_are_taken_by_name_in_any_order() {
        let (x, mut y) = ([1.0, 2.0], [0.0; 2]);
        let mut buffers = buffers(&x, &mut y);
        let (y, x) = (buffers.write("y"), buffers.read("x"));
        y.copy_from_slice(x);
        assert_eq!(y, [1.0, 2.0]);
    }

    #[test]
    #[should_panic(expected = "no binding `z`")]
    fn an_undeclared_name_is_refused() {
        buffers(&[], &mut []).read("z");
    }

    #[test]
    #[should_panic(expected = "taken already")]
    fn a_slice_is_taken_once() {
        let mut y = [0.0];
        let mut buffers = buffers(&[], &mut y);
        buffers.write("y");
        buffers.write("y");
    }
}
