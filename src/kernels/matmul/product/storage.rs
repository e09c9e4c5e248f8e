//! The positions of the operands of a product in their slices, for the whole product and for parts of it.

use super::params::Params;

/// How an operand or the product is stored: rows of `width` elements, `stride` apart, in groups `group` apart.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub(super) groups: usize,
    pub(super) group: usize,
    pub(super) rows: usize,
    pub(super) stride: usize,
    pub(super) width: usize,
}

impl Stored {
    /// Elements from the first to the last.
    pub(super) fn span(self) -> usize {
        (self.groups - 1) * self.group + (self.rows - 1) * self.stride + self.width
    }

    /// Whether groups are stored one after another, not in adjacent columns.
    pub(super) fn is_group_major(self) -> bool {
        self.groups > 1 && self.group >= (self.rows - 1) * self.stride + self.width
    }
}

/// The dimensions along which a product can be split.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Axis {
    Groups,
    Rows,
    Columns,
    Depth,
}

impl Params {
    /// How `left`, `right` and the product are stored.
    pub(super) fn stored(&self) -> [Stored; 3] {
        let [groups, rows, columns, depth] = self.extents();
        let stored = |transposed: u32, rows, width, stride: u32, group: u32| {
            let (rows, width) = if transposed != 0 {
                (width, rows)
            } else {
                (rows, width)
            };
            Stored {
                groups,
                group: group as usize,
                rows,
                stride: stride as usize,
                width,
            }
        };
        [
            stored(
                self.transpose_left,
                rows,
                depth,
                self.left_stride,
                self.left_group,
            ),
            stored(
                self.transpose_right,
                depth,
                columns,
                self.right_stride,
                self.right_group,
            ),
            stored(0, rows, columns, self.product_stride, self.product_group),
        ]
    }

    pub(super) fn extents(&self) -> [usize; 4] {
        [self.groups, self.rows, self.columns, self.depth].map(|extent| extent as usize)
    }

    /// The axis along which `left`, `right` or the product (0, 1, 2) has its stored rows or its groups: a split along it
    /// shortens the slice.
    pub(super) fn long_axis(&self, binding: usize) -> Axis {
        match binding {
            _ if self.stored()[binding].is_group_major() => Axis::Groups,
            0 if self.transpose_left == 0 => Axis::Rows,
            1 if self.transpose_right != 0 => Axis::Columns,
            0 | 1 => Axis::Depth,
            _ => Axis::Rows,
        }
    }

    /// The part of the product of `len` along an axis from `start` on.
    pub(super) fn part(&self, axis: Axis, start: usize, len: usize) -> Params {
        let mut part = *self;
        match axis {
            Axis::Groups => part.groups = len as u32,
            Axis::Rows => part.rows = len as u32,
            Axis::Columns => part.columns = len as u32,
            Axis::Depth => {
                part.depth = len as u32;
                if start > 0 {
                    (part.accumulate, part.with_bias) = (1, 0);
                }
            }
        }
        part
    }

    /// Where the slices `left`, `right`, `bias` and `product` of a part begin that begins at `at` along an axis.
    pub(super) fn starts(&self, axis: Axis, at: usize) -> [usize; 4] {
        let [left, right, product] = self.stored();
        let minor = |transposed: u32, stored: Stored| match transposed {
            0 => at,
            _ => at * stored.stride,
        };
        let major = |transposed: u32, stored: Stored| match transposed {
            0 => at * stored.stride,
            _ => at,
        };
        match axis {
            Axis::Groups => [
                at * left.group,
                at * right.group,
                at * self.columns as usize,
                at * product.group,
            ],
            Axis::Rows => [major(self.transpose_left, left), 0, 0, at * product.stride],
            Axis::Columns => [0, minor(self.transpose_right, right), at, at],
            Axis::Depth => [
                minor(self.transpose_left, left),
                major(self.transpose_right, right),
                0,
                0,
            ],
        }
    }
}
