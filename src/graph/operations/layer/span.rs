//! The steps of a layer whose gates exist at once: all of them, or some after the other.
//!
//! By default a layer keeps the gates `[T, B, 4H]`, the cells `[T+1, B, H]` and, with a projection, its input `[T, B, H]` of
//! all steps until its backward pass. To save memory the steps are divided into spans ([`parts`]): of the forward pass only
//! the cells between spans are kept, `[B, H]` each, and `h`. The backward pass takes the spans last one first, makes gates,
//! cells and outputs of each again ([`Span::again`]) and has used them up before the next: what it adds up are the same
//! numbers, but gradients of weights are then sums over the last span, then the one before it, and so on, and differ from
//! those over all steps at once by rounding. With a single span they do not differ in `f32`, unless products go in pieces
//! ([`Limits::workgroups`](crate::graph::memory::Limits::workgroups)): the recurrent ones of all steps at once go in fewer.

use std::ops::Range;

use super::Sizes;
use crate::graph::builder::Builder;
use crate::graph::plan::Slice;

/// Steps from `first` on, and what is there of them.
pub(super) struct Span {
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

/// What a layer calls a tensor, and that of a span.
pub(super) fn named(layer: &str, what: &str, span: Option<usize>) -> String {
    match span {
        Some(k) => format!("{layer}.{what}.{k}"),
        None => format!("{layer}.{what}"),
    }
}

/// All steps, everything kept. Without a projection the outputs are `h` itself.
pub(super) fn whole(
    builder: &mut Builder,
    layer: &str,
    sizes: &Sizes,
    (h, projected): (Slice, bool),
) -> Span {
    let Sizes {
        hidden,
        batch,
        unroll,
        ..
    } = *sizes;
    let c = builder.activation(&named(layer, "c", None), [unroll + 1, batch, hidden]);
    let z = builder.stored(&named(layer, "z", None), [unroll, batch, 4 * hidden]);
    let m = match projected {
        true => builder.stored(&named(layer, "m", None), [unroll, batch, hidden]),
        false => h.part(batch * hidden, unroll * batch * hidden),
    };
    Span {
        first: 0,
        count: unroll,
        c: (0..=unroll).map(|t| c.chunk(t, unroll + 1)).collect(),
        z,
        m,
    }
}

/// Spans of about so many rows: as many steps each as that takes of `batch` rows, and as even as can be.
pub(super) fn parts(
    builder: &mut Builder,
    layer: &str,
    sizes: &Sizes,
    (h, projected): (Slice, bool),
    rows: usize,
) -> Vec<Span> {
    let Sizes {
        hidden,
        batch,
        unroll,
        ..
    } = *sizes;
    let most = (rows / batch).clamp(1, unroll);
    let spans = unroll.div_ceil(most);
    let first = |k: usize| k * unroll / spans;
    let between: Vec<Slice> = (0..=spans)
        .map(|k| builder.activation(&named(layer, "c.before", Some(k)), [batch, hidden]))
        .collect();
    let width = batch * hidden;
    (0..spans)
        .map(|k| {
            let (first, count) = (first(k), first(k + 1) - first(k));
            let m = (!projected).then(|| h.part((first + 1) * width, count * width));
            let ends = (between[k], between[k + 1]);
            Span::made(builder, layer, (sizes, k), (first, count), ends, m)
        })
        .collect()
}

impl Span {
    /// Gates, cells between `ends` and, unless they are somewhere, outputs of span `k`.
    fn made(
        builder: &mut Builder,
        layer: &str,
        (sizes, k): (&Sizes, usize),
        (first, count): (usize, usize),
        (before, after): (Slice, Slice),
        m: Option<Slice>,
    ) -> Span {
        let Sizes { hidden, batch, .. } = *sizes;
        let name = |what| named(layer, what, Some(k));
        let z = builder.stored(&name("z"), [count, batch, 4 * hidden]);
        let m = m.unwrap_or_else(|| builder.stored(&name("m"), [count, batch, hidden]));
        let mut c = vec![before];
        if count > 1 {
            let inner = builder.activation(&name("c"), [count - 1, batch, hidden]);
            c.extend((0..count - 1).map(|t| inner.chunk(t, count - 1)));
        }
        c.push(after);
        Span {
            first,
            count,
            c,
            z,
            m,
        }
    }

    /// The same steps, in memory of the backward pass. The cells before and after are those of the forward pass.
    pub fn again(
        &self,
        builder: &mut Builder,
        layer: &str,
        (sizes, k): (&Sizes, usize),
        projected: bool,
    ) -> Span {
        let ends = (self.c[0], self.c[self.count]);
        let m = (!projected).then_some(self.m);
        let layer = format!("{layer}.again");
        let steps = (self.first, self.count);
        Span::made(builder, &layer, (sizes, k), steps, ends, m)
    }

    /// Its steps.
    pub fn steps(&self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// The gates of step `t`.
    pub fn gates(&self, t: usize) -> Slice {
        self.z.chunk(t - self.first, self.count)
    }

    /// The cells before and after step `t`.
    pub fn cells(&self, t: usize) -> (Slice, Slice) {
        (self.c[t - self.first], self.c[t - self.first + 1])
    }

    /// The outputs before the projection of step `t`.
    pub fn output(&self, t: usize) -> Slice {
        self.m.chunk(t - self.first, self.count)
    }

    /// Its rows of a tensor `[T*B, any]`.
    pub fn rows(&self, slice: Slice, sizes: &Sizes) -> Slice {
        let step = slice.len / sizes.unroll;
        slice.part(self.first * step, self.count * step)
    }
}
