//! Settings of other programs that wlstm does not have, and what it has instead.

use super::named::Named;
use crate::kernels::optimizer::Optimizer;

/// Names in the spelling of [`plain`], with the help for each.
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
        "the constants of the optimizers are fixed; `train.optimizer` selects the optimizer, `train.learning_rate` its rate",
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
        "the models are unidirectional LSTMs without attention; `model.cell` selects the cell",
    ),
    (
        &[
            "num_workers",
            "workers",
            "threads",
            "num_threads",
            "n_threads",
        ],
        "the number of threads is not part of the configuration; set the environment variable RAYON_NUM_THREADS",
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
        "the device is not part of the configuration; choose it with `--device`",
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
        "the run folder is not part of the configuration; choose it with `--out`",
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
        "resume a run with `--resume`, or start one from given parameters with `--init`",
    ),
    (
        &["words", "tokens_total", "max_tokens", "train_tokens"],
        "there is no limit in words; use `--words`, which sets `train.steps`",
    ),
];

/// A name in the spelling of keys: in lower case, with underscores.
pub(super) fn plain(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    lower.trim_start_matches('-').replace(['-', ' '], "_")
}

/// The help for a setting of this name that wlstm does not have. `None` for any other name.
pub(super) fn absent(name: &str) -> Option<String> {
    let optimizers = <&'static Optimizer>::all();
    if optimizers.iter().any(|one| one.name == name) {
        return Some(format!(
            "{name} is an optimizer with fixed constants; select it with `train.optimizer = \"{name}\"`"
        ));
    }
    let all = ABSENT.iter();
    all.filter(|(names, _)| names.contains(&name))
        .map(|(_, text)| (*text).to_owned())
        .next()
}
