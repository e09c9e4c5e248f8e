//! Cuts off large values that would compress the rest of a plot, for example those of the first steps.

use super::axis::Axis;

/// The share of the points of a line that may lie above the axis.
const CUT: f64 = 0.05;

/// An axis is cut only if it would otherwise be higher by this factor.
const WORTHWHILE: f64 = 1.4;

/// The upper end of an axis: the largest value of the lines, or a smaller one if a few values are far above the others.
pub(super) fn top(axis: &Axis, lines: &[Vec<(f64, f64)>]) -> f64 {
    let values = lines.iter().flatten().map(|(_, y)| *y);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
        (low.min(y), high.max(y))
    });
    let most = lines.iter().filter_map(|line| below_the_largest(line));
    let cut = most.fold(f64::NEG_INFINITY, f64::max);
    let along = |value: f64| if axis.is_log { value.ln() } else { value };
    let (whole, rest) = (along(high) - along(low), along(cut) - along(low));
    if axis.may_cut && rest > 0.0 && whole > WORTHWHILE * rest {
        cut
    } else {
        high
    }
}

/// The largest value of a line after removal of the fraction [`CUT`] of its values, at least one.
fn below_the_largest(line: &[(f64, f64)]) -> Option<f64> {
    let mut values: Vec<f64> = line.iter().map(|(_, y)| *y).collect();
    values.sort_unstable_by(f64::total_cmp);
    let cut = ((CUT * values.len() as f64) as usize).max(1);
    let left = values.len().checked_sub(cut + 1)?;
    Some(values[left])
}

/// The parts of a line that are inside a frame with the upper edge `top`. Coordinates grow downwards.
pub(super) fn within(points: &[(f64, f64)], top: f64) -> Vec<Vec<(f64, f64)>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    for (k, &(x, y)) in points.iter().enumerate() {
        let before = k.checked_sub(1).map(|k| points[k]);
        // Where the line crosses the edge.
        if let Some((x0, y0)) = before
            && (y0 < top) != (y < top)
        {
            let at = x0 + (x - x0) * (top - y0) / (y - y0);
            part.push((at, top));
        }
        if y >= top {
            part.push((x, y));
        } else if !part.is_empty() {
            parts.push(std::mem::take(&mut part));
        }
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_steps_are_cut_and_ordinary_curves_are_not() {
        let axis = Axis::log("perplexity").may_cut();
        let untrained: Vec<(f64, f64)> = (0..10)
            .map(|k| {
                (
                    f64::from(k),
                    if k == 0 {
                        22_660.0
                    } else {
                        200.0 - 10.0 * f64::from(k)
                    },
                )
            })
            .collect();
        assert_eq!(top(&axis, std::slice::from_ref(&untrained)), 190.0);
        // A second run with large values only is not cut.
        let bad: Vec<(f64, f64)> = untrained.iter().map(|(x, _)| (*x, 9000.0)).collect();
        assert_eq!(top(&axis, &[untrained.clone(), bad]), 22_660.0);
        let even: Vec<(f64, f64)> = (1..100).map(|k| (f64::from(k), f64::from(k))).collect();
        assert_eq!(top(&axis, &[even]), 99.0);
        assert_eq!(top(&Axis::log("perplexity"), &[untrained]), 22_660.0);
        for few in [vec![], vec![(1.0, 5.0)], vec![(1.0, 5.0), (2.0, 3.0)]] {
            let highest = few.first().map_or(f64::NEG_INFINITY, |(_, y)| *y);
            assert_eq!(top(&axis, &[few]), highest);
        }
    }

    #[test]
    fn lines_end_at_the_edge() {
        let line = [
            (0.0, -10.0),
            (1.0, 10.0),
            (2.0, 20.0),
            (3.0, 0.0),
            (4.0, -5.0),
        ];
        let found = within(&line, 5.0);
        let expected = vec![vec![(0.75, 5.0), (1.0, 10.0), (2.0, 20.0), (2.75, 5.0)]];
        assert_eq!(found, expected);
        assert_eq!(within(&line[3..], 5.0), Vec::<Vec<(f64, f64)>>::new());
        assert_eq!(within(&line[1..3], 5.0), vec![line[1..3].to_vec()]);
    }
}
