//! Views of matrices.
#![allow(unsafe_code)]

use std::marker::PhantomData;

/// A matrix to read.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(super) start: *const f32,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
    pub(super) life: PhantomData<&'a [f32]>,
}

/// A matrix to write. Distinct views never share an element.
pub struct ViewMut<'a> {
    pub(super) start: *mut f32,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) life: PhantomData<&'a mut [f32]>,
}

// SAFETY: a View is a shared borrow of f32s.
unsafe impl Send for View<'_> {}
// SAFETY: as above.
unsafe impl Sync for View<'_> {}
// SAFETY: a ViewMut is an exclusive borrow of the elements it reaches, and no other view reaches them.
unsafe impl Send for ViewMut<'_> {}

/// The elements from the first to the last of a row-major matrix: 0 if it is empty.
pub(super) fn reach(rows: usize, columns: usize, row_stride: usize) -> usize {
    if rows == 0 || columns == 0 {
        0
    } else {
        (rows - 1) * row_stride + columns
    }
}

impl<'a> View<'a> {
    /// Rows of `columns` adjacent elements, `row_stride` apart.
    ///
    /// # Panics
    ///
    /// If the slice is too short.
    pub fn new(slice: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> View<'a> {
        let need = reach(rows, columns, row_stride);
        assert!(
            slice.len() >= need,
            "a view of {need} elements in a slice of {}",
            slice.len()
        );
        View {
            start: slice.as_ptr(),
            rows,
            columns,
            row_stride,
            column_stride: 1,
            life: PhantomData,
        }
    }

    /// The same elements with rows and columns exchanged.
    pub fn transposed(self) -> View<'a> {
        View {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Columns `start .. start + count`.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn columns(self, start: usize, count: usize) -> View<'a> {
        assert!(
            start + count <= self.columns,
            "columns {start}+{count} of {}",
            self.columns
        );
        // An empty view keeps the start: column `start` of another row may be past the end of the slice.
        let is_empty = count == 0 || self.rows == 0;
        let offset = if is_empty {
            0
        } else {
            start * self.column_stride
        };
        View {
            // SAFETY: the first element of column `start` is within the view, as just checked, or the offset is 0.
            start: unsafe { self.start.add(offset) },
            columns: count,
            ..self
        }
    }

    /// Whether the elements of a row are adjacent.
    pub(super) fn is_straight(self) -> bool {
        self.column_stride == 1
    }

    /// Row `i`, whose elements must be adjacent.
    ///
    /// # Panics
    ///
    /// If they are not, or if there are fewer rows.
    #[inline(always)]
    pub(super) fn row(self, i: usize) -> &'a [f32] {
        assert!(self.column_stride == 1 && i < self.rows);
        // SAFETY: row i is within what the view borrows, its elements are adjacent.
        unsafe { std::slice::from_raw_parts(self.start.add(i * self.row_stride), self.columns) }
    }

    /// A copy in `space`, with rows `row_stride` apart. The elements of a row must be adjacent.
    ///
    /// # Panics
    ///
    /// If they are not, or if `row_stride` is too small.
    pub(super) fn copied(self, space: &mut Vec<f32>, row_stride: usize) -> View<'_> {
        assert!(self.column_stride == 1 && self.columns <= row_stride);
        space.resize(space.len().max(self.rows * row_stride), 0.0);
        for (i, copy) in space
            .chunks_exact_mut(row_stride)
            .take(self.rows)
            .enumerate()
        {
            copy[..self.columns].copy_from_slice(self.row(i));
        }
        View::new(space, self.rows, self.columns, row_stride)
    }

    /// Rows `start .. start + count`.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn rows(self, start: usize, count: usize) -> View<'a> {
        self.transposed().columns(start, count).transposed()
    }
}

impl<'a> ViewMut<'a> {
    /// Rows of `columns` adjacent elements, `row_stride` apart.
    ///
    /// # Panics
    ///
    /// If the slice is too short, or if rows would share elements.
    pub fn new(
        slice: &'a mut [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> ViewMut<'a> {
        let need = reach(rows, columns, row_stride);
        assert!(
            slice.len() >= need,
            "a view of {need} elements in a slice of {}",
            slice.len()
        );
        assert!(
            rows <= 1 || row_stride >= columns,
            "rows of {columns} elements every {row_stride}"
        );
        ViewMut {
            start: slice.as_mut_ptr(),
            rows,
            columns,
            row_stride,
            life: PhantomData,
        }
    }

    /// The number of rows.
    pub fn row_count(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn column_count(&self) -> usize {
        self.columns
    }

    /// Columns `start .. start + count`.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub(super) fn columns(&mut self, start: usize, count: usize) -> ViewMut<'_> {
        assert!(
            start + count <= self.columns,
            "columns {start}+{count} of {}",
            self.columns
        );
        ViewMut {
            // SAFETY: within the view, as just checked, which is borrowed meanwhile.
            start: unsafe { self.start.add(start) },
            columns: count,
            rows: self.rows,
            row_stride: self.row_stride,
            life: PhantomData,
        }
    }

    /// Columns `start .. start + count` of `M` rows.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[inline(always)]
    pub(super) fn part<const M: usize>(
        &mut self,
        first: usize,
        start: usize,
        count: usize,
    ) -> [&mut [f32]; M] {
        assert!(first + M <= self.rows && start + count <= self.columns);
        std::array::from_fn(
            #[inline(always)]
            |i| {
                let at = (first + i) * self.row_stride + start;
                // SAFETY: within the view, as just checked; rows share no element.
                unsafe { std::slice::from_raw_parts_mut(self.start.add(at), count) }
            },
        )
    }

    /// The elements of row `k`.
    pub fn row(&mut self, k: usize) -> &mut [f32] {
        assert!(k < self.rows, "row {k} of {}", self.rows);
        // SAFETY: row k lies within what the view borrows exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(k * self.row_stride), self.columns) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_parts_do_not_move_the_start_past_the_slice() {
        // The last two columns of two rows of four, the last of which ends with the slice.
        let x = [0.0; 8];
        let part = View::new(&x, 2, 4, 4).columns(2, 2);
        assert_eq!(part.rows(1, 1).start, x[6..].as_ptr());
        assert_eq!(part.rows(2, 0).start, part.start);
        assert_eq!(part.rows(2, 0).columns(1, 1).start, part.start);
    }
}
