//! The losses of the full, the sampled and the adaptive softmax.

use super::model::{Leaves, Model};
use super::tape::{Number, Tape};

/// The loss of a target, from the output of the last layer.
pub type Loss = dyn Fn(&mut Tape, &Leaves, &[Number], usize) -> Number;

impl Model {
    /// The loss of the full or adaptive softmax.
    pub fn exact(&self) -> Box<Loss> {
        if self.spec.cutoffs.is_empty() {
            Box::new(self.full())
        } else {
            Box::new(self.adaptive())
        }
    }

    fn full(&self) -> impl Fn(&mut Tape, &Leaves, &[Number], usize) -> Number + use<> {
        let (vocabulary, table) = (self.vocabulary(), self.softmax_table());
        move |tape, leaves, h, target| {
            let logit = |tape: &mut Tape, word| {
                let product = tape.dot(h, leaves.row(table, word));
                tape.add(product, leaves.of("softmax.bias")[word])
            };
            cross_entropy(tape, 0..vocabulary, target, logit)
        }
    }

    fn adaptive(&self) -> impl Fn(&mut Tape, &Leaves, &[Number], usize) -> Number + use<> {
        let (vocabulary, spec) = (self.vocabulary(), self.spec.clone());
        move |tape, leaves, h, target| {
            let of_head = |tape: &mut Tape, entry| {
                let product = tape.dot(h, leaves.row("softmax.head.weight", entry));
                tape.add(product, leaves.of("softmax.head.bias")[entry])
            };
            let (words, clusters) = (spec.cutoffs[0], spec.cutoffs.len());
            let entries = 0..words + clusters;
            let mut tails = (0..clusters).map(|k| (k, spec.cluster(k, vocabulary)));
            let Some((k, tail)) = tails.find(|(_, tail)| tail.contains(&target)) else {
                return cross_entropy(tape, entries, target, of_head);
            };
            let cluster = cross_entropy(tape, entries, words + k, of_head);
            let name = format!("softmax.tails.{k}");
            let x = leaves.product(tape, h, &format!("{name}.projection"), 0);
            let of_tail = |tape: &mut Tape, word: usize| {
                let weight = format!("{name}.weight");
                tape.dot(&x, leaves.row(&weight, word - tail.start))
            };
            let word = cross_entropy(tape, tail.clone(), target, of_tail);
            tape.add(cluster, word)
        }
    }

    pub fn sampled(
        &self,
        candidates: Vec<usize>,
        tries: u64,
    ) -> impl Fn(&mut Tape, &Leaves, &[Number], usize) -> Number + use<> {
        let (vocabulary, table) = (self.vocabulary() as f64, self.softmax_table());
        let expected = move |word: usize| {
            let k = word as f64;
            let p = ((k + 2.0) / (k + 1.0)).ln() / (vocabulary + 1.0).ln();
            -(tries as f64 * (-p).ln_1p()).exp_m1()
        };
        move |tape, leaves, h, target| {
            let logit = |tape: &mut Tape, word| {
                let product = tape.dot(h, leaves.row(table, word));
                let logit = tape.add(product, leaves.of("softmax.bias")[word]);
                tape.shift(logit, -expected(word).ln())
            };
            cross_entropy(tape, candidates.iter().copied(), target, logit)
        }
    }
}

/// The cross-entropy of a target over the target and those classes that differ from it.
fn cross_entropy(
    tape: &mut Tape,
    classes: impl IntoIterator<Item = usize>,
    target: usize,
    logit: impl Fn(&mut Tape, usize) -> Number,
) -> Number {
    let others = classes.into_iter().filter(|class| *class != target);
    let all = std::iter::once(target).chain(others);
    let logits: Vec<Number> = all.map(|class| logit(tape, class)).collect();
    tape.cross_entropy(&logits)
}
