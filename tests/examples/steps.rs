// Trains a character model on `text.txt`, step by step: what `Job` does, without its loop.
use std::path::Path;
use std::sync::Arc;
use wlstm::config::Config;
use wlstm::corpus::{BatchOptions, Batches, Corpus, Text, VocabularyBuilder};
use wlstm::device::CpuExecutor;
use wlstm::train::{prepare::Preparer, session::TrainingSession, update::control};

const CONFIG: &str = r#"
[model]
cell = "glstm"
groups = 2
embedding = 16
hidden = 32
projection = 16
[softmax]
kind = "full"
[data]
order = "contiguous"
tokens = "characters"
train = ["text.txt"]
[train]
batch = 4
unroll = 8
"#;

fn main() -> wlstm::error::Result<()> {
    let config = Config::parse(CONFIG, "config.toml", Path::new(""), &[])?;
    let corpus = Arc::new(Corpus::open(&config.data.train)?);
    let words = VocabularyBuilder::new(config.data.order, config.data.tokens).build(&corpus)?;
    let text = Text::new(corpus, Arc::new(words), config.data.tokens);
    let vocabulary = text.vocabulary().len();

    // The model on its device. A `GpuExecutor` would do the same.
    let executor = Box::new(CpuExecutor::<f32>::new());
    let mut session = TrainingSession::on_device(executor, &config, vocabulary)?;
    session.initialise()?;

    let options = BatchOptions {
        batch: 4,
        unroll: 8,
        shuffle: false,
        seed: 1,
        epochs: 0,
    };
    let mut preparer = Preparer::new(&config, vocabulary, 0, session.division())?;
    let mut losses = Vec::new();
    for batch in Batches::training(&text, &options)?.take(20) {
        let mut inputs = preparer.prepare(batch?).inputs;
        let step = losses.len() as u64;
        inputs.set_control(control(&config, step, config.train.learning_rate, 1.0));
        session.step(inputs)?;
        losses.push(session.fetch()?.loss);
    }
    // Before training, all characters are about equally likely.
    assert!((losses[0] - (vocabulary as f64).ln()).abs() < 0.5);
    assert!(losses[19] < losses[0]);
    Ok(())
}
