//! `product_g = left_g right_g + bias_g`, or `+=`, for groups `g` in one dispatch.
//!
//! `product_g [rows, columns]`, `left_g [rows, depth]`, `right_g [depth, columns]`, `bias [groups * columns]`; each
//! operand may be stored transposed. Rows of a stored matrix are `*_stride` elements apart, groups `*_group`.
//! Where the sums are in several `pieces`, for [`super::sum_pieces`] to add up, the product is `[pieces]` of these.
//! Derivatives: `dleft = dproduct right'`, `dright = left' dproduct`: this kernel again.

use crate::kernel::{
    Binding, Buffers, Case, Constants, Excess, FUSED, Fill, Kernel, Params as _, Part, Snippet,
    Widths, Work,
};
use crate::matrix::{self, Groups, View};
use crate::real::Real;
use crate::{params, twin};

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
        /// Whether `bias` is added; without, any slice may be bound in its place.
        pub with_bias: u32,
        /// Whether the product is added to what is there.
        pub accumulate: u32,
        /// Into how many products the terms of each sum go, at least 1; with more, nothing is added, and each has terms.
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

    /// With `left` stored transposed, dense.
    pub fn transposed_left(self) -> Params {
        Params {
            transpose_left: 1,
            left_stride: self.rows,
            ..self
        }
    }

    /// With `right` stored transposed, dense.
    pub fn transposed_right(self) -> Params {
        Params {
            transpose_right: 1,
            right_stride: self.depth,
            ..self
        }
    }

    /// Added to what is there.
    pub fn accumulating(self, accumulate: bool) -> Params {
        Params {
            accumulate: accumulate.into(),
            ..self
        }
    }

    /// Plus a bias.
    pub fn biased(self) -> Params {
        Params {
            with_bias: 1,
            ..self
        }
    }

    /// In so many pieces.
    ///
    /// # Panics
    ///
    /// If there are none, or the last ones would have no terms.
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

    /// In as many pieces as there can be of at least two times [`SPLIT`] terms, but the last, and no more than `most`.
    pub fn in_at_most(self, most: u32) -> Params {
        let pieces = most.min(self.depth / (2 * SPLIT)).max(1);
        let made = Params { pieces, ..self };
        self.in_pieces(self.depth.div_ceil(made.piece_depth()))
    }

    /// Terms of each sum of a piece, but perhaps the last: of several a multiple of [`SPLIT`].
    pub fn piece_depth(&self) -> u32 {
        match self.pieces {
            1 => self.depth,
            pieces => self.depth.div_ceil(pieces).next_multiple_of(SPLIT),
        }
    }

    /// Elements between the products of two pieces.
    fn piece_stride(&self) -> u32 {
        self.rows * self.product_stride
    }

    /// What a piece is as a product of its own, and its first term.
    fn piece(&self, piece: u32) -> (Params, u32) {
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

/// See the module.
pub static KERNEL: Kernel = Kernel {
    others: &[
        &super::product_split::KERNEL,
        &super::product_subgroup::KERNEL,
        &super::product_vector::KERNEL,
        &super::product_vector::WIDE,
        &super::product_tiled::KERNEL,
        &super::product_tiled::TALL,
        &super::product_tiled::WIDE,
        &super::product_units::KERNEL,
    ],
    snippets: &IN_TILES,
    ..FORM
};

/// What the shaders of all forms begin with.
static INTERFACE: Snippet = Snippet {
    name: "product",
    wgsl: include_str!("../../../shaders/shared/product.wgsl"),
};

/// What is added to it for forms whose threads read one number at a time and make 8 columns in registers.
static TILE: Snippet = Snippet {
    name: "product_tile",
    wgsl: include_str!("../../../shaders/shared/product_tile.wgsl"),
};

/// What the shaders of this form and of [`super::product_subgroup`] begin with.
pub(super) static IN_TILES: [&Snippet; 3] = [&INTERFACE, &TILE, &FUSED];

/// The same for shaders that multiply on matrix units.
pub(super) static ON_UNITS: [&Snippet; 1] = [&INTERFACE];

/// All but the other forms: these are made of it too.
pub(super) const FORM: Kernel = Kernel {
    name: "matmul/product",
    wgsl: include_str!("../../../shaders/matmul/product.wgsl"),
    snippets: &[&INTERFACE, &FUSED],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("left").or_half(),
        Binding::read("right").or_half(),
        Binding::read("bias").or_half(),
        Binding::read_write("product").or_half(),
    ],
    constants,
    grid: blocks::<64, 64>,
    work: Some(work),
    cut: Some(cut),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    suits: None,
    others: &[],
};

fn constants(words: &[u32]) -> Constants {
    let params = Params::of(words);
    vec![
        ("TRANSPOSE_LEFT", params.transpose_left),
        ("TRANSPOSE_RIGHT", params.transpose_right),
    ]
}

/// Workgroups that make a block of so many rows and columns each, of a piece of a group.
pub(super) fn blocks<const ROWS: u32, const COLUMNS: u32>(words: &[u32]) -> [u32; 3] {
    let params = Params::of(words);
    [
        params.columns.div_ceil(COLUMNS),
        params.rows.div_ceil(ROWS),
        params.groups * params.pieces,
    ]
}

fn work(words: &[u32], widths: Widths) -> Work {
    let p = Params::of(words);
    let [groups, rows, columns, depth] = [p.groups, p.rows, p.columns, p.depth].map(u64::from);
    let moved = if p.accumulate != 0 { 2 } else { 1 };
    let product = rows * columns * moved * u64::from(p.pieces);
    Work {
        flops: 2 * p.multiply_adds(),
        bytes: groups
            * (widths[0] * rows * depth + widths[1] * depth * columns + widths[3] * product),
    }
}

/// A stored matrix of every group: rows of `width`, `stride` apart, groups `group` apart.
#[derive(Clone, Copy)]
struct Stored {
    groups: usize,
    group: usize,
    rows: usize,
    stride: usize,
    width: usize,
}

impl Stored {
    /// From the first element to the last.
    fn span(self) -> usize {
        (self.groups - 1) * self.group + (self.rows - 1) * self.stride + self.width
    }

    /// Whether groups lie one behind the other, not side by side.
    fn is_group_major(self) -> bool {
        self.groups > 1 && self.group >= (self.rows - 1) * self.stride + self.width
    }
}

/// What a product is cut along.
#[derive(Clone, Copy, PartialEq)]
enum Axis {
    Groups,
    Rows,
    Columns,
    Depth,
}

impl Params {
    /// How left, right and the product are stored.
    fn stored(&self) -> [Stored; 3] {
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

    fn extents(&self) -> [usize; 4] {
        [self.groups, self.rows, self.columns, self.depth].map(|extent| extent as usize)
    }

    /// The axis along which a stored matrix has its rows: what makes it shorter when it is cut.
    fn long_axis(&self, binding: usize) -> Axis {
        match binding {
            _ if self.stored()[binding].is_group_major() => Axis::Groups,
            0 if self.transpose_left == 0 => Axis::Rows,
            1 if self.transpose_right != 0 => Axis::Columns,
            0 | 1 => Axis::Depth,
            _ => Axis::Rows,
        }
    }

    /// `len` along an axis from `start` on.
    fn part(&self, axis: Axis, start: usize, len: usize) -> Params {
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

    /// Where the slices of such a part begin, those of left, right, bias and the product.
    fn starts(&self, axis: Axis, at: usize) -> [usize; 4] {
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

/// The terms of a sum that devices add up in registers before it goes to memory: what a product is cut along its depth by, so that
/// sums are added in the same order.
const DEPTH: usize = 512;

/// Pieces of sums are whole numbers of so many terms: what forms of the product stage at once divides it.
pub const SPLIT: u32 = 128;

fn cut(words: &[u32], excess: &Excess<'_>) -> Option<[Part; 2]> {
    let p: &Params = Params::of(words);
    if p.pieces > 1 {
        return None;
    }
    // Without a bias, what stands in its place is the left operand, or anything small.
    let is_left = p.with_bias == 0 && excess.lens[2] == excess.lens[0];
    let (axis, most) = match excess.binding {
        2 if p.with_bias == 0 && !is_left => return None,
        // A bias of several groups is cut with them.
        2 if p.with_bias != 0 && p.groups > 1 => (Axis::Groups, excess.most / p.columns as usize),
        2 if p.with_bias != 0 => (Axis::Columns, excess.most),
        binding => {
            let binding = [0, 1, 0, 2][binding];
            let (axis, stored) = (p.long_axis(binding), p.stored()[binding]);
            let most = match axis {
                Axis::Groups => {
                    let one = Stored {
                        groups: 1,
                        ..stored
                    }
                    .span();
                    // A group that is too large alone is cut next.
                    ((excess.most + stored.group).saturating_sub(one) / stored.group).max(1)
                }
                _ => {
                    let one = Stored { rows: 1, ..stored }.span();
                    (excess.most + stored.stride).checked_sub(one)? / stored.stride
                }
            };
            (axis, most)
        }
    };
    let [groups, rows, columns, depth] = p.extents();
    let (extent, multiple) = match axis {
        Axis::Groups => (groups, 1),
        Axis::Rows => (rows, 64),
        Axis::Columns => (columns, 64),
        Axis::Depth => (depth, DEPTH),
    };
    let most = most.min(extent - 1);
    let at = match most / multiple {
        0 => most,
        multiples => multiples * multiple,
    };
    if at == 0 {
        return None;
    }
    let part = |start: usize, len: usize| {
        let params = p.part(axis, start, len);
        let starts = p.starts(axis, start);
        let [left, right, product] = params.stored().map(Stored::span);
        let mut ranges = excess.whole();
        let bias = (params.groups * params.columns) as usize;
        for (k, len) in [left, right, bias, product].into_iter().enumerate() {
            if k != 2 || params.with_bias != 0 {
                ranges[k] = starts[k]..starts[k] + len;
            }
        }
        if is_left {
            ranges[2] = ranges[0].clone();
        }
        Part {
            params: params.words(),
            ranges,
        }
    };
    Some([part(0, at), part(at, extent - at)])
}

fn twin<R: Real>(p: &Params, buffers: &mut Buffers<'_, R>) {
    let (left, right, bias, product) = (
        buffers.read(0),
        buffers.read(1),
        buffers.read(2),
        buffers.write(3),
    );
    let at = |transposed: u32, group: u32, row: u32, column: u32, stride: u32| {
        let (row, column) = if transposed != 0 {
            (column, row)
        } else {
            (row, column)
        };
        (group + row * stride + column) as usize
    };
    let places = (0..p.pieces).flat_map(|piece| (0..p.groups).map(move |g| (piece, g)));
    for (piece, g) in places {
        let (of_piece, first) = p.piece(piece);
        for row in 0..p.rows {
            for column in 0..p.columns {
                let mut sum = R::ZERO;
                for k in first..first + of_piece.depth {
                    sum += left[at(p.transpose_left, g * p.left_group, row, k, p.left_stride)]
                        * right[at(
                            p.transpose_right,
                            g * p.right_group,
                            k,
                            column,
                            p.right_stride,
                        )];
                }
                if p.with_bias != 0 {
                    sum += bias[(g * p.columns + column) as usize];
                }
                let at = g * p.product_group + row * p.product_stride + column;
                let out = &mut product[(piece * p.piece_stride() + at) as usize];
                *out = if p.accumulate != 0 { *out + sum } else { sum };
            }
        }
    }
}

/// The operands of a group as views.
fn operand(
    slice: &[f32],
    transposed: u32,
    group: u32,
    rows: u32,
    columns: u32,
    stride: u32,
) -> View<'_> {
    let slice = &slice[group as usize..];
    if transposed != 0 {
        View::new(slice, columns as usize, rows as usize, stride as usize).transposed()
    } else {
        View::new(slice, rows as usize, columns as usize, stride as usize)
    }
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let p: &Params = Params::of(words);
    let (left, right, bias, product) = (
        buffers.read(0),
        buffers.read(1),
        buffers.read(2),
        buffers.write(3),
    );
    if p.pieces == 1 {
        return multiply(p, left, right, bias, product);
    }
    for (piece, product) in (0..).zip(product.chunks_mut(p.piece_stride() as usize)) {
        let (of_piece, first) = p.piece(piece);
        let [left_start, right_start, ..] = p.starts(Axis::Depth, first as usize);
        multiply(
            &of_piece,
            &left[left_start..],
            &right[right_start..],
            bias,
            product,
        );
    }
}

/// A product of one piece.
fn multiply(p: &Params, left: &[f32], right: &[f32], bias: &[f32], product: &mut [f32]) {
    let groups = Groups {
        count: p.groups as usize,
        stride: p.product_group as usize,
        rows: p.rows as usize,
        columns: p.columns as usize,
        row_stride: p.product_stride as usize,
    };
    let parts = matrix::parts(p.multiply_adds() as usize);
    matrix::each_block(product, groups, parts, |mut block| {
        let (rows, columns) = (block.out.row_count(), block.out.column_count());
        if p.with_bias != 0 {
            let bias = &bias[block.group * groups.columns + block.column..][..columns];
            for row in 0..rows {
                let out = block.out.row(row);
                if p.accumulate != 0 {
                    for (out, bias) in out.iter_mut().zip(bias) {
                        *out += bias;
                    }
                } else {
                    out.copy_from_slice(bias);
                }
            }
        }
        let accumulate = p.accumulate != 0 || p.with_bias != 0;
        let group = block.group as u32;
        let left = operand(
            left,
            p.transpose_left,
            group * p.left_group,
            p.rows,
            p.depth,
            p.left_stride,
        );
        let right = operand(
            right,
            p.transpose_right,
            group * p.right_group,
            p.depth,
            p.columns,
            p.right_stride,
        );
        block.multiply(accumulate, left, right);
    });
}

/// Sums that round to zero from below: all forms give it the same sign.
fn underflow() -> Case {
    let buffers = vec![
        Fill::Values(vec![-1e-30; 16]),
        Fill::Values(vec![1e-30; 16]),
        Fill::signed(4),
        Fill::Output(16),
    ];
    Case::new("less than nothing", &Params::dense(4, 4, 4), 4, buffers)
}

fn cases() -> Vec<Case> {
    let case = |label, p: Params| {
        let side = |count: u32, stride: u32, width: u32, group: u32| {
            ((p.groups - 1) * group + (count - 1) * stride + width) as usize
        };
        let left = match p.transpose_left {
            0 => side(p.rows, p.left_stride, p.depth, p.left_group),
            _ => side(p.depth, p.left_stride, p.rows, p.left_group),
        };
        let right = match p.transpose_right {
            0 => side(p.depth, p.right_stride, p.columns, p.right_group),
            _ => side(p.columns, p.right_stride, p.depth, p.right_group),
        };
        let product = match p.pieces {
            1 => side(p.rows, p.product_stride, p.columns, p.product_group),
            pieces => (pieces * p.piece_stride()) as usize,
        };
        let output =
            if p.accumulate != 0 || (p.groups > 1 && p.product_group < p.rows * p.product_stride) {
                Fill::signed(product)
            } else {
                Fill::Output(product)
            };
        let bias = (p.groups * p.columns) as usize;
        let buffers = vec![
            Fill::signed(left),
            Fill::signed(right),
            Fill::signed(bias),
            output,
        ];
        Case::new(label, &p, p.depth as usize, buffers)
    };
    let grouped = Params {
        groups: 3,
        left_stride: 3 * 7,
        left_group: 7,
        right_group: 7 * 10,
        product_stride: 3 * 10,
        product_group: 10,
        ..Params::dense(5, 10, 7)
    };
    vec![
        case("1x1x1", Params::dense(1, 1, 1)),
        case("37x53x29", Params::dense(37, 53, 29)),
        underflow(),
        case(
            "larger than a block, bias",
            Params::dense(70, 67, 130).biased(),
        ),
        case(
            "a sum of several parts, bias",
            Params::dense(5, 9, 1100).biased(),
        ),
        case(
            "left transposed",
            Params::dense(37, 41, 19).transposed_left(),
        ),
        case(
            "right transposed, accumulated",
            Params::dense(35, 66, 31)
                .transposed_right()
                .accumulating(true),
        ),
        case(
            "both transposed",
            Params::dense(9, 34, 17)
                .transposed_left()
                .transposed_right(),
        ),
        case("groups side by side, bias", grouped.biased()),
        case(
            "groups side by side, right transposed, accumulated",
            Params {
                transpose_right: 1,
                right_stride: 7,
                accumulate: 1,
                ..grouped
            },
        ),
        case(
            "groups of several blocks, accumulated",
            Params {
                groups: 2,
                left_stride: 2 * 9,
                left_group: 9,
                right_group: 9 * 45,
                product_stride: 2 * 45,
                product_group: 45,
                accumulate: 1,
                ..Params::dense(37, 45, 9)
            },
        ),
        case(
            "weight gradient of groups",
            Params {
                groups: 3,
                transpose_left: 1,
                left_stride: 3 * 7,
                left_group: 7,
                right_stride: 3 * 8,
                right_group: 8,
                product_group: 7 * 8,
                ..Params::dense(7, 8, 45)
            },
        ),
        case(
            "three pieces of sums, right transposed",
            Params::dense(37, 29, 300).transposed_right().in_pieces(3),
        ),
        case(
            "two pieces of sums of groups side by side",
            Params {
                groups: 2,
                left_stride: 2 * 264,
                left_group: 264,
                right_group: 264 * 16,
                product_stride: 2 * 16,
                product_group: 16,
                pieces: 2,
                ..Params::dense(24, 16, 264)
            },
        ),
        case(
            "two pieces of sums, left transposed",
            Params::dense(72, 136, 1100).transposed_left().in_pieces(2),
        ),
        case(
            "two pieces of sums, right transposed",
            Params::dense(72, 136, 1104).transposed_right().in_pieces(2),
        ),
        // What vectors of four and of eight can be read of.
        case("72x136x40", Params::dense(72, 136, 40).biased()),
        case(
            "8x72x520, left transposed, accumulated",
            Params::dense(8, 72, 520)
                .transposed_left()
                .accumulating(true),
        ),
        case(
            "136x8x48, right transposed",
            Params::dense(136, 8, 48).transposed_right(),
        ),
        case("512x512x512", Params::dense(512, 512, 512)).timed(),
        case(
            "logits of the bench model",
            Params::dense(640, 1024, 256).transposed_right().biased(),
        )
        .timed(),
        case(
            "projection of the bench model",
            Params::dense(64, 256, 1024),
        )
        .timed(),
        case(
            "weight gradient of glstm of the bench model",
            Params {
                groups: 8,
                transpose_left: 1,
                left_stride: 8 * 64,
                left_group: 64,
                right_stride: 8 * 512,
                right_group: 512,
                product_group: 64 * 512,
                ..Params::dense(64, 512, 1280)
            },
        )
        .timed(),
    ]
}
