//! Updates of parameters: whole arrays, or the rows of a row index alone.
//!
//! What may change from step to step is in the input `control [7]`: the learning rate, the largest joint norm that is not
//! clipped (0: none), the decay of the moving average, Adam's two corrections, what multiplies the clipped gradients first,
//! and what multiplies the loss where that is constant: 1.

use crate::kernel::{Case, CutRows, Excess, Fill, Kernel, MAX_BINDINGS, Params, vectorised};
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

/// What a step updates, and with what: everything with a gradient of as many elements, or rows of a table with the rows of a
/// gradient that have their ids in a row index.
#[derive(Clone, Copy)]
struct Window {
    /// Rows of the gradient.
    capacity: u32,
    width: u32,
    sparse: bool,
    /// The number of the first row of the gradient in the row index.
    first: u32,
    /// The first id of the rows of the table.
    base: u32,
    /// Rows of the table.
    window: u32,
}

impl Window {
    /// A step with so many arrays before its gradient in two parts.
    fn cut(self, arrays: usize, excess: &Excess<'_>) -> Option<(CutRows, [Window; 2])> {
        let width = self.width as usize;
        let mut widths = [0; MAX_BINDINGS];
        if !self.sparse {
            widths[..=arrays].fill(1);
            let cut = excess.rows(self.capacity as usize * width, &widths, 1)?;
            let parts = [cut.first, cut.second].map(|len| Window {
                capacity: len as u32,
                width: 1,
                ..self
            });
            return Some((cut, parts));
        }
        if excess.binding < arrays {
            widths[..arrays].fill(width);
            let cut = excess.rows(self.window as usize, &widths, 1)?;
            let (window, second) = (cut.first as u32, cut.second as u32);
            let base = self.base + window;
            let second = Window {
                base,
                window: second,
                ..self
            };
            return Some((cut, [Window { window, ..self }, second]));
        }
        widths[arrays] = width;
        let cut = excess.rows(self.capacity as usize, &widths, 1)?;
        let (capacity, second) = (cut.first as u32, cut.second as u32);
        let first = self.first + capacity;
        let second = Window {
            capacity: second,
            first,
            ..self
        };
        Some((cut, [Window { capacity, ..self }, second]))
    }

    /// The ids of its rows in a row index, and the gradients of these. Ids that do not ascend are all given.
    fn rows<'a, R>(&self, gradient: &'a [R], rows: &'a [u32]) -> (&'a [u32], &'a [R]) {
        let count = rows[0].saturating_sub(self.first).min(self.capacity) as usize;
        let ids = &rows[1 + self.first as usize..][..count];
        if !ids.is_sorted() {
            return (ids, gradient);
        }
        let begin = ids.partition_point(|&id| id < self.base);
        let end = ids
            .partition_point(|&id| u64::from(id) < u64::from(self.base) + u64::from(self.window));
        let width = self.width as usize;
        (&ids[begin..end], &gradient[begin * width..end * width])
    }
}

/// Applies `rule` to a window.
fn update<R: Real, const N: usize>(
    mut arrays: [&mut [R]; N],
    gradient: &[R],
    rows: &[u32],
    window: Window,
    rule: &impl Update<R, N>,
) {
    if rule.factor() == R::ZERO {
        return;
    }
    if window.sparse {
        let (ids, gradient) = window.rows(gradient, rows);
        let (base, width) = (window.base as usize, window.width as usize);
        update_rows(&mut arrays, gradient, ids, base, width, rule);
    } else {
        rule.update(arrays, gradient);
    }
}

/// Row `k` of the gradient updates row `ids[k] - base` of the arrays, if they have it.
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
        let Some(start) = (id as usize).checked_sub(base).map(|row| row * width) else {
            continue;
        };
        if start >= arrays[0].len() {
            continue;
        }
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
    rows: &[u32],
    window: Window,
    rule: &impl Update<f32, N>,
) {
    if rule.factor() == 0.0 {
        return;
    }
    if window.sparse {
        let (ids, gradient) = window.rows(gradient, rows);
        let (base, width) = (window.base as usize, window.width as usize);
        if !ids.is_sorted() {
            let mut arrays = arrays;
            vectorised(
                #[inline(always)]
                || update_rows(&mut arrays, gradient, ids, base, width, rule),
            );
            return;
        }
        share_rows(arrays, gradient, ids, base, width, rule);
    } else {
        share(arrays, gradient, rule);
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
    base: usize,
    width: usize,
    rule: &impl Update<f32, N>,
) {
    let list = Edges::even(ids.len(), 1, parts(ids.len() * width));
    let first = |k: usize| match k {
        0 => 0,
        _ => (ids[list[k]] as usize - base) * width,
    };
    let edges = Edges::new(arrays[0].len(), list.len() - 1, first);
    team::split(arrays, &edges, |k, mut arrays| {
        let (begin, end) = (list[k], list[k + 1]);
        let gradient = &gradient[begin * width..end * width];
        let base = base + edges[k] / width;
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

/// The label of the case in which an update is left out.
const NOT_FINITE: &str = "gradients that are not finite";

/// What the cases of every rule have in common.
struct Sizes {
    label: &'static str,
    /// Rows of the weights.
    vocabulary: usize,
    first: u32,
    base: u32,
    window: u32,
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
            first: 0,
            base: 0,
            window: capacity as u32,
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
            first: 0,
            base: 0,
            window: vocabulary as u32,
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
                first: 1,
                base: 5,
                window: 7,
                vocabulary: 7,
                capacity: 5,
                ..sparse(
                    "some rows of a table and of a gradient",
                    23,
                    33,
                    true,
                    vec![22, 3, 6, 6, 5, 11, 12, 4],
                )
            },
            Sizes {
                clip_factor: 0.0,
                ..dense(NOT_FINITE, 5, 13, true)
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
        let gradient = match self.label == NOT_FINITE {
            // Nothing times infinity is no number.
            true => Fill::Values(vec![f32::INFINITY; self.capacity * self.width]),
            false => Fill::signed(self.capacity * self.width),
        };
        buffers.extend([
            gradient,
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
