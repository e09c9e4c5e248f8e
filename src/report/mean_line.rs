//! The mean of the lines of several runs.

/// A line, `(x, y)` with ascending x.
type Line = Vec<(f64, f64)>;

/// A band, `(x, low, high)` with ascending x.
type Band = Vec<(f64, f64, f64)>;

/// The mean of several lines, and the band from the lowest to the highest line, at those points of the first line where all lines
/// have a value. The lines are interpolated between their points. A single line stays as it is, without a band. Lines without
/// points and points that are not finite are ignored.
pub(super) fn mean_line(lines: Vec<Line>) -> (Line, Band) {
    if let [_] = lines.as_slice() {
        return (lines.into_iter().flatten().collect(), Vec::new());
    }
    let finite = |line: Line| -> Line {
        let points = line.into_iter();
        points
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect()
    };
    let lines = lines.into_iter().map(finite);
    let lines: Vec<Line> = lines.filter(|line| !line.is_empty()).collect();
    let Some(first) = lines.first() else {
        return (Vec::new(), Vec::new());
    };
    let count = lines.len() as f64;
    let mut cursors = vec![0; lines.len()];
    let (mut means, mut band) = (Vec::new(), Vec::new());
    for &(x, _) in first {
        let values = lines
            .iter()
            .zip(&mut cursors)
            .map(|(line, at)| value_at(line, at, x));
        let Some(values) = values.collect::<Option<Vec<f64>>>() else {
            continue;
        };
        // Each number is divided, because the sum may overflow.
        means.push((x, values.iter().map(|value| value / count).sum()));
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        band.push((x, low, high));
    }
    (means, band)
}

/// The value of a line at `x`. `at`: the index of a point at or before `x`, which the call advances. `None` outside the line.
fn value_at(line: &Line, at: &mut usize, x: f64) -> Option<f64> {
    while line.get(*at + 1).is_some_and(|(next, _)| *next <= x) {
        *at += 1;
    }
    let (before, y) = line[*at];
    if before == x {
        return Some(y);
    }
    let (next, next_y) = *line.get(*at + 1)?;
    (before < x).then(|| y + (x - before) / (next - before) * (next_y - y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_taken_where_all_lines_reach() {
        let one = vec![(1.0, 10.0), (2.0, 8.0), (3.0, 6.0), (4.0, 5.0)];
        let two = vec![(1.5, 8.0), (3.5, 4.0)];
        let (means, band) = mean_line(vec![one.clone(), two]);
        assert_eq!(means, [(2.0, 7.5), (3.0, 5.5)]);
        assert_eq!(band, [(2.0, 7.0, 8.0), (3.0, 5.0, 6.0)]);
        assert_eq!(mean_line(vec![one.clone()]), (one.clone(), vec![]));
        let (means, band) = mean_line(vec![one.clone(), vec![], one.clone()]);
        assert_eq!(means, one);
        assert!(band.iter().all(|(_, low, high)| low == high));
        assert_eq!(mean_line(vec![vec![], vec![]]), (vec![], vec![]));
        assert_eq!(mean_line(vec![]), (vec![], vec![]));
    }

    #[test]
    fn points_that_are_not_finite_are_ignored() {
        let bad = vec![(1.0, f64::NAN), (2.0, 4.0), (f64::INFINITY, 1.0)];
        let (means, _) = mean_line(vec![bad, vec![(0.0, 2.0), (4.0, 2.0)]]);
        assert_eq!(means, [(2.0, 3.0)]);
    }
}
