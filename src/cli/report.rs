//! `wlstm report`: a page about one or several runs, finished or not.

use std::path::{Path, PathBuf};

use clap::Args;

use super::args::{Invocation, report_at};
use super::messages::note;
use super::output;
use crate::checkpoint::{Which, find, has_run, run_of_checkpoint};
use crate::error::{Error, Result};
use crate::files::{self, Output};
use crate::job::Trained;
use crate::job::comparison::runs_of;
use crate::job::page::{REPORT, write_report};
use crate::report::{RunData, plots};
use crate::train::sample::sample;

/// Write an HTML page with curves, numbers and samples of runs
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Runs may be finished, interrupted or still training. The page is a single file and loads nothing from the \
    network. The SVG files of --plots have 960 by 600 pixels and a white background.\n\
    \n\
    Examples:\n  \
    wlstm report runs/shakespeare\n  \
    wlstm report runs/g2 runs/g4 runs/g8 --out groups.html --plots plots\n  \
    wlstm report runs/compare"
)]
pub(super) struct ReportArgs {
    /// Run folders, or folders of `wlstm compare`
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// The page; - is standard output [default: report.html in the given folder, or in the current folder if several are given]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Also save each plot as an SVG file in this folder
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// Do not generate samples for models that have none yet
    #[arg(long)]
    pub no_samples: bool,
}

/// The maximum number of parameters of a model for which a report generates a sample.
const SAMPLED: u64 = 100_000_000;

/// Writes the page, and with --plots the plots.
pub(super) fn run(arguments: &ReportArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let named = match &arguments.out {
        Some(out) => Some(report_at(out, "")?),
        None => None,
    };
    let (mut runs, mut others) = (Vec::new(), Vec::new());
    for path in &arguments.runs {
        match runs_of(path)? {
            Some(compared) => runs.extend(compared),
            // A pattern such as `runs/*` also matches other files and folders.
            None if arguments.runs.len() > 1 && is_no_run(path) => others.push(path),
            None => runs.push(RunData::read(&folder_of(path)?)?),
        }
    }
    if runs.is_empty() && !others.is_empty() {
        return Err(
            Error::data(format!("none of the {} paths is a run", others.len()))
                .help("give run folders, for example runs/shakespeare"),
        );
    }
    if !others.is_empty() {
        let names: Vec<String> = others
            .iter()
            .map(|path| format!("`{}`", path.display()))
            .collect();
        note(
            quiet,
            &format!("Ignored, because they are not runs: {}.", names.join(", ")),
        );
    }
    if runs.is_empty() {
        return Err(
            Error::data("no model of the comparison has been trained yet")
                .help("wait for the first step of the first model"),
        );
    }
    if arguments.runs.len() > 1 {
        make_labels_unique(&mut runs);
    }
    if !arguments.no_samples {
        for run in &mut runs {
            add_sample(run, quiet);
        }
    }
    let out = match (named, arguments.runs.as_slice()) {
        (Some(out), _) => out,
        (None, [one]) if one.is_dir() => Output::own(&one.join(REPORT))?,
        (None, [_]) => Output::own(&runs[0].folder.join(REPORT))?,
        (None, _) => Output::named(Path::new(REPORT))?,
    };
    write_report(&out, &runs)?;
    let mut written = vec![out];
    if let Some(folder) = &arguments.plots {
        std::fs::create_dir_all(folder).map_err(|error| {
            files::cannot_create(folder, error).help("choose a writable folder with --plots")
        })?;
        for plot in plots(&runs) {
            let file = folder.join(format!("{}.svg", plot.name));
            let file = Output::named(&file)?;
            file.write_text(&plot.file())?;
            written.push(file);
        }
    }
    // The report itself may go to standard output.
    if written.iter().any(Output::is_stdout) {
        return Ok(());
    }
    let line = |file: &Output| format!("wrote {}\n", file.path().display());
    output::print(written.iter().map(line).collect::<String>().as_bytes())
}

/// Whether something exists at `path` that is neither a run nor a checkpoint of one.
fn is_no_run(path: &Path) -> bool {
    path.is_file() && run_of_checkpoint(path).is_none() || path.is_dir() && !has_run(path)
}

/// The folder of a run, given the folder or one of its files.
fn folder_of(path: &Path) -> Result<PathBuf> {
    if path.is_file() {
        let beside = path.parent().filter(|folder| has_run(folder));
        let run = run_of_checkpoint(path).or(beside.map(Path::to_path_buf));
        return run.ok_or_else(|| {
            Error::data(format!("`{}` does not belong to a run", path.display()))
                .help("give the folder of a run, such as runs/shakespeare")
        });
    }
    if path.is_dir() && !has_run(path) {
        // The error names the runs in the folder.
        find(path, Which::Best)?;
    }
    Ok(path.to_path_buf())
}

/// Labels runs of the same configuration with their folders.
fn make_labels_unique(runs: &mut [RunData]) {
    // Models of several comparisons get the names of their folders.
    let folder = |run: &RunData| run.folder.parent().map(Path::to_path_buf);
    let models: Vec<_> = runs
        .iter()
        .map(|run| (run.model.clone(), folder(run)))
        .collect();
    for run in runs.iter_mut() {
        let (model, own) = (run.model.clone(), folder(run));
        let is_other = |(name, folder): &(Option<String>, _)| *name == model && *folder != own;
        if let (Some(model), Some(own)) = (&model, &own)
            && models.iter().any(is_other)
        {
            let name = own.file_name().unwrap_or_default().to_string_lossy();
            run.model = Some(format!("{name}/{model}"));
        }
    }
    let labels: Vec<String> = runs.iter().map(|run| run.label.clone()).collect();
    for run in runs {
        if labels.iter().filter(|label| **label == run.label).count() > 1 {
            let name = run.folder.file_name().unwrap_or_default();
            run.label = name.to_string_lossy().into_owned();
        }
    }
}

/// Generates a sample with the best checkpoint of a run that has none yet, on the CPU.
fn add_sample(run: &mut RunData, quiet: bool) {
    let has_saved = find(&run.folder, Which::Best).is_ok();
    if run.sample.is_some() || !has_saved || run.cost().parameters > SAMPLED {
        return;
    }
    let made = Trained::open(&run.folder).and_then(|trained| {
        let trained = trained.device("cpu");
        let mut session = trained.generation_session(1)?;
        sample(session.predictor(), trained.vocabulary())
    });
    match made {
        Ok(text) => run.sample = Some(text),
        Err(error) => note(
            quiet,
            &format!("There is no sample of `{}`: {error}.", run.label),
        ),
    }
}
