//! The section `[train]`.

use super::limits::{COUNT, INDEX, SINGLE};
use super::recipe::Recipe;
use super::schedule::{self, Schedule};
use super::tables::TableUpdate;
use crate::config::automatic::Automatic;
use crate::config::document::Document;
use crate::config::entry::Group;
use crate::config::key::Measured;
use crate::config::key::Resume::{MayChange, MustStay, SameMeasure};
use crate::config::named::named;
use crate::config::section::section;
use crate::config::setting::{Numbers, Setting};
use crate::error::Result;
use crate::kernels::optimizer::{self, Optimizer};

section! {
    /// How a model is trained.
    TrainConfig: "train" {
        /// Batch size per device: the number of streams, `B`.
        batch: usize = Setting { default: 128, rule: 1..=INDEX, resume: MustStay },
            known as [
                "batch_size", "batchsize", "bs", "bsz", "minibatch", "mini_batch", "train_batch_size",
                "per_device_train_batch_size", "num_streams", "streams",
            ];

        /// Number of micro-batches per step (gradient accumulation). A device computes them in sequence and sums their
        /// gradients. A step covers `accumulate` times `batch` streams, in little more memory than one micro-batch
        /// needs.
        // Each micro-batch has its own plan.
        accumulate: usize = Setting { default: 1, rule: 1..=256, resume: MustStay },
            known as [
                "accumulation", "accumulation_steps", "grad_accumulation", "gradient_accumulation",
                "gradient_accumulation_steps", "accumulate_grad_batches", "grad_accum", "micro_batches",
            ];

        /// Time steps of truncated back-propagation, `T`.
        unroll: usize = Setting { default: 20, rule: 1..=INDEX, resume: MustStay },
            known as [
                "seq_len", "seq_length", "seqlen", "sequence_length", "bptt", "bptt_len", "tbptt", "context",
                "context_length", "context_size", "block_size", "num_steps", "time_steps", "timesteps", "n_ctx",
                "window",
            ];

        /// The optimizer. The tables can have a different one; see `table_optimizer`.
        optimizer: &'static Optimizer = Setting { default: optimizer::DEFAULT, rule: (), resume: MustStay },
            known as ["optimiser", "optim", "opt", "algorithm", "solver"];

        /// Learning rate that the schedule starts from.
        learning_rate: f64 = Setting { default: 0.2, rule: SINGLE, resume: MustStay },
            known as ["lr", "rate", "eta", "alpha", "base_lr", "step_size", "max_lr", "initial_lr"];

        /// How the tables are updated.
        tables: TableUpdate = Group { read: TableUpdate::read, entries: TableUpdate::entries };

        /// How the learning rate changes.
        schedule: Schedule = Group { read: Schedule::read, entries: schedule::entries };

        /// Initialises all parameters, including biases, uniformly between minus and plus this number; 0: each
        /// parameter has its own initialiser, for example Glorot uniform.
        init_range: f64 = Setting { default: 0.0, rule: SINGLE, resume: MustStay },
            known as [
                "init_scale", "initrange", "uniform_init", "param_init", "weight_init", "init_std",
                "initializer_range",
            ];

        /// Maximum norm of the gradients; larger gradients are scaled down to it. With `recipe = "paper"` it is the joint norm
        /// of the recurrent gradients of a device, with `"plain"` that of all gradients. 0: no clipping.
        clip_norm: f64 = Setting { default: 10.0, rule: SINGLE, resume: MustStay },
            known as [
                "clip", "grad_clip", "gradient_clip", "gradient_clipping", "clip_grad", "clip_grad_norm",
                "clip_gradients", "clip_value", "max_grad_norm", "max_norm", "gradient_clip_val",
            ];

        /// Decay of the moving average of the recurrent parameters; 0: off. After `n` steps the initial parameters have
        /// weight `ema^n` in it. Validation, `eval`, `score`, `generate` and `export` use the average once this weight is at
        /// most 0.1, and the parameters themselves before.
        ema: f64 = Setting {
            default: 0.999,
            rule: Numbers {
                allowed: "a number from 0 (off) to at most 0.999999",
                contains: |x| (0.0..=0.999_999).contains(&x),
            },
            resume: MustStay,
        },
            known as ["ema_decay", "moving_average", "weight_averaging", "averaging", "average", "polyak", "swa"];

        /// How gradients are scaled, clipped and combined across devices.
        recipe: Recipe = Setting { default: Recipe::Paper, rule: (), resume: MustStay };

        /// The number formats of training.
        precision: Precision = Setting { default: Precision::F32, rule: (), resume: MustStay },
            known as ["amp", "use_amp", "fp16", "bf16", "half", "dtype", "mixed_precision", "use_fp16"];

        /// Uses fused multiply-add in matrix products on software adapters too. They emulate it, and take two to
        /// three times as long.
        fused: bool = Setting { default: false, rule: (), resume: MustStay };

        /// Recomputes the gates in the backward pass, a few time steps at once, instead of storing them for all time steps
        /// (activation checkpointing). Needs less memory and more time. Results differ by rounding on GPUs, and on the CPU if
        /// a batch has more than 512 tokens.
        recompute: bool = Setting { default: false, rule: (), resume: MustStay },
            known as ["gradient_checkpointing", "activation_checkpointing", "checkpoint_activations", "remat"];

        /// Passes over the training text; 0: no limit. Training ends at the first limit reached of `epochs`, `steps` and
        /// `seconds`; one of them must be set.
        epochs: u64 = Setting { default: 0, rule: 0..=COUNT, resume: MayChange },
            known as [
                "epoch", "n_epochs", "num_epochs", "nepochs", "max_epochs", "max_epoch", "num_train_epochs",
                "total_epochs", "passes",
            ];

        /// Optimizer steps; 0: no limit.
        steps: u64 = Setting { default: 0, rule: 0..=COUNT, resume: MayChange },
            known as [
                "max_steps", "num_steps_total", "n_steps", "total_steps", "train_steps", "num_iters", "n_iters",
                "max_iters", "iterations", "iters", "max_updates", "updates",
            ];

        /// Seconds of training; 0: no limit. Runs that end by time, or whose schedule depends on it, are not reproducible.
        seconds: f64 = Setting {
            default: 0.0,
            rule: Numbers { allowed: "a finite number that is not negative", contains: |x| x >= 0.0 },
            resume: MayChange,
        },
            known as ["time", "max_time", "time_limit", "max_seconds", "duration", "budget", "train_time"];

        /// Steps between validations; 0: only at the ends of epochs and of the run. "auto": 12 validations at equal
        /// intervals, or one after each epoch if the run has 10 to 20 epochs; with the schedule `plateau`, every 1000 steps.
        /// If `seconds` limits the run, the intervals are measured in time, and are not reproducible.
        validate_every: Automatic = Setting { default: Automatic::Auto, rule: 0..=COUNT, resume: MayChange },
            known as [
                "eval_every", "eval_interval", "eval_steps", "val_every", "val_interval", "valid_every",
                "validation_interval", "validation_steps", "val_check_interval", "evaluate_every", "eval_freq",
                "eval_iters",
            ];

        /// Number of targets of a validation, sampled evenly from the whole text; 0: all. "auto": enough for the validations to
        /// take about a quarter of the training time, at least 5000; at the end of the run, the last and the best parameters
        /// are evaluated on all targets.
        validate_targets: Automatic = Setting {
            default: Automatic::Auto,
            rule: 0..=COUNT,
            resume: SameMeasure(Measured::Targets),
        },
            known as [
                "eval_tokens", "eval_batches", "max_eval_tokens", "limit_val_batches", "valid_targets",
                "valid_tokens",
            ];

        /// Number of streams in which a validation reads the text. "auto": `batch`. Each stream starts at its own position with
        /// a zero state, so perplexities with different numbers of streams differ. `wlstm eval` uses one stream.
        validate_streams: Automatic = Setting {
            default: Automatic::Auto,
            rule: 1..=MAX_STREAMS,
            resume: SameMeasure(Measured::Streams),
        },
            known as ["eval_batch_size", "per_device_eval_batch_size", "valid_batch_size", "val_batch_size", "eval_bsz"];

        /// Steps between checkpoints; 0: only at the ends of epochs and of the run.
        checkpoint_every: u64 = Setting { default: 1000, rule: 0..=COUNT, resume: MayChange },
            known as [
                "save_every", "save_interval", "save_steps", "save_freq", "checkpoint_interval", "checkpoint_freq",
                "ckpt_every", "ckpt_interval", "every_n_train_steps",
            ];

        /// Number of newest checkpoints to keep, in addition to the best.
        keep: usize = Setting { default: 3, rule: 1..=INDEX, resume: MayChange },
            known as [
                "save_total_limit", "max_to_keep", "keep_checkpoints", "keep_last", "num_checkpoints",
                "max_checkpoints", "save_top_k",
            ];

        /// Steps between `step` lines of `metrics.jsonl`. The first 10 and the last are always written.
        log_every: u64 = Setting { default: 1, rule: 1..=COUNT, resume: MayChange },
            known as [
                "log_interval", "logging_steps", "log_steps", "log_freq", "print_every", "report_every",
                "log_every_n_steps",
            ];

        /// Steps between histograms of all weights, and of dense gradients before clipping, in the TensorBoard
        /// event files; 0: none.
        histogram_every: u64 = Setting { default: 0, rule: 0..=COUNT, resume: MayChange },
            known as ["histogram_freq", "histogram_interval"];

        /// The seed of all random numbers.
        seed: u64 = Setting { default: 1, rule: 0..=u64::MAX, resume: MustStay },
            known as ["random_seed", "rng_seed", "manual_seed", "random_state"];
    }
}

named! {
    /// The number formats of training.
    Precision {
        /// 32-bit floating point throughout.
        F32 = "f32",
        /// Operands of matrix products and stored activations have 16 bits, sums and weights 32 bits.
        Mixed = "mixed",
        /// Like "f32", but matrix products run on the `f16` matrix units of a GPU that has them: each operand is split into
        /// two 16-bit numbers, and three products of these replace one. Sums are at least as accurate as with "f32"; a single
        /// product is not always rounded as in IEEE `f32`. As with "mixed", values above 65,504 overflow, and the loss is
        /// scaled.
        F32x3 = "f32x3",
    }
}

impl Precision {
    /// Whether operands of products, stored activations and exchanged gradients are `f16`.
    pub fn stores_halves(self) -> bool {
        self == Precision::Mixed
    }

    /// Whether products run on `f16` matrix units, where a GPU has them. The loss is then scaled, so that small gradients stay
    /// in the range of `f16`.
    pub fn multiplies_halves(self) -> bool {
        matches!(self, Precision::Mixed | Precision::F32x3)
    }
}

/// The maximum of `train.validate_streams`.
const MAX_STREAMS: u64 = 1 << 16;

impl TrainConfig {
    /// The number of streams of a validation.
    pub fn validation_streams(&self) -> usize {
        match self.validate_streams {
            Automatic::Auto => self.batch,
            Automatic::Given(streams) => streams as usize,
        }
    }

    /// Whether the tables have a different optimizer or learning rate than the other parameters.
    pub fn has_own_table_update(&self) -> bool {
        let tables = &self.tables;
        tables.optimizer != self.optimizer || tables.learning_rate != self.learning_rate
    }

    /// Reads and checks the section.
    pub(crate) fn read(document: &Document) -> Result<TrainConfig> {
        let train = TrainConfig::read_keys(document)?;
        if train.batch.saturating_mul(train.unroll) > INDEX {
            return Err(document.field("train.batch").conflict(
                format_args!(
                    "with `train.unroll` = {}, a step has more than {INDEX} tokens",
                    train.unroll
                ),
                "reduce one of the two",
            ));
        }
        if train.precision.multiplies_halves() && train.fused {
            return Err(document.field("train.fused").conflict(
                format_args!(
                    "with `train.precision = \"{}\"`, products are not bitwise identical to those of the CPU",
                    train.precision
                ),
                "leave it out, or use `train.precision = \"f32\"`",
            ));
        }
        Ok(train)
    }
}
