//! What is known to be wrong and waits to be mended. Nothing is added here, and in the end nothing is left.

/// Files that are longer.
pub const LONG: &[&str] = &[
    "src/checkpoint/run.rs",
    "src/corpus/cache.rs",
    "src/corpus/files.rs",
    "src/corpus/tally.rs",
    "src/interchange/onnx.rs",
    "src/report/plot.rs",
    "src/train/estimate.rs",
    "src/train/run.rs",
    "src/train/session.rs",
    "src/train/update.rs",
];

/// Files that import each other in a circle.
pub const IN_CIRCLES: &[&str] = &[
    "config/keys/data.rs",
    "config/keys/device.rs",
    "config/keys/model.rs",
    "config/keys/schedule.rs",
    "config/keys/softmax.rs",
    "config/keys/train.rs",
    "config/mod.rs",
    "config/reference.rs",
    "config/resolved.rs",
    "corpus/batches.rs",
    "corpus/cache.rs",
    "corpus/contiguous.rs",
    "corpus/sentences.rs",
    "corpus/text.rs",
    "device/executor.rs",
    "device/footprint.rs",
    "report/comparison.rs",
    "report/mod.rs",
    "report/page.rs",
    "report/plot.rs",
    "report/run.rs",
    "report/table.rs",
];

/// Where a crate is named outside its layers.
pub const OUTSIDE: &[&str] = &[];

/// Where something is named that another file declares.
pub const NAMED_ELSEWHERE: &[&str] = &["cli/factorize.rs: flstm", "cli/factorize.rs: glstm"];
