//! The band around a line: the area between the lowest and the highest value.

use std::fmt::Write as _;

/// Merges neighbouring points, so that at most `most` are left. A merged point has the range of its points.
pub(super) fn thinned(points: &[(f64, f64, f64)], most: usize) -> Vec<(f64, f64, f64)> {
    let bin = points.len().div_ceil(most).max(1);
    let join = |part: &[(f64, f64, f64)]| {
        let count = part.len() as f64;
        let x = part.iter().map(|(x, ..)| x / count).sum();
        let low = part.iter().map(|(_, low, _)| *low);
        let high = part.iter().map(|(.., high)| *high);
        let (low, high) = (
            low.fold(f64::INFINITY, f64::min),
            high.fold(f64::NEG_INFINITY, f64::max),
        );
        (x, low, high)
    };
    points.chunks(bin).map(join).collect()
}

/// The area of a band whose points have the coordinates `(x, low, high)`, in a colour of the style sheet. Empty without points.
pub(super) fn area(colour: usize, points: &[(f64, f64, f64)]) -> String {
    if points.len() < 2 {
        return String::new();
    }
    let above = points.iter().map(|&(x, _, high)| (x, high));
    let below = points.iter().rev().map(|&(x, low, _)| (x, low));
    let mut path = String::new();
    for (n, (x, y)) in above.chain(below).enumerate() {
        let letter = if n == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{x:.1} {y:.1}");
    }
    format!("<path class=\"f{colour}\" d=\"{path}Z\" fill-opacity=\"0.18\" stroke=\"none\"/>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joint_points_have_the_range_of_all() {
        let points = [(0.0, 1.0, 2.0), (2.0, 0.5, 1.5), (4.0, 3.0, 9.0)];
        assert_eq!(thinned(&points, 2), [(1.0, 0.5, 2.0), (4.0, 3.0, 9.0)]);
        assert_eq!(thinned(&points, 3), points);
        assert!(thinned(&[], 3).is_empty());
    }

    #[test]
    fn an_area_goes_there_and_back() {
        let found = area(2, &[(0.0, 5.0, 1.0), (10.0, 6.0, 2.0)]);
        assert!(
            found.contains("d=\"M0.0 1.0L10.0 2.0L10.0 6.0L0.0 5.0Z\""),
            "{found}"
        );
        assert_eq!(area(2, &[(0.0, 5.0, 1.0)]), "");
    }
}
