//! The configuration of a model and its training: TOML text and `--set` overrides in, one checked [`Config`] out.
//!
//! It goes in two steps. `document` reads the text into values that know where they stand, and refuses keys that do not
//! exist; `resolve` turns them into the typed, checked configuration that everybody else uses. What can be wrong with a
//! configuration is found here, before any work; what only training asks of one is in [`Config::check_limits`] and in
//! `train::schedule`. `defaults.toml` is the one list of keys, with their defaults.
//!
//! The limits on sizes are such that no count of parameters, activations or their bytes can overflow 64 bits.

mod document;
mod paths;
mod resolve;
mod write;

pub use paths::is_pattern;

use std::path::{Path, PathBuf};

use crate::cell::{Cell, LayerSizes};
use crate::error::{Error, Result};
use document::Document;

/// Every key of a configuration with its default, as commented TOML.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What is computed.
    pub model: ModelConfig,
    /// The softmax of training.
    pub softmax: Softmax,
    /// The text.
    pub data: DataConfig,
    /// How it is trained.
    pub train: TrainConfig,
    /// How devices are used.
    pub device: DeviceConfig,
}

/// The sizes and cells of a language model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// One cell per layer, at least one.
    pub cells: Vec<Cell>,
    /// `E`, numbers per embedded word.
    pub embedding: usize,
    /// `H`, memory cells per layer.
    pub hidden: usize,
    /// `P`, size of the projected output of a layer; 0: no projection.
    pub projection: usize,
    /// Probability that a number is dropped from the embedding's and every layer's output, in `[0, 1)`.
    pub dropout: f64,
    /// Adds a layer's input to its output wherever both have the same size.
    pub residual: bool,
    /// One table for embedding and softmax.
    pub tied: bool,
    /// Where the tables are, with the state of their optimizer.
    pub tables: TablePlacement,
    /// Added to the forget gate when computing; not stored in the bias.
    pub forget_bias: f64,
}

impl ModelConfig {
    /// The number of layers.
    pub fn layers(&self) -> usize {
        self.cells.len()
    }

    /// The size of every layer's output: `P`, or `H` without projection.
    pub fn output_size(&self) -> usize {
        if self.projection == 0 {
            self.hidden
        } else {
            self.projection
        }
    }

    /// `I`, the size of the input of a layer counted from 0: `E` for the first, the output size after.
    pub fn input_size(&self, layer: usize) -> usize {
        if layer == 0 {
            self.embedding
        } else {
            self.output_size()
        }
    }

    /// The sizes of a layer counted from 0.
    pub fn sizes(&self, layer: usize) -> LayerSizes {
        LayerSizes {
            input: self.input_size(layer),
            hidden: self.hidden,
            output: self.output_size(),
        }
    }
}

/// The softmax of training; evaluation is always over the full vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Softmax {
    /// Cross-entropy over the vocabulary.
    Full,
    /// Cross-entropy over the target and sampled candidates.
    Sampled {
        /// `S`, distinct candidates per step and device.
        samples: usize,
    },
}

/// Which text is read, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct DataConfig {
    /// How the text becomes rows of batches.
    pub order: Order,
    /// How lines become tokens.
    pub tokens: Tokens,
    /// Absolute paths or patterns (`*`, `?`, `[...]`) of the training text; at least one.
    pub train: Vec<PathBuf>,
    /// The same of the validation text; may be empty.
    pub valid: Vec<PathBuf>,
    /// The same of the test text; may be empty.
    pub test: Vec<PathBuf>,
    /// Absolute path of the vocabulary file; none: the vocabulary is built from the training text.
    pub vocab: Option<PathBuf>,
    /// The size at which a built vocabulary is cut, or that a vocabulary file must have; 0: any.
    pub vocab_size: usize,
    /// How often a word of the training text must be there to be in a built vocabulary; 1 where there is a vocabulary file.
    pub min_count: u64,
    /// Whether files and lines of `sentences` are shuffled each epoch.
    pub shuffle: bool,
    /// The part of the training text, from its end, that is the validation text where `valid` names none, and is not trained on; in
    /// `[0, 0.5]`, 0: none.
    pub valid_share: f64,
}

impl DataConfig {
    /// Whether there is validation text.
    pub fn validates(&self) -> bool {
        !self.valid.is_empty() || self.valid_share > 0.0
    }
}

/// How a model is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// `B`, streams per device.
    pub batch: usize,
    /// Batches of this size that a device computes one after the other and adds up the gradients of, for one step; at least 1.
    pub accumulate: usize,
    /// `T`, steps of truncated back-propagation.
    pub unroll: usize,
    /// The update rule.
    pub optimizer: Optimizer,
    /// The learning rate that the schedule starts from; not negative.
    pub learning_rate: f64,
    /// How the learning rate goes on.
    pub schedule: Schedule,
    /// Half the width of the uniform initialisation of every parameter; 0: each parameter's own initialiser.
    pub init_range: f64,
    /// The joint norm to which gradients are clipped; 0: no clipping.
    pub clip_norm: f64,
    /// The decay of the moving average of the recurrent parameters, in `[0, 1)`; 0: off.
    pub ema: f64,
    /// How gradients are scaled, clipped and joined.
    pub recipe: Recipe,
    /// The numbers that devices compute with.
    pub precision: Precision,
    /// Whether products round every multiply-add once on devices too that have to emulate it.
    pub fused: bool,
    /// Whether the backward pass computes the gates again, some steps at a time, instead of having all of them kept.
    pub recompute: bool,
    /// The limit in passes over the training text; 0: none.
    pub epochs: u64,
    /// The limit in optimizer steps; 0: none.
    pub steps: u64,
    /// The limit in seconds of training; 0: none.
    pub seconds: f64,
    /// Steps between validations; 0: only at the ends of epochs and of the run.
    pub validate_every: u64,
    /// Targets of a validation, the first of its text; 0: all.
    pub validate_targets: u64,
    /// Steps between checkpoints; 0: only at the ends of epochs and of the run.
    pub checkpoint_every: u64,
    /// How many of the newest checkpoints are kept besides the best; at least 1.
    pub keep: usize,
    /// Steps between the step lines of the metrics; at least 1.
    pub log_every: u64,
    /// Steps between histograms of weights and gradients, for TensorBoard; 0: none.
    pub histogram_every: u64,
    /// The key of every random number.
    pub seed: u64,
}

/// How devices are used.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceConfig {
    /// The most bytes that a step binds of one buffer, and that a buffer of a table holds; 0: what the device allows.
    pub max_binding: u64,
    /// The rows of a table that a device keeps of tables on the host; 0: four times those of a step.
    pub table_rows: usize,
}

/// How the learning rate changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// Never.
    Constant,
    /// Rises linearly for `warmup_steps`, then falls along half a cosine to 0 at the end of the run.
    Cosine {
        /// Steps of the rise.
        warmup_steps: u64,
    },
    /// Multiplied by `decay` at the start of each epoch after epoch `decay_after`, the first epoch being 1.
    Exponential {
        /// The factor, in `(0, 1]`.
        decay: f64,
        /// The last epoch at the full rate.
        decay_after: u64,
    },
    /// Multiplied by `decay` when a validation is no better than the best before it.
    Plateau {
        /// The factor, in `(0, 1]`.
        decay: f64,
    },
}

/// An enumeration whose values have names in the configuration.
pub(crate) trait Named: Copy + PartialEq + 'static {
    /// Every value with its name.
    const ALL: &'static [(&'static str, Self)];
}

/// Declares an enumeration, the names of its values, and `as_str`.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($(#[$value_doc:meta])* $value:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type { $($(#[$value_doc])* $value,)* }

        impl Named for $type {
            const ALL: &'static [(&'static str, $type)] = &[$(($name, $type::$value),)*];
        }

        impl $type {
            /// The name in the configuration.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$value => $name,)* }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

named! {
    /// How text becomes the rows of a batch.
    Order {
        /// A sentence a line between marks `<S>`, packed back to back into the rows of a batch; blank lines are skipped.
        Sentences = "sentences",
        /// One sequence with `<eos>` after each line, blank ones too, cut into as many columns as a batch has rows.
        Contiguous = "contiguous",
    }
}

named! {
    /// How a line becomes tokens.
    Tokens {
        /// A tokenized corpus: tokens are what white space (Unicode `White_Space`) separates.
        Whitespace = "whitespace",
        /// Plain text: letters and digits stay together with apostrophes and hyphens between them (`don't`, `well-known`),
        /// every other character that is not white space is a token of its own. Case is kept.
        Words = "words",
        /// Every character is a token, white space too; line ends are `<eos>`.
        Characters = "characters",
    }
}

impl Tokens {
    /// What the speed of a run is counted in.
    pub fn unit(self) -> &'static str {
        match self {
            Tokens::Characters => "chars/s",
            Tokens::Whitespace | Tokens::Words => "words/s",
        }
    }
}

named! {
    /// Where the tables of a model are: embedding, softmax weights and bias, with the state of their optimizer.
    TablePlacement {
        /// In the memory of the device.
        Device = "device",
        /// In the memory of the host; the rows of a step travel.
        Host = "host",
    }
}

named! {
    /// The update rule.
    Optimizer {
        /// Accumulated squares (Duchi et al. 2011), starting at 1.
        Adagrad = "adagrad",
        /// Plain gradient descent.
        Sgd = "sgd",
        /// Gradient descent with a running sum of gradients.
        Momentum = "momentum",
        /// Adam (Kingma and Ba 2015).
        Adam = "adam",
    }
}

named! {
    /// How gradients are scaled, clipped and joined over devices.
    Recipe {
        /// As the code of the paper does it.
        Paper = "paper",
        /// The mean loss over all tokens, one norm over all parameters.
        Plain = "plain",
    }
}

named! {
    /// The numbers that devices compute with.
    Precision {
        /// 32-bit floating point throughout.
        F32 = "f32",
        /// 16-bit operands, 32-bit sums and weights.
        Mixed = "mixed",
    }
}

impl Config {
    /// Reads, resolves and checks the TOML file at `path`, with overrides of the form `section.key=value` applied to it.
    ///
    /// Paths in the file are relative to its folder. Paths in overrides too, unless nothing is there and something is
    /// at that path relative to the working directory. All paths of the result are absolute.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) for a file that cannot be read and for everything that is wrong in it
    /// or in an override: place, key, value and what would be allowed.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Config> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| {
            Error::usage(format!("cannot read the configuration `{name}`"))
                .because(error)
                .help("name a TOML file, such as configs/shakespeare.toml")
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..valid]
                .iter()
                .filter(|&&byte| byte == b'\n')
                .count()
                + 1;
            Error::usage(format!(
                "{name}:{line}: the configuration is not UTF-8 text"
            ))
            .because(error)
            .help("a configuration is a TOML file in UTF-8")
        })?;
        Config::parse(&text, &name, &paths::folder_of(path)?, overrides)
    }

    /// Resolves and checks a configuration given as TOML text. `name` stands for the file in messages, and relative
    /// paths in the text are relative to `folder`, which must be absolute.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn parse(text: &str, name: &str, folder: &Path, overrides: &[String]) -> Result<Config> {
        let mut document = Document::parse(text, name)?;
        for text in overrides {
            document.set(text)?;
        }
        resolve::resolve(&document, folder)
    }

    /// Checks that something ends the training: one of epochs, steps and seconds. Separate from loading, as the command
    /// line can supply it.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if none of the three is set.
    pub fn check_limits(&self) -> Result<()> {
        let train = &self.train;
        if train.epochs == 0 && train.steps == 0 && train.seconds == 0.0 {
            return Err(Error::usage(
                "nothing ends this training: `train.epochs`, `train.steps` and `train.seconds` are all 0",
            )
            .help("set one of them in the configuration, or give --steps or --seconds"));
        }
        Ok(())
    }
}
