//! Which lines of a training text `data.valid_share` holds out for validation.

use std::ops::Range;

use crate::config::{Order, ValidChoice};
use crate::random::{Purpose, Stream};

/// The size of a block in `contiguous` order in bytes: about 700 words, so that most words keep their context.
const BLOCK: usize = 4096;

/// The minimum number of blocks that are held out, if the text has enough lines.
const BLOCKS: f64 = 50.0;

/// The ranges of each file that are held out, ascending. They consist of whole lines, and have about `share` of all bytes.
pub(super) fn held_out(
    files: &[&[u8]],
    share: f64,
    choice: ValidChoice,
    order: Order,
) -> Vec<Vec<Range<usize>>> {
    match choice {
        ValidChoice::Tail => tail(files, share),
        ValidChoice::Random => random(files, share, order),
    }
}

/// The last lines.
fn tail(files: &[&[u8]], share: f64) -> Vec<Vec<Range<usize>>> {
    let bytes: u64 = files.iter().map(|text| text.len() as u64).sum();
    let mut left = ((1.0 - share) * bytes as f64) as usize;
    let of_file = |text: &&[u8]| {
        let cut = if text.len() <= left {
            text.len()
        } else if left > 0 {
            // After the line in which the held-out share begins. All later files are held out.
            memchr::memchr(b'\n', &text[left..]).map_or(text.len(), |at| left + at + 1)
        } else {
            0
        };
        left = left.saturating_sub(text.len());
        let range = cut..text.len();
        if range.is_empty() {
            vec![]
        } else {
            vec![range]
        }
    };
    files.iter().map(of_file).collect()
}

/// One random block out of each `1 / share` consecutive blocks, so that every part of the text is represented. The choice does
/// not depend on `train.seed`, so that runs with different seeds can be compared.
fn random(files: &[&[u8]], share: f64, order: Order) -> Vec<Vec<Range<usize>>> {
    let bytes: f64 = files.iter().map(|text| text.len() as f64).sum();
    let size = match order {
        // A sentence needs no context.
        Order::Sentences => 1,
        Order::Contiguous => BLOCK.min((bytes * share / BLOCKS) as usize).max(1),
    };
    let mut lot = Lot::new(share);
    let of_file = |text: &&[u8]| {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        while start < text.len() {
            let nominal = (start + size).min(text.len()) - 1;
            let end =
                memchr::memchr(b'\n', &text[nominal..]).map_or(text.len(), |at| nominal + at + 1);
            if lot.next() {
                match ranges.last_mut() {
                    Some(last) if last.end == start => last.end = end,
                    _ => ranges.push(start..end),
                }
            }
            start = end;
        }
        ranges
    };
    files.iter().map(of_file).collect()
}

/// Draws one out of each `1 / share` consecutive blocks.
struct Lot {
    share: f64,
    /// The number of the next block.
    block: u64,
    /// The number of groups of blocks so far.
    groups: u64,
    /// The block that is drawn from the current group.
    drawn: u64,
}

impl Lot {
    fn new(share: f64) -> Lot {
        Lot {
            share,
            block: 0,
            groups: 0,
            drawn: 0,
        }
    }

    /// Whether the next block is drawn.
    fn next(&mut self) -> bool {
        let start = |group: u64| (group as f64 / self.share) as u64;
        if self.block == start(self.groups) {
            let room = start(self.groups + 1) - self.block;
            let mut stream = Stream::new(0, Purpose::HoldOut, self.groups);
            self.drawn = self.block + stream.below(room);
            self.groups += 1;
        }
        let is_drawn = self.block == self.drawn;
        self.block += 1;
        is_drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text of numbered lines.
    fn lines(count: usize) -> String {
        (0..count)
            .map(|k| format!("line {k:06} of the text\n"))
            .collect()
    }

    fn chosen<'a>(files: &[&'a [u8]], share: f64, order: Order) -> Vec<&'a [u8]> {
        let ranges = held_out(files, share, ValidChoice::Random, order);
        let of_file = |(text, ranges): (&&'a [u8], Vec<Range<usize>>)| {
            ranges
                .into_iter()
                .map(|range| &text[range])
                .collect::<Vec<_>>()
        };
        files.iter().zip(ranges).flat_map(of_file).collect()
    }

    #[test]
    fn lines_come_from_every_part_of_the_text() {
        let text = lines(20_000);
        let (first, second) = text.as_bytes().split_at(24 * 7_000);
        for order in [Order::Sentences, Order::Contiguous] {
            for share in [0.02, 0.1, 0.35, 0.5] {
                let found = chosen(&[first, second], share, order);
                assert_eq!(chosen(&[first, second], share, order), found);
                let all: Vec<u8> = found.concat();
                let real = all.len() as f64 / text.len() as f64;
                assert!(
                    (real / share - 1.0).abs() < 0.15,
                    "{order:?} {share}: {real}"
                );
                let numbers: Vec<usize> = String::from_utf8(all)
                    .unwrap()
                    .lines()
                    .map(|line| line[5..11].parse().unwrap())
                    .collect();
                assert!(numbers.is_sorted_by(|x, y| x < y));
                for tenth in 0..10 {
                    let part = 2_000 * tenth..2_000 * (tenth + 1_usize);
                    let count = numbers
                        .iter()
                        .filter(|number| part.contains(number))
                        .count();
                    let own = count as f64 / 2_000.0 / share;
                    assert!(
                        (0.5..1.5).contains(&own),
                        "{order:?} {share}: {tenth}: {own}"
                    );
                }
            }
        }
    }

    /// In contiguous order neighbouring lines stay together.
    #[test]
    fn contiguous_text_is_held_out_in_blocks() {
        let text = lines(20_000);
        let blocks = chosen(&[text.as_bytes()], 0.1, Order::Contiguous);
        assert!((40..=60).contains(&blocks.len()), "{}", blocks.len());
        assert!(blocks.iter().all(|block| block.len() >= 24 * 40));
        let lines = chosen(&[text.as_bytes()], 0.1, Order::Sentences);
        assert!(lines.len() > 1_500, "{}", lines.len());
    }

    #[test]
    fn a_last_line_without_an_end_is_whole() {
        for count in 1..40 {
            let text = lines(count);
            let text = text.trim_end().as_bytes();
            for range in held_out(&[text], 0.5, ValidChoice::Random, Order::Sentences).concat() {
                assert!(range.start == 0 || text[range.start - 1] == b'\n');
                assert!(range.end == text.len() || text[range.end - 1] == b'\n');
            }
        }
    }
}
