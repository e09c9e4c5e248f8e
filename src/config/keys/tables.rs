//! How the tables (embedding, softmax weights and bias) are updated: the keys `train.table_optimizer` and
//! `train.table_learning_rate`.

use super::limits::SINGLE;
use super::recipe::Recipe;
use super::softmax::Softmax;

use crate::config::document::Document;
use crate::config::key::Resume::MustStay;
use crate::config::named::{Named, NamedValue};
use crate::config::section::keys;
use crate::config::setting::{KeyValue, Setting};
use crate::error::Result;
use crate::kernels::optimizer::{DEFAULT, Optimizer};

/// How the tables are updated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TableUpdate {
    /// The optimizer of the tables.
    pub optimizer: &'static Optimizer,
    /// The learning rate that the schedule starts from.
    pub learning_rate: f64,
    /// Whether the optimizer differs from `train.optimizer`.
    is_other: bool,
    /// Whether the configuration gives the learning rate.
    has_given_rate: bool,
}

/// The value of `train.table_optimizer`: an optimizer, or `None` for `"auto"`.
#[derive(Clone, Copy, PartialEq)]
struct Choice(Option<&'static Optimizer>);

impl Named for Choice {
    fn all() -> Vec<NamedValue<Choice>> {
        let auto = NamedValue {
            name: "auto",
            value: Choice(None),
            doc: "Adagrad with a sampled softmax and `optimizer = \"adam\"`; otherwise the same as `optimizer`.",
        };
        let named = <&Optimizer>::all().into_iter().map(|one| NamedValue {
            name: one.name,
            value: Choice(Some(one.value)),
            doc: one.doc,
        });
        std::iter::once(auto).chain(named).collect()
    }

    fn name(self) -> &'static str {
        self.0.map_or("auto", |optimizer| optimizer.name)
    }
}

keys! {
    TableUpdate: "train" {
        /// Optimizer of the tables: embedding, softmax weights and bias. With a sampled softmax, most rows of the tables are
        /// rarely used. Adam updates such a row by as much as a row that is used at every step, and training can diverge.
        /// Adagrad does not have this problem, nor does Adam with a full softmax.
        table_optimizer: Choice = Setting { default: Choice(None), rule: (), resume: MustStay },
            of |tables| tables.is_other.then_some(Choice(Some(tables.optimizer)));

        /// Learning rate of the tables that the schedule starts from. 0: `learning_rate`; if the optimizer of the tables
        /// differs from `optimizer`, 0.2 with `recipe = "paper"` and 20 with `recipe = "plain"`, whose gradients are smaller.
        table_learning_rate: f64 = Setting { default: 0.0, rule: SINGLE, resume: MustStay },
            of |tables| tables.has_given_rate.then_some(tables.learning_rate);
    }
}

/// The default learning rate of tables whose optimizer differs from `train.optimizer`.
fn own_rate(recipe: Recipe) -> f64 {
    match recipe {
        Recipe::Paper => 0.2,
        Recipe::Plain => 20.0,
    }
}

impl TableUpdate {
    /// Reads the keys.
    pub(crate) fn read(document: &Document) -> Result<TableUpdate> {
        let optimizer: &'static Optimizer =
            KeyValue::read(&document.field("train.optimizer"), &())?;
        let learning_rate = KeyValue::read(&document.field("train.learning_rate"), &SINGLE)?;
        let recipe = KeyValue::read(&document.field("train.recipe"), &())?;
        let chosen = match table_optimizer(document)?.0 {
            Some(chosen) => chosen,
            // A resolved configuration omits the key if the tables have the same optimizer as the other parameters.
            None if document.is_written() => optimizer,
            None if !optimizer.suits_rare_rows && Softmax::is_sampled(document)? => DEFAULT,
            None => optimizer,
        };
        let is_other = chosen != optimizer;
        let given = table_learning_rate(document)?;
        Ok(TableUpdate {
            optimizer: chosen,
            learning_rate: match given {
                0.0 if is_other => own_rate(recipe),
                0.0 => learning_rate,
                given => given,
            },
            is_other,
            has_given_rate: given > 0.0,
        })
    }

    /// The entries of the keys.
    pub(crate) fn entries() -> Vec<crate::config::entry::Entry<TableUpdate>> {
        entries()
    }
}
