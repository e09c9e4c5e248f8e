//! The sizes and strides of a product.

use crate::params;

/// A piece of a sum has a multiple of this many terms. The number of terms that a form stages at once divides it.
pub const PIECE_TERMS: u32 = 128;

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Groups.
        pub groups: u32,
        /// Rows of the product of a group.
        pub rows: u32,
        /// Columns of the product of a group.
        pub columns: u32,
        /// Terms of each sum.
        pub depth: u32,
        /// Whether `left` is stored `[depth, rows]`.
        pub transpose_left: u32,
        /// Whether `right` is stored `[columns, depth]`.
        pub transpose_right: u32,
        /// Elements between stored rows of `left`.
        pub left_stride: u32,
        /// Elements between groups of `left`.
        pub left_group: u32,
        /// Elements between stored rows of `right`.
        pub right_stride: u32,
        /// Elements between groups of `right`.
        pub right_group: u32,
        /// Elements between rows of the product.
        pub product_stride: u32,
        /// Elements between groups of the product.
        pub product_group: u32,
        /// Whether `bias` is added. If not, any slice may be bound as `bias`.
        pub with_bias: u32,
        /// Whether the product is added to the contents of `product`.
        pub accumulate: u32,
        /// Pieces into which the terms of each sum are divided, at least 1, each with its own product. With several,
        /// neither the bias nor the content of `product` is added.
        pub pieces: u32,
    }
}

impl Params {
    /// A single product of dense matrices `[rows, depth]` and `[depth, columns]`, nothing transposed or accumulated.
    pub fn dense(rows: usize, columns: usize, depth: usize) -> Params {
        Params {
            groups: 1,
            rows: rows as u32,
            columns: columns as u32,
            depth: depth as u32,
            transpose_left: 0,
            transpose_right: 0,
            left_stride: depth as u32,
            left_group: 0,
            right_stride: columns as u32,
            right_group: 0,
            product_stride: columns as u32,
            product_group: 0,
            with_bias: 0,
            accumulate: 0,
            pieces: 1,
        }
    }

    /// The same product with `left` stored transposed, dense.
    pub fn transposed_left(self) -> Params {
        Params {
            transpose_left: 1,
            left_stride: self.rows,
            ..self
        }
    }

    /// The same product with `right` stored transposed, dense.
    pub fn transposed_right(self) -> Params {
        Params {
            transpose_right: 1,
            right_stride: self.depth,
            ..self
        }
    }

    /// The same product, added to the content of `product` if `accumulate`.
    pub fn accumulating(self, accumulate: bool) -> Params {
        Params {
            accumulate: accumulate.into(),
            ..self
        }
    }

    /// The same product plus a bias.
    pub fn biased(self) -> Params {
        Params {
            with_bias: 1,
            ..self
        }
    }

    /// With the terms of each sum in `pieces` pieces.
    ///
    /// # Panics
    ///
    /// If there are none, or if the last ones would have no terms.
    pub fn in_pieces(self, pieces: u32) -> Params {
        let made = Params { pieces, ..self };
        let before = (pieces - 1) * made.piece_depth();
        assert!(
            before < self.depth,
            "{pieces} pieces of {} terms",
            self.depth
        );
        made
    }

    /// With at most `most` pieces, of which all but the last have at least two times [`PIECE_TERMS`] terms.
    pub fn in_at_most(self, most: u32) -> Params {
        let pieces = most.min(self.depth / (2 * PIECE_TERMS)).max(1);
        let made = Params { pieces, ..self };
        self.in_pieces(self.depth.div_ceil(made.piece_depth()))
    }

    /// A product of similar proportions with at most `most` multiply-adds, unless all sides of its matrices are 8 or less. Sides that
    /// are multiples of eight stay so, for forms that read vectors.
    pub(super) fn reduced(mut self, most: u64) -> Params {
        while self.multiply_adds() > most {
            let sides = [&mut self.rows, &mut self.columns, &mut self.depth];
            let longest = sides.into_iter().max().expect("three sides");
            if *longest <= 8 {
                break;
            }
            *longest = longest.div_ceil(2).next_multiple_of(8);
        }
        self.in_at_most(self.pieces)
    }

    /// Terms of each sum of a piece. Of several pieces it is a multiple of [`PIECE_TERMS`], and the last may have fewer.
    pub fn piece_depth(&self) -> u32 {
        match self.pieces {
            1 => self.depth,
            pieces => self.depth.div_ceil(pieces).next_multiple_of(PIECE_TERMS),
        }
    }

    /// Elements between the products of two pieces.
    pub(super) fn piece_stride(&self) -> u32 {
        self.rows * self.product_stride
    }

    /// A piece as a separate product, and its first term.
    pub(super) fn piece(&self, piece: u32) -> (Params, u32) {
        let first = piece * self.piece_depth();
        let depth = self.piece_depth().min(self.depth - first);
        let params = Params {
            depth,
            pieces: 1,
            ..*self
        };
        (params, first)
    }

    /// Multiply-adds of the step.
    pub fn multiply_adds(&self) -> u64 {
        [self.groups, self.rows, self.columns, self.depth]
            .map(u64::from)
            .iter()
            .product()
    }
}
