//! Evaluation with batches of any shape.

use std::sync::Arc;

use crate::common::program::{checkpoint, lines_of, number};
use wlstm::checkpoint::Checkpoint;
use wlstm::config::Config;
use wlstm::corpus::{Corpus, Order, Text, TokenKind, Vocabulary};
use wlstm::device::CpuExecutor;
use wlstm::model::parameter_set::ParameterSet;
use wlstm::train::evaluate::{Evaluation, evaluate};
use wlstm::train::session::TrainingSession;

use super::tools::{Outcome, Setup, balanced, grammar_text, near};

/// A batch of any shape counts every target once. With one stream the result does not depend on the unroll.
pub fn shapes(order: &'static str) -> Outcome {
    let setup = Setup::new(
        order,
        &grammar_text(200, 1),
        &(balanced(50) + "cows moo\n\nfish\n"),
    );
    let config = setup.config("glstm", "full", "");
    let run = setup.train(&config, &["--steps", "40"]);
    let config = Config::load(&config, &[]).map_err(|e| e.chain().to_string())?;
    let found = |batch: usize, unroll: usize| -> wlstm::error::Result<Evaluation> {
        let mut config = config.clone();
        (config.train.batch, config.train.unroll) = (batch, unroll);
        let file = Checkpoint::open(&checkpoint(&run, 40))?;
        let order = if order == "sentences" {
            Order::Sentences
        } else {
            Order::Contiguous
        };
        let words = Arc::new(Vocabulary::from_bytes(
            file.tensor_u8("vocab")?,
            order,
            "test",
        )?);
        let executor = Box::new(CpuExecutor::<f32>::new());
        let mut session = TrainingSession::on_device(executor, &config, words.len())?;
        session.initialise_from(&file)?;
        let corpus = Arc::new(Corpus::open(&config.data.valid)?);
        evaluate(
            session.evaluator(ParameterSet::Average)?,
            &Text::new(corpus, words, TokenKind::Whitespace),
            0,
            |_, _| Ok(()),
        )
    };
    let found = |batch, unroll| found(batch, unroll).map_err(|e| e.chain().to_string());
    // 400 sentences have 3 words and an end, two more have 2 words and 1 word. In a contiguous text the blank
    // line counts too, and the first token is given, not predicted.
    let targets = match order {
        "sentences" => 400 * 4 + 3 + 2,
        _ => 400 * 4 + 3 + 1 + 2 - 1,
    };
    let one = found(1, 7)?;
    for (batch, unroll) in [(1, 7), (1, 1), (1, 300), (8, 8), (3, 5), (200, 2)] {
        let other = found(batch, unroll)?;
        if (other.targets, other.unknown) != (targets, 2) {
            return Err(format!("batch {batch}, unroll {unroll}: {other:?}").into());
        }
        if batch == 1 {
            near(other.nll, one.nll, 1e-6)?;
        }
    }
    // The result of the run itself.
    let valid = lines_of(&run, "valid").pop().ok_or("no validation")?;
    near(number(&valid, "nll"), found(8, 8)?.nll, 1e-6)
}
