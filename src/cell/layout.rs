//! The order of the gate columns: four blocks in files, interleaved per unit on devices. Only this module converts
//! between the two.

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSliceMut;

/// The order of a parameter's columns on devices, compared with files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnLayout {
    /// As in files.
    Plain,
    /// Rows of `4 * units` elements: gate `q` of unit `u` is column `q * units + u` in files and `4 * u + q` on devices.
    Interleaved {
        /// Units of a row.
        units: usize,
    },
}

impl ColumnLayout {
    /// Converts whole rows from the order of files to the order of devices.
    pub fn interleave<T: Copy + Default + Send + Sync>(self, rows: &mut [T]) {
        self.permute(rows, |units, blocks, row| {
            for u in 0..units {
                for q in 0..4 {
                    row[4 * u + q] = blocks[q * units + u];
                }
            }
        });
    }

    /// Converts whole rows from the order of devices to the order of files.
    pub fn deinterleave<T: Copy + Default + Send + Sync>(self, rows: &mut [T]) {
        self.permute(rows, |units, interleaved, row| {
            for u in 0..units {
                for q in 0..4 {
                    row[q * units + u] = interleaved[4 * u + q];
                }
            }
        });
    }

    /// [`ColumnLayout::interleave`] by value.
    pub fn interleaved<T: Copy + Default + Send + Sync>(self, mut values: Vec<T>) -> Vec<T> {
        self.interleave(&mut values);
        values
    }

    /// [`ColumnLayout::deinterleave`] by value.
    pub fn deinterleaved<T: Copy + Default + Send + Sync>(self, mut values: Vec<T>) -> Vec<T> {
        self.deinterleave(&mut values);
        values
    }

    /// Calls `permute` with the units, a copy of a row and the row, for every row.
    fn permute<T: Copy + Default + Send + Sync>(
        self,
        values: &mut [T],
        permute: impl Fn(usize, &[T], &mut [T]) + Sync,
    ) {
        let ColumnLayout::Interleaved { units } = self else {
            return;
        };
        let rows = values.par_chunks_mut(4 * units);
        rows.for_each_init(Vec::new, |before: &mut Vec<T>, row| {
            before.clear();
            before.extend_from_slice(row);
            permute(units, before, row);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaving_can_be_undone() {
        let layout = ColumnLayout::Interleaved { units: 3 };
        let file: Vec<f32> = (0..24).map(|k| k as f32).collect();
        let inside = layout.interleaved(file.clone());
        assert_eq!(inside[..8], [0.0, 3.0, 6.0, 9.0, 1.0, 4.0, 7.0, 10.0]);
        assert_eq!(layout.deinterleaved(inside), file);
    }
}
