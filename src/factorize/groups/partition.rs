//! A partition of the elements of an axis into parts of equal size.

use crate::random::Stream;

/// Exchanges of all pairs of parts, at most.
const PASSES: usize = 8;

/// The smallest gain of an exchange; smaller ones are rounding errors.
const MIN_GAIN: f64 = 1e-12;

/// Assigns every element of an axis to one of some parts of equal size.
#[derive(Clone)]
pub struct Partition {
    /// The number of parts.
    pub parts: usize,
    /// The part of each element.
    pub part: Vec<usize>,
}

impl Partition {
    /// Contiguous parts.
    pub fn new(len: usize, parts: usize) -> Partition {
        Partition {
            parts,
            part: (0..len).map(|k| k * parts / len).collect(),
        }
    }

    /// The group of an element if several parts make one of `groups` groups.
    pub fn group(&self, element: usize, groups: usize) -> usize {
        self.part[element] * groups / self.parts
    }

    /// The elements in the order of their parts.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.part.len()).collect();
        order.sort_by_key(|&element| self.part[element]);
        order
    }

    /// Shuffles the elements.
    pub fn shuffle(&mut self, random: &mut Stream) {
        for element in (1..self.part.len()).rev() {
            let other = (random.uniform() * (element + 1) as f64) as usize;
            self.part.swap(element, other.min(element));
        }
    }

    /// Exchanges elements of two parts while that increases the sum of the scores. `score [len, parts]` is
    /// the score of each element in each part. Returns the increase.
    pub fn improve(&mut self, score: &[f64]) -> f64 {
        let mut gained = 0.0;
        for _ in 0..PASSES {
            let before = gained;
            for one in 0..self.parts {
                for two in one + 1..self.parts {
                    let first = self.by_gain(score, one, two);
                    let second = self.by_gain(score, two, one);
                    for ((x, k), (y, l)) in first.into_iter().zip(second) {
                        if x + y <= MIN_GAIN {
                            break;
                        }
                        (self.part[k], self.part[l]) = (two, one);
                        gained += x + y;
                    }
                }
            }
            if gained == before {
                break;
            }
        }
        gained
    }

    /// The elements of the part `from`, each with the gain in the sum of scores if it moves to the part `to`;
    /// the largest gain first.
    fn by_gain(&self, score: &[f64], from: usize, to: usize) -> Vec<(f64, usize)> {
        let elements = (0..self.part.len()).filter(|&element| self.part[element] == from);
        let mut gains: Vec<(f64, usize)> = elements
            .map(|element| {
                let of = |part: usize| score[element * self.parts + part];
                (of(to) - of(from), element)
            })
            .collect();
        gains.sort_by(|x, y| y.0.total_cmp(&x.0).then(x.1.cmp(&y.1)));
        gains
    }
}
