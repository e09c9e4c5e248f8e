//! A row of a comparison.

use std::path::PathBuf;

use serde::Serialize;

/// A row of a comparison. The speed-ups are relative to the first row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonRow {
    /// Name of the model.
    pub model: String,
    /// Cells of a layer, `H`.
    pub hidden: usize,
    /// Parameters of the recurrent layers.
    pub recurrent_parameters: u64,
    /// All parameters.
    pub parameters: u64,
    /// FLOPs of a trained word.
    pub flops_per_word: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Words trained on.
    pub words: u64,
    /// Training time in seconds.
    pub seconds: f64,
    /// Unit of the speed: `words/s` or `chars/s`.
    pub unit: &'static str,
    /// Words per second.
    pub words_per_second: f64,
    /// Speed relative to the first row. NaN, here and in the next two, if the tokens are not those of the first row.
    pub speedup: f64,
    /// The speed-up that the FLOP count alone would allow.
    pub speedup_by_flops: f64,
    /// The share of it that was achieved: `speedup / speedup_by_flops`.
    pub share_reached: f64,
    /// The training time to reach the best validation of the first row, divided by the time that the first row needed. `None` if
    /// it was never reached, or cannot be compared. With several seeds: the mean over the pairs of complete runs with the same seed,
    /// `None` if a pair has no value.
    pub sooner: Option<f64>,
    /// The best validation perplexity.
    pub perplexity: Option<f64>,
    /// The step at which it was measured.
    pub perplexity_step: Option<u64>,
    /// The number of targets of both perplexities.
    pub perplexity_targets: Option<u64>,
    /// The last validation perplexity.
    pub last_perplexity: Option<f64>,
    /// Whether the perplexities can be compared with those of the first row: both models predict the same tokens of the same text.
    pub perplexity_is_comparable: bool,
    /// The key of `[data]` in which the validation texts of this and of the first row differ, so that no number can be compared.
    #[serde(skip)]
    pub other_text: Option<&'static str>,
    /// Bits per byte of the best validation.
    pub bits_per_byte: Option<f64>,
    /// Bits per byte of the last validation.
    pub last_bits_per_byte: Option<f64>,
    /// Whether bits per byte are a lower bound, because targets are unknown words.
    pub bits_per_byte_is_lower_bound: bool,
    /// The number of streams of validations.
    pub streams: usize,
    /// The share of unknown words among the targets of the last validation.
    pub unknown: Option<f64>,
    /// Whether that share is large but the model was trained on no unknown word, so that the perplexity is not
    /// meaningful.
    pub unlearned: bool,
    /// The perplexity of the unigram model of the training text on the targets of the best validation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unigram: Option<f64>,
    /// Device memory for training and validation in bytes.
    pub memory: Option<u64>,
    /// Whether it trained to the end of its budget, without a failure. With several seeds: whether all runs did.
    pub complete: bool,
    /// `finished`, `running`, `killed`, `interrupted`, `diverged`, `failed` or `not begun`.
    pub status: String,
    /// The run folder; with several seeds that of the first.
    pub run: PathBuf,
    /// With several seeds: the standard deviations, and the row of each run. The other fields are then means over complete runs; if
    /// there is none, steps, words, seconds and speeds are means over all runs, and there are no perplexities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_seeds: Option<OverSeeds>,
}

/// The numbers of a model over several seeds. The row of the model has the means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OverSeeds {
    /// `train.seed` of each run.
    pub seeds: Vec<u64>,
    /// The number of runs in the means: the complete ones.
    pub measured: usize,
    /// Sample standard deviation of the best perplexities.
    pub perplexity_deviation: Option<f64>,
    /// Sample standard deviation of the last perplexities.
    pub last_perplexity_deviation: Option<f64>,
    /// Sample standard deviation of the bits per byte of the best validations.
    pub bits_per_byte_deviation: Option<f64>,
    /// Sample standard deviation of the bits per byte of the last validations.
    pub last_bits_per_byte_deviation: Option<f64>,
    /// Sample standard deviation of `sooner`.
    pub sooner_deviation: Option<f64>,
    /// The distance from the model with the best mean. `None` for that model, without two complete runs of
    /// both, and if bits per byte are compared and are a lower bound.
    pub from_best: Option<FromBest>,
    /// The row of each run.
    pub runs: Vec<ComparisonRow>,
}

/// The distance of a mean from the best mean: of perplexity or, if models have different tokens, of bits per byte.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FromBest {
    /// The best model.
    pub best: String,
    /// The difference of the means.
    pub difference: f64,
    /// Its standard error, `sqrt(s1^2 / n1 + s2^2 / n2)`.
    pub standard_error: f64,
    /// Degrees of freedom of the difference, by Welch and Satterthwaite.
    pub degrees_of_freedom: f64,
    /// The standard error times the quantile of Student's t-distribution for a two-sided test at 5 %.
    pub margin: f64,
    /// Whether the difference is at most the margin: it may be chance.
    pub within_spread: bool,
}
