//! Updates of parameters: whole arrays, or the rows of a row index alone.
//!
//! What may change from step to step is in the input `control [6]`: the learning rate, the largest joint norm that is not
//! clipped (0: none), the decay of the moving average, Adam's two corrections, what multiplies the clipped gradients first.

use crate::kernel::{Case, Fill, Kernel, Params, vectorised};
use crate::kernels::embedding::rows::row_index;
use crate::kernels::parallel::GRAIN;
use crate::real::Real;

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
    /// Updates the arrays, element by element, with as many elements of the gradient.
    fn update(&self, arrays: [&mut [R]; N], gradient: &[R]);
}

/// What multiplies the gradient: the factor that [`super::reduce::norm`] found, or 1.
fn clip_factor<R: Real>(clipped: u32, norm: &[R]) -> R {
    if clipped != 0 { norm[1] } else { R::ONE }
}

/// Applies `rule` to everything, or to the rows that a row index names.
fn update<R: Real, const N: usize>(
    mut arrays: [&mut [R]; N],
    gradient: &[R],
    sparse: Option<&[u32]>,
    width: usize,
    rule: &impl Update<R, N>,
) {
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
    match sparse {
        None => share(arrays, gradient, rule),
        Some(rows) => {
            let ids = &rows[1..=rows[0] as usize];
            share_rows(arrays, gradient, ids, 0, width, rule);
        }
    }
}

/// Halves everything until a thread has enough with it.
fn share<const N: usize>(
    mut arrays: [&mut [f32]; N],
    gradient: &[f32],
    rule: &impl Update<f32, N>,
) {
    if gradient.len() <= GRAIN {
        return vectorised(
            #[inline(always)]
            || rule.update(arrays, gradient),
        );
    }
    let middle = gradient.len() / 2;
    let upper = split_off(&mut arrays, middle);
    let (gradient, upper_gradient) = gradient.split_at(middle);
    rayon::join(
        || share(arrays, gradient, rule),
        || share(upper, upper_gradient, rule),
    );
}

/// Halves the list of rows until a thread has enough with them. Ids ascend, so the arrays can be split between two.
fn share_rows<const N: usize>(
    mut arrays: [&mut [f32]; N],
    gradient: &[f32],
    ids: &[u32],
    base: usize,
    width: usize,
    rule: &impl Update<f32, N>,
) {
    if ids.len() < 2 || ids.len() * width <= GRAIN {
        return vectorised(
            #[inline(always)]
            || update_rows(&mut arrays, gradient, ids, base, width, rule),
        );
    }
    let (lower_ids, upper_ids) = ids.split_at(ids.len() / 2);
    let upper_base = upper_ids[0] as usize;
    let upper = split_off(&mut arrays, (upper_base - base) * width);
    let (gradient, upper_gradient) = gradient.split_at(lower_ids.len() * width);
    rayon::join(
        || share_rows(arrays, gradient, lower_ids, base, width, rule),
        || share_rows(upper, upper_gradient, upper_ids, upper_base, width, rule),
    );
}

/// Leaves the elements before `middle` in the arrays and gives the others.
fn split_off<'a, const N: usize>(
    arrays: &mut [&'a mut [f32]; N],
    middle: usize,
) -> [&'a mut [f32]; N] {
    arrays.each_mut().map(|array| {
        let (lower, upper) = std::mem::take(array).split_at_mut(middle);
        *array = lower;
        upper
    })
}

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
            rows: vec![0],
        };
        let sparse = |label, vocabulary, width, clipped, ids: Vec<u32>| Sizes {
            label,
            vocabulary,
            capacity: ids.len(),
            width,
            sparse: true,
            clipped,
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
            Fill::Values(vec![2.5, 0.375]),
        ]);
        Case::new(self.label, params, 3, buffers)
    }
}
