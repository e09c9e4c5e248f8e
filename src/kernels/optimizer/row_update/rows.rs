//! The loop over rows on the CPU: in order, and on all threads.

use super::params::Params;
use crate::kernels::optimizer::moving_average::average_in;
use crate::kernels::parallel::{self, GRAIN, vectorized};
use crate::real::Real;
use crate::team::{self, Bounds};

/// The rule of an optimizer for one element, with `STATES` states and `CONSTANTS` constants.
pub(crate) trait Rule<R, const STATES: usize, const CONSTANTS: usize>: Copy + Sync {
    /// The rule of a step.
    fn new(constants: [R; CONSTANTS], control: &[R]) -> Self;

    /// The new weight and the new states of an element with the gradient `g`.
    fn update(&self, weight: R, states: [R; STATES], g: R) -> (R, [R; STATES]);
}

/// The slices and sizes of one step.
pub(super) struct Update<'a, R, const STATES: usize> {
    pub(super) params: Params,
    pub(super) weight: &'a mut [R],
    pub(super) states: [&'a mut [R]; STATES],
    pub(super) gradient: &'a [R],
    /// Of a sparse step.
    pub(super) rows: Option<&'a [u32]>,
    pub(super) norm: &'a [R],
    /// The decay of the moving average, and its elements.
    pub(super) average: Option<(R, &'a mut [R])>,
    /// The copy of the weight.
    pub(super) rounded: Option<&'a mut [R]>,
}

/// A contiguous part of weights and states, with the id of its first row.
struct Stretch<'a, R, const STATES: usize> {
    weight: &'a mut [R],
    states: [&'a mut [R]; STATES],
    base: usize,
    width: usize,
}

impl<R: Real, const STATES: usize> Update<'_, R, STATES> {
    /// The factor of the gradient. 0: nothing is updated.
    fn factor(&self) -> R {
        if self.params.clipped != 0 {
            self.norm[1]
        } else {
            self.norm[2]
        }
    }

    /// Updates everything in order.
    pub(super) fn run<const CONSTANTS: usize>(mut self, rule: impl Rule<R, STATES, CONSTANTS>) {
        let factor = self.factor();
        if factor != R::ZERO {
            match self.touched() {
                None => {
                    let states = self.states.each_mut().map(|state| &mut **state);
                    elements(self.weight, states, self.gradient, factor, rule);
                }
                Some((ids, gradient)) => self.stretch().update(ids, gradient, factor, rule),
            }
        }
        if let Some((decay, average)) = self.average {
            average_in(decay, self.weight, average);
        }
        if let Some(rounded) = self.rounded {
            rounded.copy_from_slice(self.weight);
        }
    }
}

impl<'a, R, const STATES: usize> Update<'a, R, STATES> {
    /// Of a sparse step: see [`Params::touched`].
    fn touched(&self) -> Option<(&'a [u32], &'a [R])> {
        let rows = self.rows?;
        Some(self.params.touched(self.gradient, rows))
    }

    fn stretch(&mut self) -> Stretch<'_, R, STATES> {
        Stretch {
            weight: self.weight,
            states: self.states.each_mut().map(|state| &mut **state),
            base: self.params.base as usize,
            width: self.params.width as usize,
        }
    }
}

impl<const STATES: usize> Update<'_, f32, STATES> {
    /// The same on all threads. No element depends on another, so the result does not depend on the division.
    pub(super) fn run_parallel<const CONSTANTS: usize>(
        mut self,
        rule: impl Rule<f32, STATES, CONSTANTS>,
    ) {
        let factor = self.factor();
        if factor != 0.0 {
            self.update_parallel(factor, rule);
        }
        if let Some((decay, average)) = self.average {
            let weight = &*self.weight;
            parallel::elements(
                average,
                #[inline(always)]
                |first, average| average_in(decay, &weight[first..], average),
            );
        }
        if let Some(rounded) = self.rounded {
            let weight = &*self.weight;
            parallel::elements(
                rounded,
                #[inline(always)]
                |first, rounded| rounded.copy_from_slice(&weight[first..first + rounded.len()]),
            );
        }
    }

    fn update_parallel<const CONSTANTS: usize>(
        &mut self,
        factor: f32,
        rule: impl Rule<f32, STATES, CONSTANTS>,
    ) {
        let Some((ids, gradient)) = self.touched() else {
            return self.divide_elements(factor, rule);
        };
        if ids.is_sorted() {
            return self.divide_rows(ids, gradient, factor, rule);
        }
        let mut stretch = self.stretch();
        vectorized(
            #[inline(always)]
            || stretch.update(ids, gradient, factor, rule),
        );
    }

    fn divide_elements<const CONSTANTS: usize>(
        &mut self,
        factor: f32,
        rule: impl Rule<f32, STATES, CONSTANTS>,
    ) {
        let gradient = self.gradient;
        let bounds = Bounds::even(gradient.len(), 16, parts(gradient.len()));
        let states = self.states.each_mut().map(|state| &mut **state);
        team::split(self.weight, states, &bounds, |k, weight, states| {
            let gradient = &gradient[bounds[k]..bounds[k + 1]];
            vectorized(
                #[inline(always)]
                || elements(weight, states, gradient, factor, rule),
            );
        });
    }

    /// Ids ascend, so weights and states can be divided before the first row of each part.
    fn divide_rows<const CONSTANTS: usize>(
        &mut self,
        ids: &[u32],
        gradient: &[f32],
        factor: f32,
        rule: impl Rule<f32, STATES, CONSTANTS>,
    ) {
        let (base, width) = (self.params.base as usize, self.params.width as usize);
        let list = Bounds::even(ids.len(), 1, parts(ids.len() * width));
        let first = |k: usize| {
            if k == 0 {
                0
            } else {
                (ids[list[k]] as usize - base) * width
            }
        };
        let bounds = Bounds::new(self.weight.len(), list.len() - 1, first);
        let states = self.states.each_mut().map(|state| &mut **state);
        team::split(self.weight, states, &bounds, |k, weight, states| {
            let (begin, end) = (list[k], list[k + 1]);
            let gradient = &gradient[begin * width..end * width];
            let mut stretch = Stretch {
                weight,
                states,
                base: base + bounds[k] / width,
                width,
            };
            vectorized(
                #[inline(always)]
                || stretch.update(&ids[begin..end], gradient, factor, rule),
            );
        });
    }
}

impl<R: Real, const STATES: usize> Stretch<'_, R, STATES> {
    /// Row `k` of the gradient updates the row with id `ids[k]`, if it is in the stretch.
    #[inline(always)]
    fn update<const CONSTANTS: usize>(
        &mut self,
        ids: &[u32],
        gradient: &[R],
        factor: R,
        rule: impl Rule<R, STATES, CONSTANTS>,
    ) {
        let width = self.width;
        for (&id, gradient) in ids.iter().zip(gradient.chunks_exact(width)) {
            let start = (id as usize).checked_sub(self.base).map(|row| row * width);
            let Some(start) = start.filter(|&start| start < self.weight.len()) else {
                continue;
            };
            let row = start..start + width;
            let weight = &mut self.weight[row.clone()];
            let states = self.states.each_mut().map(|state| &mut state[row.clone()]);
            elements(weight, states, gradient, factor, rule);
        }
    }
}

/// Updates weights and states, element by element, with as many elements of the gradient.
#[inline(always)]
fn elements<R: Real, const STATES: usize, const CONSTANTS: usize>(
    weight: &mut [R],
    states: [&mut [R]; STATES],
    gradient: &[R],
    factor: R,
    rule: impl Rule<R, STATES, CONSTANTS>,
) {
    let len = gradient.len();
    let (weight, states) = (&mut weight[..len], states.map(|state| &mut state[..len]));
    for k in 0..len {
        let state = std::array::from_fn(|n| states[n][k]);
        let (w, new) = rule.update(weight[k], state, factor * gradient[k]);
        weight[k] = w;
        for n in 0..STATES {
            states[n][k] = new[n];
        }
    }
}

/// The parts into which `elements` are divided: several for each thread, so that none waits long for another.
fn parts(elements: usize) -> usize {
    (elements / GRAIN).clamp(1, 4 * team::threads())
}

impl Params {
    /// The ids of the rows that a sparse step may update, and their gradients. Ids that do not ascend are all returned.
    fn touched<'a, R>(&self, gradient: &'a [R], rows: &'a [u32]) -> (&'a [u32], &'a [R]) {
        let count = rows[0].saturating_sub(self.first).min(self.capacity) as usize;
        let ids = &rows[1 + self.first as usize..][..count];
        if !ids.is_sorted() {
            return (ids, gradient);
        }
        let end = u64::from(self.base) + u64::from(self.window);
        let begin = ids.partition_point(|&id| id < self.base);
        let end = ids.partition_point(|&id| u64::from(id) < end);
        let width = self.width as usize;
        (&ids[begin..end], &gradient[begin * width..end * width])
    }
}
