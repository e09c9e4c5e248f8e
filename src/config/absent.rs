//! Settings of other programs that this one does not have, and what it has instead.

use super::named::Named;
use crate::kernels::optimizer::Optimizer;

/// Names in the spelling of [`plain`], and what to say about them.
const ABSENT: &[(&[&str], &str)] = &[
    (
        &[
            "weight_decay",
            "wd",
            "l2",
            "l2_reg",
            "l2_penalty",
            "l1",
            "regularization",
        ],
        "there is no weight decay; `model.dropout` regularizes, and `train.ema` averages the parameters",
    ),
    (
        &[
            "recurrent_dropout",
            "dropout_h",
            "dropouth",
            "wdrop",
            "weight_drop",
            "variational_dropout",
            "zoneout",
        ],
        "the recurrent state has no dropout; `model.dropout` applies to the embedding and to the output of every layer",
    ),
    (
        &["label_smoothing", "smoothing"],
        "there is no label smoothing; `model.dropout` regularizes",
    ),
    (
        &[
            "beta1",
            "beta2",
            "betas",
            "adam_betas",
            "adam_beta1",
            "adam_beta2",
            "eps",
            "epsilon",
            "adam_epsilon",
            "adam_eps",
        ],
        "the constants of the optimizers are fixed; `train.optimizer` chooses one, `train.learning_rate` is its rate",
    ),
    (
        &["patience", "early_stopping", "early_stop"],
        "there is no early stopping: the best checkpoint is kept, and `train.schedule = \"plateau\"` lowers the learning rate",
    ),
    (
        &[
            "bidirectional",
            "attention",
            "heads",
            "num_heads",
            "n_head",
            "nhead",
        ],
        "the models are unidirectional LSTMs without attention; `model.cell` chooses the cell",
    ),
    (
        &[
            "num_workers",
            "workers",
            "threads",
            "num_threads",
            "n_threads",
        ],
        "the number of threads is no setting of a model; the variable RAYON_NUM_THREADS limits it",
    ),
    (
        &[
            "device",
            "devices",
            "gpu",
            "gpus",
            "cuda",
            "use_cuda",
            "gpu_id",
            "accelerator",
        ],
        "the device is no setting of a model; `--device` chooses it",
    ),
    (
        &[
            "out",
            "output",
            "output_dir",
            "out_dir",
            "save",
            "save_dir",
            "save_path",
            "log_dir",
            "logdir",
            "checkpoint_dir",
            "run_name",
        ],
        "the folder of a run is no setting of a model; `--out` names it",
    ),
    (
        &[
            "resume",
            "resume_from",
            "load",
            "pretrained",
            "init_from",
            "restore",
        ],
        "a run is resumed with `--resume`, and started from parameters with `--init`",
    ),
    (
        &["words", "tokens_total", "max_tokens", "train_tokens"],
        "there is no limit in words; `--words` computes `train.steps` from it",
    ),
];

/// A name in lower case with underscores, as the keys have.
pub(super) fn plain(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    lower.trim_start_matches('-').replace(['-', ' '], "_")
}

/// What to say about the setting of this name, if this program does not have it.
pub(super) fn absent(name: &str) -> Option<String> {
    let optimizers = <&'static Optimizer>::all();
    if optimizers.iter().any(|one| one.name == name) {
        return Some(format!(
            "{name} is an optimizer, `train.optimizer = \"{name}\"`, whose constants are fixed"
        ));
    }
    let all = ABSENT.iter();
    all.filter(|(names, _)| names.contains(&name))
        .map(|(_, text)| (*text).to_owned())
        .next()
}
