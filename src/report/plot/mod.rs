//! Line plots as SVG, for HTML pages and for files.

mod axis;
mod band;
mod cut;
mod draw;
mod points;
mod scale;
mod style;

pub use axis::{Axis, Series, Unit};
pub use draw::Plot;
pub use style::style;
