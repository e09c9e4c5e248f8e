//! The cases of a kernel, for tests and timing.

use super::params::Params;

/// The contents of a binding before a case runs.
#[derive(Clone, Debug)]
pub enum Fill {
    /// `len` reals, uniform in `[low, high)`.
    Uniform {
        /// Elements.
        len: usize,
        /// Lower bound.
        low: f32,
        /// Upper bound.
        high: f32,
    },
    /// These reals.
    Values(Vec<f32>),
    /// These indices.
    Indices(Vec<u32>),
    /// An output of this many reals. It is filled with NaN before the case runs, so that elements that are not
    /// written are detected.
    Output(usize),
}

impl Fill {
    /// `len` reals in `[-1, 1)`.
    pub fn signed(len: usize) -> Fill {
        Fill::Uniform {
            len,
            low: -1.0,
            high: 1.0,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Fill::Uniform { len, .. } | Fill::Output(len) => *len,
            Fill::Values(values) => values.len(),
            Fill::Indices(indices) => indices.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One case of a kernel, for the tests of parity and contract, and for timing.
#[derive(Clone, Debug)]
pub struct Case {
    /// A few words that describe it.
    pub label: &'static str,
    /// The params.
    pub params: Box<[u32]>,
    /// One for each binding, in order.
    pub buffers: Vec<Fill>,
    /// The number of terms of the longest sum in an output element; 1 for a kernel without sums. It determines the
    /// [tolerance](Case::tolerance).
    pub reduction: usize,
    /// Whether it is large enough to be timed.
    pub timed: bool,
    /// The tolerance of each result in roundings (units of [`f32::EPSILON`]), relative to the result: for functions that are
    /// accurate to the last digits even where they are small. None: see [`Case::tolerance`].
    pub roundings: Option<f64>,
}

impl Case {
    /// A case whose outputs are sums of at most `reduction` terms; 1 for a kernel without sums.
    pub fn new(
        label: &'static str,
        params: &impl Params,
        reduction: usize,
        buffers: Vec<Fill>,
    ) -> Case {
        Case::of_raw(label, params.to_raw(), reduction, buffers)
    }

    /// The same with params as a step stores them.
    pub fn of_raw(
        label: &'static str,
        params: Box<[u32]>,
        reduction: usize,
        buffers: Vec<Fill>,
    ) -> Case {
        Case {
            label,
            params,
            buffers,
            reduction,
            timed: false,
            roundings: None,
        }
    }

    /// The same case with a tolerance of `roundings`, relative to each result.
    pub fn relative(self, roundings: f64) -> Case {
        Case {
            roundings: Some(roundings),
            ..self
        }
    }

    /// The same case, to be timed.
    pub fn timed(self) -> Case {
        Case {
            timed: true,
            ..self
        }
    }

    /// The error of a result against the reference: `|got - want| / (1 + |want|)`, or `|got - want| / |want|` with
    /// [`Case::roundings`].
    pub fn error(&self, got: f64, want: f64) -> f64 {
        let scale = match self.roundings {
            Some(_) => want.abs().max(f64::from(f32::MIN_POSITIVE)),
            None => 1.0 + want.abs(),
        };
        (got - want).abs() / scale
    }

    /// The largest [error](Case::error) allowed: `EPSILON * (16 + 4 sqrt(n) + n / 8)` with `n` the
    /// [`reduction`](Case::reduction) and [`f32::EPSILON`], or `EPSILON * roundings` with [`Case::roundings`].
    ///
    /// The first formula is sixteen roundings, plus the largest error of a sum of `n` terms of order one whose signs vary. A
    /// running sum of such terms is itself of order `sqrt(n)`, so its `n` roundings together are of order `n`, with a small
    /// factor.
    pub fn tolerance(&self) -> f64 {
        let epsilon = f64::from(f32::EPSILON);
        if let Some(roundings) = self.roundings {
            return epsilon * roundings;
        }
        let terms = self.reduction as f64;
        epsilon * (16.0 + 4.0 * terms.sqrt() + terms / 8.0)
    }

    /// The same for results that are rounded to `f16`, once.
    pub fn tolerance_of_half(&self) -> f64 {
        self.tolerance() + f64::from(f32::EPSILON) * f64::from(1 << 12)
    }
}
