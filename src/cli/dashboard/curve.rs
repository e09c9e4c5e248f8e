//! A curve with a bounded number of points.

/// The maximum number of points of a curve. When it is reached, neighbouring points are averaged.
pub(super) const MAX_POINTS: usize = 2000;

/// A curve with a bounded number of points, however many are added.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve {
    points: Vec<(f64, f64)>,
    /// How many added points are averaged to one point of the curve.
    stride: usize,
    /// Added points that are too few for a point of the curve yet.
    pending: Vec<(f64, f64)>,
}

impl Curve {
    /// Adds a point.
    pub fn push(&mut self, point: (f64, f64)) {
        self.stride = self.stride.max(1);
        self.pending.push(point);
        if self.pending.len() < self.stride {
            return;
        }
        self.points.push(mean(&self.pending));
        self.pending.clear();
        if self.points.len() == MAX_POINTS {
            self.points = self.points.chunks(2).map(mean).collect();
            self.stride *= 2;
        }
    }

    /// The points, in the order in which they were added.
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let sum = points
        .iter()
        .fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
    (sum.0 / points.len() as f64, sum.1 / points.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_stay_short_and_keep_their_ends() {
        let mut curve = Curve::default();
        for k in 0..100_000 {
            curve.push((f64::from(k), 1.0));
        }
        let points = curve.points();
        assert!((MAX_POINTS / 2..=MAX_POINTS).contains(&points.len()));
        assert!(points[0].0 < 200.0 && points.last().unwrap().0 > 99_800.0);
        assert!(points.is_sorted_by(|x, y| x.0 < y.0));
    }
}
