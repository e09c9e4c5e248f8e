//! Updates of parameters: whole arrays, or the rows of a row index alone.
//!
//! What may change from step to step is in the input `control [7]`: the learning rate, the largest joint norm that is not
//! clipped (0: none), the decay of the moving average, Adam's two corrections, what multiplies the clipped gradients first,
//! and what multiplies the loss where that is constant: 1.

use crate::kernel::{Case, Fill, Kernel, Params, vectorised};
use crate::kernels::embedding::rows::row_index;
use crate::kernels::parallel::GRAIN;
use crate::real::Real;
use crate::team::{self, Edges};

pub mod adagrad;
pub mod adam;
pub mod momentum;
pub mod moving_average;
pub mod sgd;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[
    &sgd::KERNEL,
    &momentum::KERNEL,
    &adagrad::KERNEL,
    &adam::KERNEL,
    &moving_average::KERNEL,
];

/// How a rule changes weights and their state, `N` arrays of equal length with the weights first.
trait Update<R, const N: usize>: Sync {
    /// What multiplies the gradient.
    fn factor(&self) -> R;

    /// Updates the arrays, element by element, with as many elements of the gradient.
    fn update(&self, arrays: [&mut [R]; N], gradient: &[R]);
}

/// What multiplies the gradient: one of the factors that [`super::reduce::norm`] found. 0: nothing is updated.
fn clip_factor<R: Real>(clipped: u32, norm: &[R]) -> R {
    if clipped != 0 { norm[1] } else { norm[2] }
}

/// Applies `rule` to everything, or to the rows that a row index names.
fn update<R: Real, const N: usize>(
    mut arrays: [&mut [R]; N],
    gradient: &[R],
    sparse: Option<&[u32]>,
    width: usize,
    rule: &impl Update<R, N>,
) {
    if rule.factor() == R::ZERO {
        return;
    }
    match sparse {
        None => rule.update(arrays, gradient),
        Some(rows) => {
            let ids = &rows[1..=rows[0] as usize];
            update_rows(&mut arrays, gradient, ids, 0, width, rule);
        }
    }
}

/// Row `k` of the gradient updates row `ids[k] - base` of the arrays.
#[inline(always)]
fn update_rows<R: Real, const N: usize>(
    arrays: &mut [&mut [R]; N],
    gradient: &[R],
    ids: &[u32],
    base: usize,
    width: usize,
    rule: &impl Update<R, N>,
) {
    for (&id, gradient) in ids.iter().zip(gradient.chunks_exact(width)) {
        let start = (id as usize - base) * width;
        let row = arrays
            .each_mut()
            .map(|array| &mut array[start..start + width]);
        rule.update(row, gradient);
    }
}

/// The same as [`update`] on all threads. No element depends on another, so neither does any on how they are shared.
fn update_parallel<const N: usize>(
    arrays: [&mut [f32]; N],
    gradient: &[f32],
    sparse: Option<&[u32]>,
    width: usize,
    rule: &impl Update<f32, N>,
) {
    if rule.factor() == 0.0 {
        return;
    }
    match sparse {
        None => share(arrays, gradient, rule),
        Some(rows) => {
            let ids = &rows[1..=rows[0] as usize];
            share_rows(arrays, gradient, ids, width, rule);
        }
    }
}

/// Everything, in parts.
fn share<const N: usize>(arrays: [&mut [f32]; N], gradient: &[f32], rule: &impl Update<f32, N>) {
    let edges = Edges::even(gradient.len(), 16, parts(gradient.len()));
    team::split(arrays, &edges, |k, arrays| {
        let gradient = &gradient[edges[k]..edges[k + 1]];
        vectorised(
            #[inline(always)]
            || rule.update(arrays, gradient),
        );
    });
}

/// The rows that are listed, in parts. Ids ascend, so the arrays can be cut before the first row of each part.
fn share_rows<const N: usize>(
    arrays: [&mut [f32]; N],
    gradient: &[f32],
    ids: &[u32],
    width: usize,
    rule: &impl Update<f32, N>,
) {
    let list = Edges::even(ids.len(), 1, parts(ids.len() * width));
    let first = |k: usize| match k {
        0 => 0,
        _ => ids[list[k]] as usize * width,
    };
    let edges = Edges::new(arrays[0].len(), list.len() - 1, first);
    team::split(arrays, &edges, |k, mut arrays| {
        let (begin, end) = (list[k], list[k + 1]);
        let gradient = &gradient[begin * width..end * width];
        let base = edges[k] / width;
        vectorised(
            #[inline(always)]
            || update_rows(&mut arrays, gradient, &ids[begin..end], base, width, rule),
        );
    });
}

/// Parts of so many elements: several a thread, so that none waits long for another.
fn parts(elements: usize) -> usize {
    (elements / GRAIN).clamp(1, 4 * team::threads())
}

/// The label of the case that is timed.
const OF_THE_BENCH_MODEL: &str = "dense, of the bench model";

/// What the cases of every rule have in common.
struct Sizes {
    label: &'static str,
    /// Rows of the weights.
    vocabulary: usize,
    /// Rows of the gradient.
    capacity: usize,
    width: usize,
    sparse: bool,
    clipped: bool,
    /// The factor of clipped gradients.
    clip_factor: f32,
    rows: Vec<u32>,
}

impl Sizes {
    fn all() -> Vec<Sizes> {
        let dense = |label, capacity, width, clipped| Sizes {
            label,
            vocabulary: capacity,
            capacity,
            width,
            sparse: false,
            clipped,
            clip_factor: 0.375,
            rows: vec![0],
        };
        let sparse = |label, vocabulary, width, clipped, ids: Vec<u32>| Sizes {
            label,
            vocabulary,
            capacity: ids.len(),
            width,
            sparse: true,
            clipped,
            clip_factor: 0.375,
            rows: row_index(&ids),
        };
        vec![
            dense("one element", 1, 1, false),
            dense("dense, clipped", 67, 13, true),
            dense("dense, more than one task", 3, 13_337, false),
            sparse("one row", 5, 7, false, vec![4]),
            sparse(
                "fewer rows than sources",
                23,
                33,
                true,
                vec![22, 0, 7, 7, 0],
            ),
            sparse(
                "sparse, more than one task",
                301,
                257,
                false,
                (0..131).map(|k| k * k % 301).collect(),
            ),
            Sizes {
                clip_factor: 0.0,
                ..dense("gradients that are not finite", 5, 13, true)
            },
            dense(OF_THE_BENCH_MODEL, 1024, 256, true),
        ]
    }

    /// The case of these sizes: a range for each array of the state, and what `control` holds.
    fn case(&self, params: &impl Params, states: &[(f32, f32)], control: &[f32]) -> Case {
        let len = self.vocabulary * self.width;
        let mut buffers = vec![Fill::signed(len)];
        buffers.extend(
            states
                .iter()
                .map(|&(low, high)| Fill::Uniform { len, low, high }),
        );
        buffers.extend([
            Fill::signed(self.capacity * self.width),
            Fill::Indices(self.rows.clone()),
            Fill::Values(control.to_vec()),
            Fill::Values(vec![2.5, self.clip_factor, 0.75]),
        ]);
        let case = Case::new(self.label, params, 3, buffers);
        if self.label == OF_THE_BENCH_MODEL {
            case.timed()
        } else {
            case
        }
    }
}
