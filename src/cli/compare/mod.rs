//! `wlstm compare`: trains several models in turns on one device with the same budget, and prints them in one
//! table.

mod args;
mod display;

pub(super) use self::args::CompareArgs;
use self::args::TableFormat;
use self::display::Display;
use super::args::Invocation;
use super::executors::executor_options;
use super::messages::note;
use super::next::{device_options, longer, program, proposals};
use super::output;
use super::preparation::Preparation;
use super::progress::{UnigramModel, UnknownWords, validation_time};
use super::signals::listen;
use crate::config::DataConfig;
use crate::error::{Error, Result, command_line, quoted};
use crate::job::comparison::{
    BeginOptions, Budget, Comparison, ComparisonFolder, ComparisonOutcome, Model,
};
use crate::job::page::REPORT;
use crate::job::{Event, Stop};
use crate::numbers::counted;
use crate::report::{
    ComparisonRow, best_row, common_measure, comparison_csv, comparison_markdown, comparison_notes,
    comparison_table,
};

/// Compares, or continues a comparison.
pub(super) fn run(arguments: &CompareArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let comparison = if arguments.resume {
        resumed(arguments)?
    } else {
        started(arguments)?
    };
    let mut preparation = Preparation::new(quiet);
    let ready = comparison
        .executor_options(executor_options(invocation, quiet))
        .prepare(arguments.out.as_deref(), |event| preparation.show(event))?;
    let folder = ready.folder().clone();
    let device = ready.spec().device.clone();
    note(
        quiet,
        &format!(
            "Comparing {}, {} each, in `{}`.",
            models_and_seeds(ready.models()),
            ready.spec().budget,
            folder.path().display()
        ),
    );
    let stop = listen(false, quiet)?;
    let mut display = Display::new(ready.models(), quiet);
    let data = ready.models()[0].config.data.clone();
    let mut unknown_words = UnknownWordsOfModels::new(ready.models());
    let (mut validations, mut validation_seconds) = (0, 0.0);
    let outcome = ready.run(&stop, |k, event| {
        if let Event::Valid { took, .. } = &event {
            (validations, validation_seconds) = (validations + 1, validation_seconds + took);
        }
        let warning = unknown_words.warning_of(k, &event);
        display.show(k, event);
        if let Some(warning) = warning {
            display.warn(&warning);
        }
    });
    display.end();
    let outcome = outcome?;
    if !outcome.lines.is_empty() {
        print(arguments, &outcome.lines, &data)?;
        note(
            quiet,
            validation_time(validations, validation_seconds).trim_end(),
        );
        if stop.asked().is_none() {
            advise(&outcome, &folder, &device, quiet);
        }
    }
    verdict(outcome, &folder, &stop)
}

/// Warns of unknown words once for all models with the same tokens.
struct UnknownWordsOfModels {
    /// Of each model, the position in `warnings`.
    positions: Vec<usize>,
    warnings: Vec<(String, UnknownWords)>,
}

impl UnknownWordsOfModels {
    fn new(models: &[Model]) -> UnknownWordsOfModels {
        let mut known: Vec<&DataConfig> = Vec::new();
        let (mut positions, mut warnings) = (Vec::new(), Vec::new());
        for model in models {
            let data = &model.config.data;
            let position = known.iter().position(|other| *other == data);
            positions.push(position.unwrap_or(known.len()));
            if position.is_none() {
                known.push(data);
                warnings.push((model.row().to_owned(), UnknownWords::new(data)));
            }
        }
        UnknownWordsOfModels {
            positions,
            warnings,
        }
    }

    /// The warning about an event of model `k`, if there is one. It names the first model with these tokens if there are others.
    fn warning_of(&mut self, k: usize, event: &Event) -> Option<String> {
        let is_one = self.warnings.len() == 1;
        let (label, words) = &mut self.warnings[self.positions[k]];
        let warning = words.warning_of(event)?;
        Some(if is_one {
            warning
        } else {
            format!("{label}: {warning}")
        })
    }
}

/// The number of models, and of seeds if there are several.
fn models_and_seeds(models: &[Model]) -> String {
    let runs = models.len();
    let first = models.first().and_then(|model| model.model.as_ref());
    let is_first = |model: &&Model| model.model.as_ref() == first;
    match first.map(|_| models.iter().filter(is_first).count()) {
        None => counted(runs as u64, "model"),
        Some(seeds) => format!(
            "{} with {}",
            counted((runs / seeds) as u64, "model"),
            counted(seeds as u64, "seed")
        ),
    }
}

/// The new comparison that the command line describes.
fn started(arguments: &CompareArgs) -> Result<Comparison> {
    Comparison::begin(BeginOptions {
        configs: arguments.configs.clone(),
        variants: arguments.variants.clone(),
        overrides: arguments.overrides.set.clone(),
        seed: arguments.seed,
        seeds: arguments.seeds,
        equal: arguments.equal.map(Into::into),
        budget: budget(arguments),
        device: arguments.device.device.clone(),
    })
}

/// The comparison in `--out`. A given budget replaces that of the comparison.
fn resumed(arguments: &CompareArgs) -> Result<Comparison> {
    let given = !arguments.configs.is_empty() || !arguments.variants.is_empty();
    if given || !arguments.overrides.set.is_empty() {
        return Err(Error::usage(
            "the models of a resumed comparison cannot change",
        )
        .help(
            "leave configurations, --variants and --set out, or start a new comparison without --resume",
        ));
    }
    let out = arguments.out.as_deref();
    Comparison::resume(out, budget(arguments), &arguments.device.device)
}

fn budget(arguments: &CompareArgs) -> Option<Budget> {
    None.or(arguments.seconds.map(Budget::Seconds))
        .or(arguments.steps.map(Budget::Steps))
        .or(arguments.epochs.map(Budget::Epochs))
        .or(arguments.words.map(Budget::Words))
}

/// Prints the table and, below it, the notes and the perplexity of the unigram model of the text.
fn print(arguments: &CompareArgs, lines: &[ComparisonRow], data: &DataConfig) -> Result<()> {
    let format = if arguments.json {
        TableFormat::Json
    } else {
        arguments.format
    };
    // All models have the same validation text, but perhaps not the same tokens.
    let is_comparable = lines.iter().all(|line| line.perplexity_is_comparable);
    let perplexity = lines.iter().find_map(|line| line.unigram);
    let unigram = UnigramModel::new(data).line(perplexity.filter(|_| is_comparable));
    let notes = comparison_notes(lines);
    match format {
        TableFormat::Json => output::print_json(&lines),
        TableFormat::Csv => output::print(comparison_csv(lines).as_bytes()),
        TableFormat::Markdown => {
            let below = if unigram.is_empty() { "" } else { "\n" };
            let table = comparison_markdown(lines);
            output::print(format!("{table}{below}{unigram}").as_bytes())
        }
        TableFormat::Text => {
            let table = comparison_table(lines).text(output::terminal_width());
            let notes: String = notes.iter().map(|note| format!("{note}\n")).collect();
            output::print((table + &unigram + &notes).as_bytes())
        }
    }
}

/// Prints the path of the report, and the next commands for the best model.
fn advise(outcome: &ComparisonOutcome, folder: &ComparisonFolder, device: &str, quiet: bool) {
    let report = folder.path().join(REPORT);
    note(
        quiet,
        &format!("\nCurves and samples: `{}`", report.display()),
    );
    let Some(best) = best_model(outcome, folder) else {
        return;
    };
    let program = program();
    let run = quoted(&folder.run(&best.folder).display().to_string());
    let longer = longer(&best.config.train, 10.0);
    let device = device_options(&[device.to_owned()]);
    let title = format!("Next, with the best model, `{}`", best.label);
    let next = [
        (
            "text from it",
            format!("{program} generate {run} --tokens 500{device}"),
        ),
        (
            "train it from the start, for ten times as long",
            format!("{program} train {run}/config.toml{longer}{device}"),
        ),
    ];
    note(quiet, &proposals(&title, &next));
}

/// The model of the best run of the best row.
fn best_model<'a>(outcome: &'a ComparisonOutcome, folder: &ComparisonFolder) -> Option<&'a Model> {
    let measure = common_measure(&outcome.lines);
    let row = best_row(&outcome.lines, measure)?;
    let run = match &row.over_seeds {
        Some(seeds) => best_row(seeds.runs.iter().filter(|run| run.complete), measure)?,
        None => row,
    };
    let mut models = outcome.models.iter();
    models.find(|model| folder.run(&model.folder) == run.run)
}

/// The error of the command, if a model failed or the comparison was interrupted.
fn verdict(outcome: ComparisonOutcome, folder: &ComparisonFolder, stop: &Stop) -> Result<()> {
    let place = quoted(&folder.path().display().to_string());
    if let Some(kind) = stop.asked() {
        let command = format!("{} compare --resume --out {place}", program());
        return Err(Error::new(
            kind,
            format!("interrupted; everything is saved in `{place}`"),
        )
        .help(format!("continue with{}", command_line(&command))));
    }
    let all = outcome.models.len();
    let count = outcome.failures.len();
    let Some((k, error)) = outcome.failures.into_iter().next() else {
        return Ok(());
    };
    let label = &outcome.models[k].label;
    // With several seeds, a model has several runs.
    let things = match outcome.models[k].model {
        Some(_) => "runs",
        None => "models",
    };
    let what = match count {
        1 => format!("1 of {all} {things} failed, `{label}`"),
        count => format!("{count} of {all} {things} failed, the first of them `{label}`"),
    };
    Err(error.context(what))
}
