//! Common prefixes of lines, which are computed once.
//!
//! Each target of a line belongs to a row of the softmax, whose input depends on the words before the target. Two lines with a
//! common prefix share its rows, up to and including that of the first target that differs: the log-sum-exp of the logits of a
//! row does not depend on the target.

/// A part of a line with at most as many rows as a batch has time steps. It starts from the final recurrent states of another
/// segment.
#[derive(Debug)]
pub(super) struct Segment {
    /// The segment before it; `None` at the beginning of a line.
    pub parent: Option<usize>,
    /// The line, in the order of [`Prefixes::new`].
    pub line: usize,
    /// The index of its first target in the line.
    pub start: usize,
    /// The index after its last target.
    pub end: usize,
    /// The index of the first target whose row was not computed by an earlier segment.
    pub own: usize,
    /// The number of that row.
    pub row: usize,
    /// The number of segments that begin where this one ends.
    pub children: usize,
    /// The length of the longest chain of later segments.
    pub height: usize,
}

/// The rows of the softmax for some lines, without repetitions.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    /// The segments to compute. A parent comes before its children.
    pub segments: Vec<Segment>,
    /// The targets of each row, as indices of `targets`.
    pub rows: Vec<Vec<usize>>,
    /// The targets of all rows.
    pub targets: Vec<u32>,
    /// For each target of each line, its row and its index in `targets`.
    pub lines: Vec<Vec<(usize, usize)>>,
}

impl Prefixes {
    /// The rows of distinct lines, which are in ascending order, in segments of `unroll` rows. `mark`: the boundary token, the
    /// last target of each line.
    pub fn new(lines: &[&[u32]], unroll: usize, mark: u32) -> Prefixes {
        let mut found = Prefixes::default();
        // The rows and the segments of the previous line.
        let mut path: Vec<(usize, usize)> = Vec::new();
        let mut chain: Vec<usize> = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            let (common, shared) = match number.checked_sub(1) {
                None => (0, 0),
                Some(before) => {
                    let pairs = lines[before].iter().zip(*line);
                    let common = pairs.take_while(|(x, y)| x == y).count();
                    (common, common + 1)
                }
            };
            chain.truncate(shared / unroll);
            let first = found.rows.len();
            let last = (common < shared).then(|| path[common].0);
            path.truncate(common);
            for at in common..=line.len() {
                let row = match last {
                    Some(row) if at == common => row,
                    _ => {
                        found.rows.push(Vec::new());
                        found.rows.len() - 1
                    }
                };
                let target = found.targets.len();
                found.targets.push(line.get(at).copied().unwrap_or(mark));
                found.rows[row].push(target);
                path.push((row, target));
            }
            for start in (chain.len() * unroll..=line.len()).step_by(unroll) {
                let own = start.max(shared);
                let segment = Segment {
                    parent: chain.last().copied(),
                    line: number,
                    start,
                    end: (start + unroll).min(line.len() + 1),
                    own,
                    row: first + own - shared,
                    children: 0,
                    height: 0,
                };
                chain.push(found.segments.len());
                found.segments.push(segment);
            }
            found.lines.push(path.clone());
        }
        for number in (0..found.segments.len()).rev() {
            let height = found.segments[number].height + 1;
            if let Some(parent) = found.segments[number].parent {
                let parent = &mut found.segments[parent];
                parent.children += 1;
                parent.height = parent.height.max(height);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: u32 = 9;

    /// The words before each row, and its targets, reconstructed from the segments.
    fn contents(lines: &[&[u32]], found: &Prefixes) -> Vec<(Vec<u32>, Vec<u32>)> {
        let mut contents = vec![None; found.rows.len()];
        for segment in &found.segments {
            for at in segment.own..segment.end {
                let row = segment.row + at - segment.own;
                let targets = found.rows[row].iter();
                let targets = targets.map(|target| found.targets[*target]).collect();
                let before = contents[row].replace((lines[segment.line][..at].to_vec(), targets));
                assert!(before.is_none(), "row {row} is computed twice");
            }
        }
        contents
            .into_iter()
            .map(|row| row.expect("a row"))
            .collect()
    }

    #[test]
    fn every_target_has_its_row() {
        let lines: [&[u32]; 7] = [
            &[],
            &[1],
            &[1, 2, 3],
            &[1, 2, 3, 4, 5, 6, 7],
            &[1, 2, 3, 4, 5, 8],
            &[1, 2, 4],
            &[3, 3, 3, 3],
        ];
        for unroll in [1, 2, 3, 8] {
            let found = Prefixes::new(&lines, unroll, MARK);
            let contents = contents(&lines, &found);
            for (line, targets) in lines.iter().zip(&found.lines) {
                assert_eq!(targets.len(), line.len() + 1);
                for (at, (row, target)) in targets.iter().enumerate() {
                    let (before, of_row) = &contents[*row];
                    assert_eq!(before, &line[..at]);
                    let expected = line.get(at).copied().unwrap_or(MARK);
                    assert_eq!(found.targets[*target], expected);
                    assert!(of_row.contains(&expected));
                }
            }
            for segment in &found.segments {
                let Some(parent) = segment.parent.map(|parent| &found.segments[parent]) else {
                    assert_eq!(segment.start, 0);
                    continue;
                };
                assert_eq!(
                    (parent.end, parent.end - parent.start),
                    (segment.start, unroll)
                );
                let shared = segment.start - 1;
                assert_eq!(lines[parent.line][..shared], lines[segment.line][..shared]);
                assert!(parent.height > segment.height && parent.children > 0);
            }
        }
    }

    #[test]
    fn rows_are_distinct() {
        let lines: [&[u32]; 4] = [&[1, 2, 3], &[1, 2, 4], &[1, 3], &[2]];
        let found = Prefixes::new(&lines, 1, MARK);
        let mut rows: Vec<Vec<u32>> = contents(&lines, &found)
            .into_iter()
            .map(|row| row.0)
            .collect();
        let count = rows.len();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!((rows.len(), count, found.segments.len()), (7, 7, 7));
    }
}
