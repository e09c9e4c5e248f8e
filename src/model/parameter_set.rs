//! Which parameters validation, evaluation, generation and exports use: those after the last step, or their moving
//! average.
//!
//! The moving average `a = ema * a + (1 - ema) * w` starts at the initial parameters, which after `n` updates still have
//! the weight `ema^n` in it. A model with this average is no better than an untrained one while that weight is large.

use super::parameters::Group;
use crate::config::Config;
use crate::tensor::names;

/// The average is used once the weight of the initial parameters in it is at most this.
const MOST_INITIAL: f64 = 0.1;

/// Which parameters of a model are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterSet {
    /// The parameters after the last step.
    Last,
    /// The moving averages of the recurrent parameters; the tables after the last step.
    Average,
}

impl ParameterSet {
    /// The set to use after this many steps: the average, unless the model has none or the initial parameters have a
    /// weight above 0.1 in it.
    pub fn after(config: &Config, steps: u64) -> ParameterSet {
        let ema = config.train.ema;
        if ema > 0.0 && initial_weight(ema, steps) <= MOST_INITIAL {
            ParameterSet::Average
        } else {
            ParameterSet::Last
        }
    }

    /// The sets that a run uses from this step on, in order.
    pub fn of_run(config: &Config, steps: u64) -> Vec<ParameterSet> {
        let now = ParameterSet::after(config, steps);
        if config.train.ema > 0.0 && now == ParameterSet::Last {
            vec![now, ParameterSet::Average]
        } else {
            vec![now]
        }
    }

    /// The tensor of the parameter `name` of a group.
    pub fn tensor(self, config: &Config, group: Group, name: &str) -> String {
        if self == ParameterSet::Average && group.is_averaged(config) {
            names::moving_average(name)
        } else {
            name.to_owned()
        }
    }
}

/// The weight of the initial parameters in the moving average after this many updates.
pub fn initial_weight(ema: f64, steps: u64) -> f64 {
    ema.powf(steps as f64)
}

/// The first step after which a run uses its moving average. `None` if it already does after this many steps, or has none.
pub fn next_average(config: &Config, steps: u64) -> Option<u64> {
    let is_early =
        config.train.ema > 0.0 && ParameterSet::after(config, steps) == ParameterSet::Last;
    is_early.then(|| first_average(config))
}

/// The first step after which the average is used.
fn first_average(config: &Config) -> u64 {
    let guess = (MOST_INITIAL.ln() / config.train.ema.ln()).floor() as u64;
    let mut steps = guess.saturating_sub(1);
    while ParameterSet::after(config, steps) == ParameterSet::Last {
        steps += 1;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(ema: f64) -> Config {
        let text = format!("[data]\ntrain = [\"x\"]\n[train]\nema = {ema:?}\n");
        Config::parse(&text, "test", &std::env::temp_dir(), &[]).expect("a valid configuration")
    }

    #[test]
    fn the_average_is_used_once_its_initial_values_weigh_a_tenth() {
        for (ema, first) in [(0.999, 2302), (0.998, 1151), (0.9, 22), (0.5, 4), (0.1, 1)] {
            let config = with(ema);
            let set = |steps| ParameterSet::after(&config, steps);
            assert_eq!(set(0), ParameterSet::Last, "{ema}");
            assert_eq!(set(first - 1), ParameterSet::Last, "{ema}");
            assert_eq!(set(first), ParameterSet::Average, "{ema}");
            assert_eq!(next_average(&config, first - 1), Some(first));
            assert_eq!(next_average(&config, first), None);
        }
        let config = with(0.0);
        assert_eq!(ParameterSet::after(&config, 1_000_000), ParameterSet::Last);
        assert_eq!(next_average(&config, 0), None);
        assert_eq!(ParameterSet::of_run(&config, 0), [ParameterSet::Last]);
        let both = [ParameterSet::Last, ParameterSet::Average];
        assert_eq!(ParameterSet::of_run(&with(0.9), 21), both);
        assert_eq!(ParameterSet::of_run(&with(0.9), 22), both[1..]);
    }
}
