//! The clusters of an adaptive softmax (Grave et al. 2016, arXiv 1609.04309), and the positions of a batch that each computes.
//!
//! Ids are in descending order of frequency. The *head* has the ids below the first cutoff and one entry for each cluster of the others. With
//! `h` the input of the softmax,
//!
//! ```text
//! log p(w) = log p_head(w)                         for w in the head
//! log p(w) = log p_head(cluster k) + log p_k(w)    for w in cluster k
//! p_head = softmax(h H' + b),  p_k = softmax(h A_k B_k')
//! ```
//!
//! | parameter | shape |
//! |---|---|
//! | `H`, `softmax.head.weight` | `[head + clusters, P]` |
//! | `b`, `softmax.head.bias` | `[head + clusters]` |
//! | `A_k`, `softmax.tails.K.projection` | `[P, P / divide^(k+1)]` |
//! | `B_k`, `softmax.tails.K.weight` | `[words of the cluster, P / divide^(k+1)]` |
//!
//! A step computes a cluster only at the positions whose targets it contains. The host lists these positions. Plans have fixed
//! sizes, so they divide the list into *sections* and skip the sections that a batch leaves empty. Together, the sections of a
//! cluster can hold all positions of a batch.

use std::ops::Range;

use crate::config::{Adaptive, Config};
use crate::kernels::matmul::SMALL;
use crate::kernels::softmax::IGNORE;

/// If the configuration gives no cutoffs, the head has this many words times the square root of the size of the vocabulary.
///
/// Validation perplexity on WikiText-2 (33,278 words, two layers of 200) after 75 seconds of training on two cores:
///
/// | cutoffs | perplexity |
/// |---|---|
/// | 1,000 and 6,000 | 244 |
/// | 1,500 and 6,000 | 253 |
/// | 2,006 and 10,030 | 263 |
/// | 4,000 and 14,000 | 296 |
const HEAD: f64 = 5.5;

/// The factor from one cutoff to the next, if the configuration gives none.
const NEXT: f64 = 6.0;

/// A section has at least this many positions.
const LEAST: usize = 16;

/// The head and the clusters of a vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters {
    /// The number of words in the head.
    pub head: usize,
    /// The clusters, in the order of their ids.
    pub tails: Vec<Cluster>,
    vocabulary: usize,
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its words.
    pub ids: Range<usize>,
    /// The width of its projection, `P / divide^(k+1)`.
    pub width: usize,
}

/// The targets of a batch by cluster: inputs of an adaptive softmax.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterTargets {
    /// The target of each position in the head: its id or the entry of its cluster; [`IGNORE`] for padding.
    pub head: Vec<u32>,
    /// For each place of each section of each cluster, the position that it computes. Unused places have position 0.
    pub sources: Vec<u32>,
    /// The same with [`IGNORE`] for unused places.
    pub positions: Vec<u32>,
    /// The targets, counted from the first id of the cluster; [`IGNORE`] for unused places.
    pub targets: Vec<u32>,
}

/// The sections of each cluster: the numbers of their places.
pub type Sections = Vec<Vec<usize>>;

impl Clusters {
    /// The clusters of a configuration with `vocabulary` words. `None` if its softmax is not adaptive.
    pub fn of(config: &Config, vocabulary: usize) -> Option<Clusters> {
        let adaptive = config.softmax.adaptive()?;
        let depth = config.model.output_size();
        Some(Clusters::new(adaptive, vocabulary, depth))
    }

    /// The clusters for the input size `depth` (`P`). Cutoffs that are not below the size of the vocabulary are left out; see
    /// [`check_sizes`](super::limits::check_sizes).
    pub fn new(adaptive: &Adaptive, vocabulary: usize, depth: usize) -> Clusters {
        let mut cutoffs = adaptive.cutoffs.clone();
        if cutoffs.is_empty() {
            cutoffs = default_cutoffs(vocabulary);
            // A narrow model has fewer clusters.
            let most = (0..).take_while(|k| depth >= adaptive.divide.saturating_pow(k + 1));
            let most = most.take(cutoffs.len()).count();
            cutoffs.truncate(most);
        }
        cutoffs.retain(|cutoff| *cutoff < vocabulary);
        let head = *cutoffs.first().unwrap_or(&vocabulary);
        let ends = cutoffs.iter().skip(1).chain(std::iter::once(&vocabulary));
        let mut width = depth;
        let tail = |(&start, &end): (&usize, &usize)| {
            width = (width / adaptive.divide).max(1);
            Cluster {
                ids: start..end,
                width,
            }
        };
        Clusters {
            head,
            tails: cutoffs.iter().zip(ends).map(tail).collect(),
            vocabulary,
        }
    }

    /// The number of entries of the head: its words, and one for each cluster.
    pub fn entries(&self) -> usize {
        self.head + self.tails.len()
    }

    /// The first id of each cluster.
    pub fn cutoffs(&self) -> Vec<usize> {
        self.tails.iter().map(|tail| tail.ids.start).collect()
    }

    /// The expected share of the targets that each cluster has: that of a log-uniform distribution, close to Zipf's law.
    pub fn expected_shares(&self) -> Vec<f64> {
        let log = |id: usize| (id as f64 + 1.0).ln();
        let share =
            |tail: &Cluster| (log(tail.ids.end) - log(tail.ids.start)) / log(self.vocabulary);
        self.tails.iter().map(share).collect()
    }

    /// The share of the targets that each cluster has in a text whose words occur this often.
    pub fn shares(&self, counts: &[u64]) -> Vec<f64> {
        let sum = |counts: &[u64]| counts.iter().map(|count| *count as f64).sum::<f64>();
        let all = sum(counts).max(1.0);
        let of = |tail: &Cluster| sum(&counts[tail.ids.clone()]) / all;
        self.tails.iter().map(of).collect()
    }

    /// Multiply-adds of a position: the head, and each cluster by its share of the positions.
    pub fn multiply_adds(&self, depth: usize, shares: &[f64]) -> f64 {
        let head = self.entries() * depth;
        let tails = self.tails.iter().zip(shares);
        let tails = tails.map(|(tail, share)| share * tail.multiply_adds(depth) as f64);
        head as f64 + tails.sum::<f64>()
    }

    /// The sections of a batch of `rows` positions. The first section has half of the expected positions, the next ones an eighth
    /// each up to twice their number, and the rest are larger. Together they have at least `rows` places.
    pub fn sections(&self, rows: usize) -> Sections {
        let shares = self.expected_shares().into_iter();
        let sections = shares.map(|share| {
            let expected = share * rows as f64;
            let unit = ((expected / 8.0).ceil() as usize).next_multiple_of(LEAST);
            sections_of(rows, unit.min(rows), 4)
        });
        sections.collect()
    }

    /// The sections of a batch whose result at a position must not depend on the number of positions, bit for bit. The smallest
    /// section is large enough for the form of the product that all larger ones have.
    pub fn fixed_sections(&self, rows: usize) -> Sections {
        let columns = self.tails.iter().map(|tail| tail.width.min(tail.ids.len()));
        let unit = (SMALL / columns.min().unwrap_or(SMALL) + 1).next_multiple_of(LEAST);
        self.tails
            .iter()
            .map(|_| sections_of(rows, unit, 1))
            .collect()
    }

    /// Joins the logits of the head `[B, entries]` and of each cluster `[B, words]` of `B` positions to logits `[B, V]`, whose
    /// softmax is the distribution of the model.
    pub fn join(&self, head: &[f64], tails: &[&[f64]]) -> Vec<f64> {
        let mut joined = Vec::with_capacity(head.len() / self.entries() * self.vocabulary);
        for (row, head) in head.chunks_exact(self.entries()).enumerate() {
            let (words, entries) = head.split_at(self.head);
            joined.extend_from_slice(words);
            for ((tail, logits), entry) in self.tails.iter().zip(tails).zip(entries) {
                let logits = &logits[row * tail.ids.len()..][..tail.ids.len()];
                let maximum = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = logits.iter().map(|logit| (logit - maximum).exp()).sum();
                let shift = entry - maximum - sum.ln();
                joined.extend(logits.iter().map(|logit| logit + shift));
            }
        }
        joined
    }

    /// Divides targets by cluster.
    ///
    /// # Panics
    ///
    /// If a target is neither a word of the vocabulary nor [`IGNORE`], or if the sections have too few places.
    pub fn divide(&self, targets: &[u32], sections: &Sections) -> ClusterTargets {
        let mut head = targets.to_vec();
        let (mut sources, mut positions, mut of_cluster) = (Vec::new(), Vec::new(), Vec::new());
        for (k, (tail, sections)) in self.tails.iter().zip(sections).enumerate() {
            let end = sources.len() + sections.iter().sum::<usize>();
            for (position, target) in targets.iter().enumerate() {
                let id = *target as usize;
                if !tail.ids.contains(&id) {
                    continue;
                }
                head[position] = (self.head + k) as u32;
                sources.push(position as u32);
                of_cluster.push((id - tail.ids.start) as u32);
            }
            assert!(sources.len() <= end, "the sections have too few places");
            positions.extend_from_slice(&sources[positions.len()..]);
            sources.resize(end, 0);
            positions.resize(end, IGNORE);
            of_cluster.resize(end, IGNORE);
        }
        ClusterTargets {
            head,
            sources,
            positions,
            targets: of_cluster,
        }
    }
}

impl Cluster {
    /// Multiply-adds at a position whose target is in the cluster.
    pub fn multiply_adds(&self, depth: usize) -> u64 {
        (self.width * (depth + self.ids.len())) as u64
    }
}

/// The cutoffs of a vocabulary for which the configuration gives none: `5.5 sqrt(V)`, then six times the previous cutoff, up to half
/// of the vocabulary. The head has at most half of it.
fn default_cutoffs(vocabulary: usize) -> Vec<usize> {
    let most = (vocabulary / 2).max(1);
    let first = ((HEAD * (vocabulary as f64).sqrt()) as usize).clamp(1, most);
    let next = |cutoff: &usize| Some((*cutoff as f64 * NEXT) as usize).filter(|next| *next <= most);
    std::iter::successors(Some(first), next).collect()
}

/// Sections of at least `rows` places: the first of `first` units, then units, from 16 of them on as many as came before.
fn sections_of(rows: usize, unit: usize, first: usize) -> Vec<usize> {
    let mut sections = vec![(first * unit).min(rows.max(unit))];
    let mut places = sections[0];
    while places < rows {
        let next = if places < 16 * unit { unit } else { places };
        let next = next.min(rows - places).next_multiple_of(unit);
        sections.push(next);
        places += next;
    }
    sections
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clusters(cutoffs: &[usize], vocabulary: usize, depth: usize) -> Clusters {
        let adaptive = Adaptive {
            cutoffs: cutoffs.to_vec(),
            divide: 4,
            dropout: 0.0,
        };
        Clusters::new(&adaptive, vocabulary, depth)
    }

    #[test]
    fn cutoffs_follow_from_the_vocabulary() {
        for (vocabulary, depth, want) in [
            (2, 64, vec![1]),
            (90, 64, vec![45]),
            (8_000, 200, vec![491, 2946]),
            (33_278, 200, vec![1003, 6018]),
            (33_278, 8, vec![1003]),
            (793_470, 1024, vec![4899, 29_394, 176_364]),
        ] {
            let found = clusters(&[], vocabulary, depth);
            assert_eq!(found.cutoffs(), want, "{vocabulary} words");
            assert_eq!(found.head, want[0]);
            assert_eq!(found.tails.last().unwrap().ids.end, vocabulary);
        }
    }

    #[test]
    fn widths_are_those_of_pytorch() {
        let widths: Vec<usize> = clusters(&[10, 20, 30], 50, 100)
            .tails
            .iter()
            .map(|tail| tail.width)
            .collect();
        assert_eq!(widths, [25, 6, 1]);
    }

    #[test]
    fn joined_logits_give_the_distribution() {
        let found = clusters(&[2, 4], 7, 16);
        let (head, first, second) = ([0.5, -1.0, 2.0, 0.1], [0.3, 0.9], [1.0, -2.0, 0.0]);
        let softmax = |logits: &[f64]| -> Vec<f64> {
            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
            logits.iter().map(|logit| logit.exp() / sum).collect()
        };
        let joined = softmax(&found.join(&head, &[&first, &second]));
        let of_head = softmax(&head);
        let want = of_head[..2]
            .iter()
            .copied()
            .chain(softmax(&first).into_iter().map(|p| p * of_head[2]))
            .chain(softmax(&second).into_iter().map(|p| p * of_head[3]));
        for (got, want) in joined.iter().zip(want) {
            assert!((got - want).abs() < 1e-15, "{got} {want}");
        }
    }

    #[test]
    fn shares_sum_up() {
        let found = clusters(&[2, 5], 10, 16);
        let of_tails: f64 = found.expected_shares().iter().sum();
        assert!((of_tails - (1.0 - 3.0_f64.ln() / 11.0_f64.ln())).abs() < 1e-12);
        let counts = [50, 20, 9, 6, 5, 4, 3, 2, 1, 0];
        assert_eq!(found.shares(&counts), [0.2, 0.1]);
    }

    #[test]
    fn targets_are_divided_in_order() {
        let found = clusters(&[2, 5], 10, 16);
        let targets = [4, 0, 9, IGNORE, 2, 1, 4, 5];
        let divided = found.divide(&targets, &vec![vec![2, 2], vec![3]]);
        assert_eq!(divided.head, [2, 0, 3, IGNORE, 2, 1, 2, 3]);
        assert_eq!(divided.sources, [0, 4, 6, 0, 2, 7, 0]);
        assert_eq!(divided.positions, [0, 4, 6, IGNORE, 2, 7, IGNORE]);
        assert_eq!(divided.targets, [2, 0, 2, IGNORE, 4, 0, IGNORE]);
    }

    proptest! {
        #[test]
        fn sections_hold_every_batch(
            rows in 1..5000_usize,
            vocabulary in 2..100_000_usize,
            depth in 1..300_usize,
        ) {
            let found = clusters(&[], vocabulary, depth);
            for sections in [found.sections(rows), found.fixed_sections(rows)] {
                for sections in sections {
                    prop_assert!(sections.iter().sum::<usize>() >= rows);
                    prop_assert!(sections.len() < 30, "{sections:?}");
                    prop_assert!(sections.iter().all(|places| *places > 0));
                }
            }
        }
    }
}
