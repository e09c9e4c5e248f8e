//! The steps of a layer whose gates are in memory at once: all steps, or one span of steps after another.
//!
//! By default a layer keeps the gates `[T, B, 4H]`, the cells `[T+1, B, H]` and, with a projection, its input `[T, B, H]` of
//! all steps until its backward pass. To save memory, the steps are divided into spans ([`Spans::divided`]). Then the forward
//! pass keeps only the cells between spans, `[B, H]` each, and `h`. The backward pass takes the last span first; it recomputes
//! the gates, cells and outputs of a span ([`Span::recomputed`]) and is done with them before the next span.
//!
//! The recomputed numbers are the same. But gradients of weights are then summed span by span, starting with the last, and
//! differ by rounding from sums over all steps at once. With a single span they do not differ in `f32`, unless products run in
//! pieces ([`Limits::multiprocessors`](crate::graph::memory::Limits::multiprocessors)): the recurrent product of all steps at once
//! runs in fewer pieces. In mixed precision, it is also rounded to `f16` once more than that of a cell.

use std::ops::Range;

use super::blocks::Matrix;
use super::description::{Layer, Sizes};
use crate::graph::builder::Builder;
use crate::graph::plan::Slice;

/// Steps from `first` on, with their tensors.
pub(super) struct Span {
    /// The number of the span, where there are several.
    pub number: Option<usize>,
    /// The first step.
    pub first: usize,
    /// The number of steps.
    pub count: usize,
    /// The cells `[B, H]` before each step and after the last.
    pub c: Vec<Slice>,
    /// `[count, B, 4H]`: gates, later gradients of their pre-activations.
    pub z: Slice,
    /// `[count, B, H]`: outputs before the projection.
    pub m: Slice,
}

/// A layer, as its spans need it.
#[derive(Clone, Copy)]
pub(super) struct Spans<'a> {
    /// The prefix of their tensors.
    pub layer: &'a str,
    pub sizes: Sizes,
    /// `[T+1, B, P]`: the state before, then the outputs.
    pub h: Slice,
    /// Whether there is a projection; else the outputs before the projection are `h` itself.
    pub projected: bool,
    /// Where the cell state after the last time step is written; `None`: in an activation.
    pub last: Option<Slice>,
}

impl<'a> Spans<'a> {
    /// Those of a layer with the outputs `h`.
    pub fn of(layer: &'a Layer, sizes: Sizes, h: Slice) -> Spans<'a> {
        Spans {
            layer: &layer.name,
            sizes,
            h,
            projected: layer.projection.is_some(),
            last: None,
        }
    }

    /// One span of all steps, everything kept.
    pub fn whole(&self, builder: &mut Builder) -> Span {
        let Sizes {
            hidden,
            batch,
            unroll,
            ..
        } = self.sizes;
        let kept = unroll + usize::from(self.last.is_none());
        let c = builder.activation(&named(self.layer, "c", None), [kept, batch, hidden]);
        let z = builder.stored(&named(self.layer, "z", None), [unroll, batch, 4 * hidden]);
        let m = if self.projected {
            builder.stored(&named(self.layer, "m", None), [unroll, batch, hidden])
        } else {
            self.outputs(0, unroll)
        };
        Span {
            number: None,
            first: 0,
            count: unroll,
            c: (0..kept)
                .map(|t| c.chunk(t, kept))
                .chain(self.last)
                .collect(),
            z,
            m,
        }
    }

    /// Spans of about this many rows each: as many steps as have that many rows of `B` each, divided as evenly as possible.
    pub fn divided(&self, builder: &mut Builder, rows: usize) -> Vec<Span> {
        let Sizes {
            hidden,
            batch,
            unroll,
            ..
        } = self.sizes;
        let most = (rows / batch).clamp(1, unroll);
        let spans = unroll.div_ceil(most);
        let first = |k: usize| k * unroll / spans;
        let between: Vec<Slice> = (0..=spans)
            .map(|k| match self.last {
                Some(last) if k == spans => last,
                _ => {
                    let name = named(self.layer, "c.before", Some(k));
                    builder.activation(&name, [batch, hidden])
                }
            })
            .collect();
        let span = |k: usize| {
            let (first, count) = (first(k), first(k + 1) - first(k));
            let steps = Steps {
                number: k,
                first,
                count,
                before: between[k],
                after: between[k + 1],
            };
            let m = (!self.projected).then(|| self.outputs(first, count));
            Span::new(builder, self.layer, &self.sizes, steps, m)
        };
        (0..spans).map(span).collect()
    }

    /// The outputs of `count` steps from `first` on.
    fn outputs(&self, first: usize, count: usize) -> Slice {
        let width = self.sizes.batch * self.sizes.output;
        self.h.part((first + 1) * width, count * width)
    }
}

/// The steps of a new span, and the cells that it begins and ends with.
struct Steps {
    number: usize,
    first: usize,
    count: usize,
    before: Slice,
    after: Slice,
}

impl Span {
    /// Tensors for the gates and the inner cells, and for the outputs unless they are `m`.
    fn new(
        builder: &mut Builder,
        layer: &str,
        sizes: &Sizes,
        steps: Steps,
        m: Option<Slice>,
    ) -> Span {
        let Sizes { hidden, batch, .. } = *sizes;
        let Steps { first, count, .. } = steps;
        let name = |what| named(layer, what, Some(steps.number));
        let z = builder.stored(&name("z"), [count, batch, 4 * hidden]);
        let m = m.unwrap_or_else(|| builder.stored(&name("m"), [count, batch, hidden]));
        let mut c = vec![steps.before];
        if count > 1 {
            let inner = builder.activation(&name("c"), [count - 1, batch, hidden]);
            c.extend((0..count - 1).map(|t| inner.chunk(t, count - 1)));
        }
        c.push(steps.after);
        Span {
            number: Some(steps.number),
            first,
            count,
            c,
            z,
            m,
        }
    }

    /// The same steps with tensors of the backward pass. The cells before and after are those of the forward pass.
    pub fn recomputed(&self, builder: &mut Builder, spans: &Spans<'_>) -> Span {
        let steps = Steps {
            number: self.number.unwrap_or(0),
            first: self.first,
            count: self.count,
            before: self.c[0],
            after: self.c[self.count],
        };
        let layer = format!("{}.recomputed", spans.layer);
        let m = (!spans.projected).then_some(self.m);
        Span::new(builder, &layer, &spans.sizes, steps, m)
    }

    /// The numbers of its steps.
    pub fn steps(&self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// The gates of step `t`, `[B, 4H]`.
    pub fn gates(&self, t: usize) -> Slice {
        self.z.chunk(t - self.first, self.count)
    }

    /// The cells `[B, H]` before step `t`.
    pub fn c_before(&self, t: usize) -> Slice {
        self.c[t - self.first]
    }

    /// The cells `[B, H]` after step `t`.
    pub fn c_after(&self, t: usize) -> Slice {
        self.c[t - self.first + 1]
    }

    /// The outputs before the projection of step `t`, `[B, H]`.
    pub fn output(&self, t: usize) -> Slice {
        self.m.chunk(t - self.first, self.count)
    }

    /// The rows of its steps in a tensor `[T*B, width]`.
    pub fn rows(&self, slice: Slice, width: usize, sizes: &Sizes) -> Matrix {
        let step = slice.len / sizes.unroll;
        Matrix::new(slice.part(self.first * step, self.count * step), width)
    }
}

/// The name of a tensor of a layer, or of one of its spans.
pub(super) fn named(layer: &str, what: &str, span: Option<usize>) -> String {
    match span {
        Some(k) => format!("{layer}.{what}.{k}"),
        None => format!("{layer}.{what}"),
    }
}
