//! The sizes of batches of lines, and the numbers of rows of the softmax.

use crate::model::language_model::Extent;

/// The maximum number of streams of a batch.
const MAX_STREAMS: usize = 256;

/// The maximum number of time steps of a batch on a CPU.
const MAX_STEPS: usize = 16;

/// The available batch sizes. All have the same number of time steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Extents {
    pub unroll: usize,
    /// Ascending.
    streams: Vec<usize>,
}

impl Extents {
    /// Only this size.
    pub fn only(Extent { batch, unroll }: Extent) -> Extents {
        Extents {
            unroll,
            streams: vec![batch],
        }
    }

    /// Batch sizes for `lines` lines on a GPU. There are few, because each size of a matrix product is tuned separately.
    pub fn on_gpu(lines: usize) -> Extents {
        let (unroll, streams) = if lines <= 8 {
            (16, vec![2, 8])
        } else {
            (8, vec![64])
        };
        Extents { unroll, streams }
    }

    /// Batch sizes for `lines` lines of at most `longest` targets on a CPU, with at least `least` streams. With many lines, a
    /// batch has one time step, so that there is no padding. With few lines, it has several time steps, so that the weights are
    /// read less often.
    pub fn on_cpu(lines: usize, longest: usize, least: usize) -> Extents {
        let few = MAX_STREAMS / lines.next_power_of_two().min(MAX_STREAMS);
        let unroll = few.min(longest.next_power_of_two()).min(MAX_STEPS);
        let all = [
            2,
            4,
            8,
            16,
            24,
            32,
            48,
            64,
            96,
            128,
            160,
            192,
            224,
            MAX_STREAMS,
        ];
        let least = least.min(MAX_STREAMS);
        let more = all.into_iter().filter(|streams| *streams > least);
        Extents {
            unroll,
            streams: [least].into_iter().chain(more).collect(),
        }
    }

    /// The batch size for `ready` segments.
    pub fn batch(&self, ready: usize) -> Extent {
        let enough = self.streams.iter().find(|streams| **streams >= ready);
        let largest = self.streams.last();
        Extent {
            batch: *enough.or(largest).expect("a size"),
            unroll: self.unroll,
        }
    }
}

/// The available numbers of rows of a softmax, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RowCounts(Vec<usize>);

/// The number of rows whose computation takes as long as reading the weights of the softmax.
const READING: usize = 24;

impl RowCounts {
    /// Only this number.
    pub fn only(rows: usize) -> RowCounts {
        RowCounts(vec![rows])
    }

    /// On a GPU.
    pub fn on_gpu() -> RowCounts {
        RowCounts(vec![32, 128, 512])
    }

    /// On a CPU, with at least `least` rows.
    pub fn on_cpu(least: usize) -> RowCounts {
        let powers = (4..=10).map(|power| 1 << power);
        let more = powers.filter(|rows| *rows > least);
        let least = (least > 16).then_some(least);
        RowCounts(least.into_iter().chain(more).collect())
    }

    /// The number of rows of the largest softmax.
    pub fn largest(&self) -> usize {
        self.0[self.0.len() - 1]
    }

    /// The number of rows of the next softmax if `left` rows remain.
    pub fn next(&self, left: usize) -> usize {
        let more = self.0.iter().copied().find(|rows| *rows >= left);
        let fewer = self.0.iter().copied().rfind(|rows| *rows < left);
        match (more, fewer) {
            (Some(more), Some(fewer)) if more - left > READING => fewer,
            (Some(more), _) => more,
            (None, _) => self.largest(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_room_for_what_is_ready() {
        for least in [1, 2, 17, 65, 1000] {
            for lines in [1, 2, 20, 300] {
                let extents = Extents::on_cpu(lines, 25, least);
                assert!(extents.streams.is_sorted());
                for ready in 1..300 {
                    let batch = extents.batch(ready);
                    assert!(batch.batch >= ready.min(MAX_STREAMS).max(least.min(MAX_STREAMS)));
                    assert!(batch.batch <= (ready + 31).max(least.min(MAX_STREAMS)));
                }
            }
        }
    }

    #[test]
    fn one_line_has_a_batch_of_its_own() {
        for (longest, steps) in [(1, 1), (7, 8), (500, 16)] {
            let batch = Extents::on_cpu(1, longest, 2).batch(1);
            assert_eq!((batch.batch, batch.unroll), (2, steps));
        }
        let batch = |lines| Extents::on_gpu(lines).batch(lines).batch;
        assert_eq!([1, 8, 2000].map(batch), [2, 8, 64]);
    }

    #[test]
    fn few_rows_of_a_softmax_are_padding() {
        for counts in [
            RowCounts::on_cpu(2),
            RowCounts::on_cpu(40),
            RowCounts::on_gpu(),
        ] {
            for rows in 1..5000 {
                let (mut left, mut computed) = (rows, 0);
                while left > 0 {
                    let next = counts.next(left);
                    computed += next;
                    left -= next.min(left);
                }
                assert!(computed >= rows && computed <= rows + READING.max(counts.0[0]));
            }
        }
    }
}
