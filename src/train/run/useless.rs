//! The likely cause of a perplexity that is worse than that of a uniform distribution over the vocabulary.

use crate::config::{Config, Softmax};
use crate::kernels::optimizer::DEFAULT;
use crate::numbers::{counted, grouped};

/// There is no warning before this many steps.
const UNTRAINED: u64 = 100;

/// A warning about a validation after `step` steps, if its perplexity is above the number of words.
pub(super) fn worse_than_guessing(
    config: &Config,
    words: usize,
    perplexity: f64,
    step: u64,
) -> Option<String> {
    // The perplexity of an untrained model is about that of random guessing.
    let is_close = perplexity < 1.5 * words as f64;
    if perplexity <= words as f64 || (is_close && step < UNTRAINED) {
        return None;
    }
    let train = &config.train;
    let is_sampled = matches!(config.softmax, Softmax::Sampled { .. });
    let optimizer = train.tables.optimizer;
    let cause = if is_sampled && !optimizer.suits_rare_rows {
        format!(
            "with a sampled softmax, `{optimizer}` updates rarely used rows of the tables too strongly; set \
             `train.table_optimizer = \"{DEFAULT}\"`"
        )
    } else if train.has_own_table_update() {
        format!(
            "the learning rate is too large; lower `train.learning_rate` ({:?}) or `train.table_learning_rate` ({:?})",
            train.learning_rate, train.tables.learning_rate
        )
    } else {
        format!(
            "the learning rate is too large; lower `train.learning_rate` ({:?})",
            train.learning_rate
        )
    };
    let found = if perplexity < 1e15 {
        grouped(perplexity as u64)
    } else {
        format!("{perplexity:.1e}")
    };
    Some(format!(
        "after {}, the validation perplexity of {found} is worse than that of random guessing among {} words; likely cause: {cause}",
        counted(step, "step"),
        grouped(words as u64)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_depends_on_the_configuration() {
        let warning = |sets: &[&str], perplexity, step| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let text = "[data]\ntrain = [\"x\"]\n";
            let config = Config::parse(text, "test", &std::env::temp_dir(), &sets).unwrap();
            worse_than_guessing(&config, 1000, perplexity, step)
        };
        let adam = ["train.optimizer=adam", "train.table_optimizer=adam"];
        assert_eq!(warning(&adam, 1000.0, 500), None);
        assert_eq!(warning(&adam, 1499.0, 99), None);
        let text = warning(&adam, 309_191_936.0, 150).unwrap();
        assert!(
            text.contains("309,191,936") && text.contains("train.table_optimizer"),
            "{text}"
        );
        let text = warning(&["train.optimizer=adam"], 1e300, 1).unwrap();
        assert!(
            text.contains("1.0e300") && text.contains("train.table_learning_rate"),
            "{text}"
        );
        let full = [&adam[..], &["softmax.kind=full"]].concat();
        for sets in [&full[..], &[]] {
            let text = warning(sets, 1001.0, 100).unwrap();
            assert!(text.contains("lower `train.learning_rate`"), "{text}");
            assert!(!text.contains("table"), "{text}");
        }
    }
}
