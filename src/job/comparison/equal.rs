//! Chooses the number of cells of a layer, `H`, so that a model is as large or as costly as another one.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::cost::cost;
use crate::numbers::{grouped, percent};

/// The quantity that is equal in all models of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Equal {
    /// Parameters of the recurrent layers: gates, biases and projections, without embedding and softmax.
    Parameters,
    /// FLOPs per trained word, including those of the softmax.
    Flops,
}

/// `H` is a multiple of this, because kernels compute 8 cells at once. The cells may require more.
pub const MULTIPLE: usize = 8;

/// The largest accepted difference from the first model.
pub const TOLERANCE: f64 = 0.05;

/// The largest `H` that is tried.
const LARGEST: usize = 1 << 20;

/// The number of multiples that are tried in each direction until all cells accept one. More groups than this are rare.
const TRIED: usize = 4096;

/// A solution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Solved {
    /// `model.hidden`.
    pub hidden: usize,
    /// The quantity of the model with this size.
    pub value: u64,
    /// The quantity of the first model.
    pub target: u64,
}

impl Equal {
    /// The quantity of a model.
    pub fn of(self, config: &Config, vocabulary: usize) -> u64 {
        let cost = cost(config, vocabulary);
        match self {
            Equal::Parameters => cost.recurrent,
            Equal::Flops => cost.flops_per_word,
        }
    }

    /// The name in messages.
    fn noun(self) -> &'static str {
        match self {
            Equal::Parameters => "recurrent parameters",
            Equal::Flops => "FLOPs per word",
        }
    }

    /// The `H` with which the model of `config` is closest to `target`, among the multiples of 8 with which the configuration is
    /// valid. Of two that are equally close it is the smaller one. `None` if there is none.
    pub fn solve(self, config: &Config, vocabulary: usize, target: u64) -> Option<Solved> {
        let with = |hidden: usize| {
            let mut config = config.clone();
            config.model.hidden = hidden;
            config
        };
        let value = |hidden: usize| self.of(&with(hidden), vocabulary);
        // The first multiple that reaches the target: costs grow with H.
        let (mut low, mut high) = (1, LARGEST / MULTIPLE);
        while low < high {
            let middle = low.midpoint(high);
            if value(middle * MULTIPLE) < target {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let accepted = |multiple: &usize| {
            let config = with(multiple * MULTIPLE);
            // Asking the cells is faster.
            fits(&config) && config.check().is_ok()
        };
        let below = (1..low).rev().take(TRIED).find(accepted);
        let above = (low..=LARGEST / MULTIPLE).take(TRIED).find(accepted);
        let solved = |multiple: usize| Solved {
            hidden: multiple * MULTIPLE,
            value: value(multiple * MULTIPLE),
            target,
        };
        let both = below.into_iter().chain(above).map(solved);
        both.min_by_key(|solved| (solved.value.abs_diff(target), solved.hidden))
    }

    /// Sets `model.hidden` of a model. Returns a sentence about the solution. `first`: the label of the first model.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) naming the model if no size is within 5 %.
    pub fn apply(
        self,
        config: &mut Config,
        vocabulary: usize,
        label: &str,
        first: &str,
        target: u64,
    ) -> Result<String> {
        let solved = self.solve(config, vocabulary, target);
        let refused = |what: String| {
            let help = "leave this model out, change its other sizes, or compare without --equal";
            Error::usage(format!("`{label}` cannot equal `{first}`: {what}")).help(help)
        };
        let Some(solved) = solved else {
            return Err(refused(format!(
                "no multiple of {MULTIPLE} is valid as its `model.hidden`"
            )));
        };
        let found = self.sentence(&solved, first);
        if solved.difference().abs() > TOLERANCE {
            return Err(refused(format!(
                "the nearest size, `model.hidden` = {}, has {found}",
                solved.hidden
            )));
        }
        config.model.hidden = solved.hidden;
        Ok(format!(
            "`{label}`: `model.hidden` = {} has {found}.",
            solved.hidden
        ))
    }

    fn sentence(self, solved: &Solved, first: &str) -> String {
        let difference = solved.difference();
        let value = grouped(solved.value);
        let noun = self.noun();
        if solved.value == solved.target {
            return format!("{value} {noun}, as many as `{first}`");
        }
        let how = if difference > 0.0 { "more" } else { "fewer" };
        let share = match percent(difference.abs()) {
            share if share == percent(0.0) => format!("less than {}", percent(0.001)),
            share => share,
        };
        format!("{value} {noun}, {share} {how} than `{first}`")
    }
}

impl Solved {
    /// The relative difference from the target.
    pub fn difference(&self) -> f64 {
        self.value as f64 / self.target as f64 - 1.0
    }
}

/// Whether the cells of a configuration, and its tied table, accept its sizes.
fn fits(config: &Config) -> bool {
    let model = &config.model;
    let fits_layer = |layer: usize| model.cells[layer].check(&model.sizes(layer)).is_ok();
    let is_tied_well = !model.tied || model.embedding == model.output_size();
    is_tied_well && (0..model.layers()).all(fits_layer)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn config(sets: &[String]) -> Config {
        let toml = "[model]\nembedding = 48\nhidden = 96\nprojection = 48\n[data]\ntrain = [\"x\"]\n[train]\nsteps = 1\n";
        Config::parse(toml, "test", Path::new("/"), sets).expect("a configuration")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn the_nearest_multiple_is_chosen(
            target in 1_000_u64..40_000_000,
            groups in prop::sample::select(vec!["2", "3", "[4, 12]", "16", "[1, 6]"]),
            cell in prop::sample::select(vec!["lstmp", "flstm", "glstm", "[\"glstm\", \"lstmp\"]"]),
            projection in prop::sample::select(vec![0, 48]),
            equal in prop::sample::select(vec![Equal::Parameters, Equal::Flops]),
        ) {
            let mut sets = vec![format!("model.cell={cell}"), format!("model.projection={projection}")];
            if cell.contains("glstm") && !(cell.contains("lstmp") && groups.contains('[')) {
                sets.push(format!("model.groups={groups}"));
            }
            if cell == "flstm" {
                sets.push("model.factor=24".to_owned());
            }
            let config = config(&sets);
            let found = equal.solve(&config, 1000, target).expect("a size");
            prop_assert_eq!(found.hidden % MULTIPLE, 0);
            for hidden in (MULTIPLE..found.hidden * 2 + 400).step_by(MULTIPLE) {
                let mut other = config.clone();
                other.model.hidden = hidden;
                if !fits(&other) {
                    prop_assert_ne!(hidden, found.hidden);
                    continue;
                }
                let value = equal.of(&other, 1000);
                let (own, best) = (value.abs_diff(target), found.value.abs_diff(target));
                prop_assert!(own > best || own == best && hidden >= found.hidden, "{} {}", hidden, found.hidden);
                if hidden == found.hidden {
                    prop_assert_eq!(value, found.value);
                }
            }
        }
    }

    #[test]
    fn the_solution_is_described_and_a_bad_one_refused() {
        let mut dense = config(&["model.cell=lstmp".to_owned()]);
        let target = Equal::Parameters.of(&dense, 1000);
        let said = Equal::Parameters.apply(&mut dense, 1000, "dense", "first", target);
        let said = said.expect("the same size");
        assert!(
            said.contains("= 96 has") && said.ends_with("as many as `first`."),
            "{said}"
        );
        let mut grouped = config(&["model.cell=glstm".to_owned(), "model.groups=4".to_owned()]);
        let said = Equal::Parameters.apply(&mut grouped, 1000, "grouped", "first", target);
        let said = said.expect("a size");
        assert!(grouped.model.hidden > 96 && said.contains(" % "), "{said}");
        // Steps of 48 cells are too coarse for a model of a few thousand parameters.
        let refused = Equal::Parameters.apply(&mut grouped, 1000, "grouped", "first", 900);
        let error = refused.expect_err("too coarse").to_string();
        assert!(error.contains("`grouped` cannot equal `first`"), "{error}");
    }

    /// Without a projection, the width of the last cluster limits the number of cells from below. 56 cells would be closer.
    #[test]
    fn a_size_must_suit_the_softmax() {
        let sets = [
            "model.cell=lstmp",
            "model.projection=0",
            "softmax.kind=adaptive",
            "softmax.divide=8",
            "softmax.cutoffs=[2, 4]",
            "model.hidden=64",
        ];
        let of_embedding = |embedding: usize| {
            let embedding = format!("model.embedding={embedding}");
            let sets = sets.iter().map(|set| (*set).to_owned());
            config(&sets.chain([embedding]).collect::<Vec<_>>())
        };
        let target = Equal::Parameters.of(&of_embedding(8), 1000);
        let mut other = of_embedding(28);
        let found = Equal::Parameters.solve(&other, 1000, target);
        assert_eq!(found.map(|found| found.hidden), Some(64));
        let refused = Equal::Parameters.apply(&mut other, 1000, "other", "first", target);
        let error = refused.expect_err("too large").to_string();
        assert!(error.contains("`other` cannot equal `first`"), "{error}");
        assert!(other.check().is_ok());
    }

    /// Without a projection, a tied table sets the number of cells.
    #[test]
    fn a_tied_model_without_projection_has_one_size() {
        let sets = [
            "model.cell=lstmp",
            "model.projection=0",
            "model.hidden=48",
            "model.tied=true",
        ];
        let tied = config(&sets.map(str::to_owned));
        let found = Equal::Parameters.solve(&tied, 1000, 1_000_000);
        assert_eq!(found.map(|found| found.hidden), Some(48));
    }
}
