//! The cutoffs of an adaptive softmax whose configuration gives none.

use crate::checkpoint::Checkpoint;
use crate::config::{Config, Softmax};
use crate::model::clusters::Clusters;

/// Names the cutoffs of a model with `vocabulary` words in a configuration that gives none (`[]`), so that the model does not
/// depend on the default, which may change. They are those of the model in `file` if it has clusters; otherwise the default.
/// `weight`: the name in `file` of the weights `[words, width]` of a cluster.
pub fn name_cutoffs(
    config: &mut Config,
    vocabulary: usize,
    file: Option<&Checkpoint>,
    weight: impl Fn(usize) -> String,
) {
    if has_cutoffs(config) {
        return;
    }
    let of_file = file
        .and_then(|file| cutoffs_of(file, vocabulary, weight))
        .and_then(|cutoffs| with_cutoffs(config, cutoffs))
        .filter(|config| config.check().is_ok());
    let default = || with_cutoffs(config, Clusters::of(config, vocabulary)?.cutoffs());
    if let Some(found) = of_file.or_else(default) {
        *config = found;
    }
}

/// Takes the cutoffs over from the configuration of a run to resume, if this one gives none.
pub fn keep_cutoffs(config: &mut Config, run: &Config) {
    let of_run = run.softmax.adaptive().map(|run| run.cutoffs.clone());
    if !has_cutoffs(config)
        && let Some(kept) = of_run.and_then(|cutoffs| with_cutoffs(config, cutoffs))
    {
        *config = kept;
    }
}

/// Whether nothing is left to choose.
fn has_cutoffs(config: &Config) -> bool {
    let adaptive = config.softmax.adaptive();
    adaptive.is_none_or(|adaptive| !adaptive.cutoffs.is_empty())
}

fn with_cutoffs(config: &Config, cutoffs: Vec<usize>) -> Option<Config> {
    let mut adaptive = config.softmax.adaptive()?.clone();
    adaptive.cutoffs = cutoffs;
    Some(Config {
        softmax: Softmax::Adaptive(adaptive),
        ..config.clone()
    })
}

/// The first id of each cluster in a file: the last cluster ends with the vocabulary. `None` if the file has no clusters, or
/// they have more words than the vocabulary.
fn cutoffs_of(
    file: &Checkpoint,
    vocabulary: usize,
    weight: impl Fn(usize) -> String,
) -> Option<Vec<usize>> {
    let words = |k| file.shape(&weight(k)).ok()?.first().copied();
    let words: Vec<usize> = (0..).map_while(words).collect();
    let all = words
        .iter()
        .try_fold(0, |sum: usize, n| sum.checked_add(*n))?;
    let mut end = vocabulary.checked_sub(all)?;
    let cutoffs = words.iter().map(|n| {
        let start = end;
        end += n;
        start
    });
    Some(cutoffs.collect()).filter(|cutoffs: &Vec<usize>| !cutoffs.is_empty())
}
