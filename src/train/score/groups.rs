//! Which lines are scored in the same batches, and the size of these batches.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::model::language_model::Extent;

/// The largest number of rows of a batch: enough to keep a device busy.
const MAX_ROWS: usize = 512;

/// The smallest number of rows of a batch.
const MIN_ROWS: usize = 16;

/// The largest number of tokens of a line in one batch.
const MAX_TOKENS: usize = 64;

/// The largest number of lines scored in parallel.
pub(super) const MAX_LINES: usize = 256;

/// The sizes of batches to choose from on a GPU, where every size of a product has to be tuned.
pub(super) const ON_GPUS: [Extent; 3] = [
    Extent {
        batch: 2,
        unroll: 16,
    },
    Extent {
        batch: 8,
        unroll: 16,
    },
    Extent {
        batch: 64,
        unroll: 8,
    },
];

/// Lines that are scored in the same batches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// The lines, in the order of descending length.
    pub lines: Range<usize>,
    /// The size of the batches.
    pub extent: Extent,
}

/// The sizes of batches to choose from, with at least `least` streams.
pub(super) fn extents(least: usize) -> Vec<Extent> {
    let powers = |most: usize| (0..=most.ilog2()).map(|power| 1 << power);
    let least = least.next_power_of_two().min(MAX_LINES);
    let streams = powers(MAX_LINES).filter(|batch| *batch >= least);
    let all = streams.flat_map(|batch| {
        let unrolls = powers(MAX_TOKENS);
        unrolls.map(move |unroll| Extent { batch, unroll })
    });
    all.filter(|extent| (MIN_ROWS..=MAX_ROWS).contains(&extent.rows()))
        .collect()
}

/// Divides lines with these numbers of targets, in descending order, into groups that take little time. A few lines that are much
/// longer than the others get batches of their own, in which no stream waits for them.
pub(super) fn groups(lengths: &[usize], extents: &[Extent]) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut start = 0;
    while start < lengths.len() {
        let rest = &lengths[start..];
        let whole = cheapest(rest, extents);
        let split = |at: usize| {
            let (first, second) = (
                cheapest(&rest[..at], extents),
                cheapest(&rest[at..], extents),
            );
            (first.0 + second.0, at, first.1)
        };
        let splits = (0..).map(|power| 1 << (2 * power));
        let splits = splits.take_while(|at| *at < rest.len()).map(split);
        let best = splits.min_by_key(|(cost, ..)| *cost);
        let (count, extent) = match best {
            Some((cost, at, extent)) if cost < whole.0 => (at, extent),
            _ => (rest.len(), whole.1),
        };
        groups.push(Group {
            lines: start..start + count,
            extent,
        });
        start += count;
    }
    groups
}

/// The size of batches that takes the least time, with that time.
fn cheapest(lengths: &[usize], extents: &[Extent]) -> (usize, Extent) {
    let least = extents[0].batch;
    let most = lengths.len().next_power_of_two().max(least);
    let candidates = extents.iter().filter(|extent| extent.batch <= most);
    let costs = candidates.map(|extent| (batches(lengths, *extent) * cost(*extent), *extent));
    costs
        .min_by_key(|(cost, _)| *cost)
        .expect("a size of batches")
}

/// The number of batches of lines with these numbers of targets. A line starts with the batch after one in which a line has ended.
fn batches(lengths: &[usize], Extent { batch, unroll }: Extent) -> usize {
    let needed = lengths.iter().map(|length| length.div_ceil(unroll));
    let mut ends: BinaryHeap<Reverse<usize>> = BinaryHeap::new();
    let mut last = 0;
    for count in needed {
        let start = if ends.len() < batch {
            0
        } else {
            ends.pop().map_or(0, |Reverse(end)| end)
        };
        ends.push(Reverse(start + count));
        last = last.max(start + count);
    }
    last
}

/// The time of a batch, in halves of the time of a row: reading the weights takes as long as 26 rows, and starting a time step as
/// 1.5. Measured with the models of `configs/wikitext2-*.toml` on a CPU.
fn cost(extent: Extent) -> usize {
    2 * extent.rows() + 52 + 3 * extent.unroll
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed rows for each target.
    fn waste(lengths: &[usize]) -> f64 {
        let groups = groups(lengths, &extents(2));
        let rows = groups
            .iter()
            .map(|group| batches(&lengths[group.lines.clone()], group.extent) * group.extent.rows())
            .sum::<usize>();
        rows as f64 / lengths.iter().sum::<usize>() as f64
    }

    fn descending(mut lengths: Vec<usize>) -> Vec<usize> {
        lengths.sort_unstable_by_key(|length| Reverse(*length));
        lengths
    }

    #[test]
    fn every_line_is_in_one_group() {
        for lengths in [
            vec![],
            vec![1],
            vec![900, 1],
            descending((1..700).map(|k| 1 + k * k % 97).collect()),
            descending(
                (0..2000)
                    .map(|k| if k % 500 == 0 { 5000 } else { 7 })
                    .collect(),
            ),
        ] {
            let groups = groups(&lengths, &extents(2));
            let mut next = 0;
            for group in &groups {
                assert_eq!(group.lines.start, next);
                assert!(!group.lines.is_empty() && group.extent.rows() <= MAX_ROWS);
                next = group.lines.end;
            }
            assert_eq!(next, lengths.len());
        }
    }

    #[test]
    fn few_rows_are_padding() {
        // Sentences, paragraphs, and a few paragraphs among sentences.
        let sentences = descending((0..1024).map(|k| 6 + k * 7919 % 31).collect());
        let paragraphs = descending((0..60).map(|k| 40 + k * 7919 % 300).collect());
        let mixed = descending(
            (0..1024)
                .map(|k| if k % 100 == 0 { 900 } else { 9 })
                .collect(),
        );
        for lengths in [&sentences, &paragraphs, &mixed] {
            assert!(waste(lengths) < 1.15, "{}", waste(lengths));
        }
    }

    #[test]
    fn one_line_has_a_batch_of_its_own() {
        for length in [1, 7, 30, 500] {
            let found = groups(&[length], &extents(2));
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].extent.batch, 2, "{length}");
            assert!(batches(&[length], found[0].extent) * found[0].extent.rows() < 4 * length + 16);
        }
    }

    #[test]
    fn a_gpu_has_batches_for_few_lines_and_for_many() {
        let batch = |count: usize| {
            let groups = groups(&vec![20; count], &ON_GPUS);
            groups.iter().map(|group| group.extent.batch).max()
        };
        assert_eq!([1, 8, 2000].map(batch), [2, 8, 64].map(Some));
    }

    #[test]
    fn batches_have_as_many_streams_as_are_asked_for() {
        for least in [1, 2, 17, 65, 1000] {
            let all = extents(least);
            assert!(!all.is_empty());
            assert!(
                all.iter()
                    .all(|extent| extent.batch >= least.min(MAX_LINES))
            );
        }
    }
}
