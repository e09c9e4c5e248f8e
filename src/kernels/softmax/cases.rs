//! The cases that the kernels of a softmax share.

use super::ignore::IGNORE;
use crate::kernel::Case;

/// A tile of the full softmax.
pub(super) struct Tile {
    pub label: &'static str,
    /// Ids of the tile.
    pub width: usize,
    /// The first one.
    pub start: u32,
    /// Of the gradient.
    pub divisor: f32,
    pub targets: Vec<u32>,
}

/// A case for each tile.
pub(super) fn of_tiles(case: impl Fn(&Tile) -> Case) -> Vec<Case> {
    let of = |label, width, start, divisor, targets: Vec<u32>| {
        case(&Tile {
            label,
            width,
            start,
            divisor,
            targets,
        })
    };
    vec![
        of("one logit", 1, 0, 1.0, vec![0]),
        of(
            "first tile, targets in and past it, padding",
            67,
            0,
            0.25,
            vec![0, 66, 67, IGNORE],
        ),
        of(
            "tile in the middle",
            259,
            1000,
            2.0,
            vec![999, 1000, 1258, 1259, IGNORE],
        ),
        of(
            "last ids of the largest vocabulary",
            5,
            IGNORE - 5,
            1.0,
            vec![IGNORE, IGNORE - 1, 3],
        ),
        of(
            "more than one task",
            1031,
            7,
            1.0,
            (0..37).map(|k| k * 31).collect(),
        ),
        of("of the bench model", 4096, 0, 1.0, (0..320).collect()).timed(),
    ]
}

/// Candidates and targets of the sampled softmax.
pub(super) struct Sampled {
    pub label: &'static str,
    /// Of the gradient.
    pub divisor: f32,
    pub candidates: Vec<u32>,
    pub targets: Vec<u32>,
}

/// A case for each choice of candidates.
pub(super) fn of_candidates(case: impl Fn(&Sampled) -> Case) -> Vec<Case> {
    let of = |label, divisor, candidates: Vec<u32>, targets: Vec<u32>| {
        case(&Sampled {
            label,
            divisor,
            candidates,
            targets,
        })
    };
    vec![
        of("one candidate", 1.0, vec![4], vec![2]),
        of("the only candidate is the target", 1.0, vec![4], vec![4]),
        of(
            "hits and padding",
            0.25,
            (0..67).collect(),
            vec![3, 66, 67, IGNORE, 0],
        ),
        of(
            "more than a workgroup",
            20.0,
            (0..259).rev().collect(),
            vec![900, 258, 0],
        ),
        of(
            "more than one task",
            1.0,
            (0..1031).map(|k| k * 2).collect(),
            (0..37).collect(),
        ),
        of(
            "of the bench model",
            0.05,
            (0..2048).map(|k| k * 16).collect(),
            (0..320).collect(),
        )
        .timed(),
    ]
}
