//! The cases of every optimizer.

use super::params::Params;
use crate::kernel::{Case, Fill};
use crate::kernels::embedding::rows::row_index;
use crate::kernels::optimizer::control;

/// The label of the case that is timed.
const TIMED: &str = "dense, of the bench model";

/// The label of the case that updates nothing.
const NOT_FINITE: &str = "gradients that are not finite";

/// The parts of a case that do not depend on the optimizer.
struct Sizes {
    label: &'static str,
    /// Rows of weights and states.
    vocabulary: usize,
    params: Params,
    /// `norm[1]`.
    clip_factor: f32,
    rows: Vec<u32>,
}

/// The cases of an optimizer: `constants` of its rule, a range for the elements of each state, and the contents of `control`.
pub(crate) fn cases(constants: &[f32], states: &[(f32, f32)], control: &[f32]) -> Vec<Case> {
    let case = |sizes: Sizes| {
        let (params, len) = (sizes.params, sizes.vocabulary * sizes.params.width as usize);
        let mut buffers = vec![Fill::signed(len)];
        let ranges = states.iter();
        buffers.extend(ranges.map(|&(low, high)| Fill::Uniform { len, low, high }));
        let gradient = (params.capacity * params.width) as usize;
        buffers.extend([
            if sizes.label == NOT_FINITE {
                // 0 times infinity is NaN.
                Fill::Values(vec![f32::INFINITY; gradient])
            } else {
                Fill::signed(gradient)
            },
            Fill::Indices(sizes.rows),
            Fill::Values(control.to_vec()),
            Fill::Values(vec![2.5, sizes.clip_factor, 0.75]),
        ]);
        Case {
            timed: sizes.label == TIMED,
            ..Case::of_raw(sizes.label, params.with_constants(constants), 3, buffers)
        }
    };
    sizes().into_iter().map(case).collect()
}

/// The cases of a kernel that also updates the moving average, the copy in `f16`, or both: those of dense parameters among the
/// cases of the kernel of all rows.
pub(crate) fn dense_cases(mut cases: Vec<Case>, averages: bool, rounds: bool) -> Vec<Case> {
    cases.retain(|case| Params::and_constants::<0>(&case.params).0.sparse == 0);
    for case in &mut cases {
        let rows = case.buffers.len() - 3;
        case.buffers.remove(rows);
        if let Fill::Values(control) = &mut case.buffers[rows] {
            control.resize(control::LEN, 0.0);
            control[control::EMA_DECAY] = 0.875;
        }
        let len = case.buffers[0].len();
        if averages {
            case.buffers.push(Fill::signed(len));
        }
        if rounds {
            case.buffers.push(Fill::Output(len));
        }
    }
    cases
}

fn dense(label: &'static str, capacity: u32, width: u32, clipped: bool) -> Sizes {
    Sizes {
        label,
        vocabulary: capacity as usize,
        params: Params {
            capacity,
            width,
            sparse: 0,
            first: 0,
            base: 0,
            window: capacity,
            clipped: clipped.into(),
        },
        clip_factor: 0.375,
        rows: vec![0],
    }
}

fn sparse(label: &'static str, vocabulary: u32, width: u32, clipped: bool, ids: &[u32]) -> Sizes {
    let whole = dense(label, vocabulary, width, clipped);
    Sizes {
        params: Params {
            capacity: ids.len() as u32,
            sparse: 1,
            ..whole.params
        },
        rows: row_index(ids),
        ..whole
    }
}

fn sizes() -> Vec<Sizes> {
    let many: Vec<u32> = (0..131).map(|k| k * k % 301).collect();
    let label = "some rows of a table and of a gradient";
    let window = sparse(label, 7, 33, true, &[22, 3, 6, 6, 5, 11, 12, 4]);
    vec![
        dense("one element", 1, 1, false),
        dense("dense, clipped", 67, 13, true),
        dense("dense, more than one task", 3, 13_337, false),
        sparse("one row", 5, 7, false, &[4]),
        sparse("fewer rows than sources", 23, 33, true, &[22, 0, 7, 7, 0]),
        sparse("sparse, more than one task", 301, 257, false, &many),
        Sizes {
            params: Params {
                capacity: 5,
                first: 1,
                base: 5,
                ..window.params
            },
            ..window
        },
        Sizes {
            clip_factor: 0.0,
            ..dense(NOT_FINITE, 5, 13, true)
        },
        dense(TIMED, 1024, 256, true),
    ]
}
