//! The contents of a plot: its axes and its lines.

/// A line of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// The points `(x, y)`, with ascending x. Points that are not finite are not drawn.
    pub points: Vec<(f64, f64)>,
    /// The area around the line: points `(x, low, high)`, with ascending x. Empty for a line without one.
    pub band: Vec<(f64, f64, f64)>,
    /// Whether points are marked by circles.
    pub marked: bool,
}

/// How the numbers of an axis are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As numbers, with k, M or G.
    Number,
    /// As seconds, minutes or hours. The values are seconds.
    Seconds,
}

/// An axis of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The label of the axis.
    pub label: String,
    /// How its numbers are written.
    pub unit: Unit,
    /// Whether its scale is logarithmic.
    pub is_log: bool,
    /// Whether it starts at zero.
    pub from_zero: bool,
    /// Whether the axis may end below a few large outliers, for example the values of the first steps.
    pub may_cut: bool,
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: &str, unit: Unit) -> Axis {
        Axis {
            label: label.to_owned(),
            unit,
            is_log: false,
            from_zero: false,
            may_cut: false,
        }
    }

    /// The same axis, starting at zero.
    pub fn from_zero(self) -> Axis {
        Axis {
            from_zero: true,
            ..self
        }
    }

    /// The same axis, which may end below a few large outliers.
    pub fn may_cut(self) -> Axis {
        Axis {
            may_cut: true,
            ..self
        }
    }

    /// A logarithmic axis.
    pub fn log(label: &str) -> Axis {
        Axis {
            is_log: true,
            ..Axis::linear(label, Unit::Number)
        }
    }
}
