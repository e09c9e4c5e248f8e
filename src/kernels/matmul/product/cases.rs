//! The cases of every form of the product.

use super::params::Params;
use crate::kernel::{Case, Fill};

/// Sums that round to zero from below: every form gives the zero the same sign.
fn underflow() -> Case {
    let buffers = vec![
        Fill::Values(vec![-1e-30; 16]),
        Fill::Values(vec![1e-30; 16]),
        Fill::signed(4),
        Fill::Output(16),
    ];
    Case::new("less than nothing", &Params::dense(4, 4, 4), 4, buffers)
}

/// See [`Kernel::cases`](crate::kernel::Kernel::cases).
pub(super) fn cases() -> Vec<Case> {
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
        // Sizes that can be read by vectors of four and of eight.
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
