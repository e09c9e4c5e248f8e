//! The points of lines.

/// Largest number of points of a line. Neighbouring points are averaged if there are more.
pub(super) const MAX_POINTS: usize = 400;

/// The largest value of all lines.
pub(super) fn largest(lines: &[Vec<(f64, f64)>]) -> f64 {
    let values = lines.iter().flatten().map(|(_, y)| *y);
    values.fold(f64::NEG_INFINITY, f64::max)
}

/// Averages neighbouring points, so that at most [`MAX_POINTS`] are left.
pub(super) fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MAX_POINTS {
        return points.to_vec();
    }
    let bin = points.len().div_ceil(MAX_POINTS);
    let mean = |part: &[(f64, f64)]| {
        // Each number is divided, because the sum may overflow.
        let count = part.len() as f64;
        let add = |sum: (f64, f64), p: &(f64, f64)| (sum.0 + p.0 / count, sum.1 + p.1 / count);
        part.iter().fold((0.0, 0.0), add)
    };
    points.chunks(bin).map(mean).collect()
}
