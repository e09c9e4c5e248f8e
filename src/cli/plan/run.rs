//! The command.

use super::super::args::Invocation;
use super::super::output;
use super::args::PlanArgs;
use super::costs::Costs;
use super::vocabulary::vocabulary_size;
use crate::config::Config;
use crate::error::Result;
use crate::model::limits::check_sizes;

/// Prints the costs.
pub(in crate::cli) fn run(arguments: &PlanArgs, invocation: &Invocation) -> Result<()> {
    let config = Config::load(&arguments.config, &arguments.overrides.set)?;
    let vocabulary = vocabulary_size(&config, invocation.quiet())?;
    check_sizes(&config, vocabulary.words, arguments.devices as usize)?;
    let costs = Costs::new(arguments, &config, &vocabulary);
    if arguments.json {
        output::print_json(&costs)
    } else {
        output::print(costs.to_string().as_bytes())
    }
}
