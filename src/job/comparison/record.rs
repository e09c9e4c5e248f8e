//! The folder of a comparison: the record `compare.json` with models, budget and results, the tables, and the run of each model.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::models::Model;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::files;
use crate::numbers::counted;
use crate::report::{ComparisonRow, comparison_csv, comparison_table};

/// The training budget of every model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// Seconds of training, without validation and checkpoints.
    Seconds(f64),
    /// Optimizer steps.
    Steps(u64),
    /// Passes over the text.
    Epochs(u64),
    /// Words, rounded up to whole steps of full unrolls.
    Words(u64),
    /// The limits in the configurations.
    Own {
        /// `train.epochs`; 0: no limit.
        epochs: u64,
        /// `train.steps`; 0: no limit.
        steps: u64,
        /// `train.seconds`; 0: no limit.
        seconds: f64,
    },
}

impl Budget {
    /// The configuration overrides that set this budget.
    pub fn sets(&self) -> Vec<String> {
        let (seconds, steps, epochs) = match *self {
            Budget::Seconds(seconds) => (seconds, 0, 0),
            Budget::Steps(steps) => (0.0, steps, 0),
            Budget::Epochs(epochs) => (0.0, 0, epochs),
            // `apply` replaces the number of steps when the size of a step is known.
            Budget::Words(words) => (0.0, words, 0),
            Budget::Own {
                epochs,
                steps,
                seconds,
            } => (seconds, steps, epochs),
        };
        vec![
            format!("train.seconds={seconds:?}"),
            format!("train.steps={steps}"),
            format!("train.epochs={epochs}"),
        ]
    }

    /// Sets the limit that depends on the configuration.
    pub fn apply(&self, config: &mut Config) {
        if let Budget::Words(words) = self {
            let train = &mut config.train;
            let step = train.batch * train.unroll * train.accumulate;
            train.steps = words.div_ceil(step as u64);
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Budget::Seconds(seconds) => write!(f, "{seconds} seconds of training"),
            Budget::Steps(steps) => write!(f, "{}", counted(steps, "step")),
            Budget::Epochs(epochs) => write!(f, "{}", counted(epochs, "epoch")),
            Budget::Words(words) => write!(f, "{words} words"),
            Budget::Own {
                epochs,
                steps,
                seconds,
            } => {
                let parts = [
                    (epochs > 0).then(|| counted(epochs, "epoch")),
                    (steps > 0).then(|| counted(steps, "step")),
                    (seconds > 0.0).then(|| format!("{seconds} seconds of training")),
                ];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                write!(f, "{}", parts.join(" or "))
            }
        }
    }
}

/// A model in `compare.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// The label in tables.
    pub label: String,
    /// The folder of the run.
    pub folder: String,
    /// The configuration file, for messages. Not kept in the record.
    #[serde(skip)]
    pub file: PathBuf,
    /// The resolved configuration.
    pub config: String,
}

/// The device, the budget and the models of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparisonSpec {
    /// The device, as `--device` names it.
    pub device: String,
    /// The budget of each model.
    pub budget: Budget,
    /// The models. The first is the baseline of the table.
    #[serde(rename = "specs")]
    pub models: Vec<ModelSpec>,
}

impl ComparisonSpec {
    /// The models with parsed configurations.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if a configuration cannot be used.
    pub fn models(&self) -> Result<Vec<Model>> {
        let model = |spec: &ModelSpec| {
            let config = Config::parse(&spec.config, RECORD, Path::new("/"), &[]);
            Ok(Model {
                label: spec.label.clone(),
                folder: spec.folder.clone(),
                file: spec.file.clone(),
                config: config.map_err(|error| {
                    Error::data(format!(
                        "the configuration of `{}` cannot be used",
                        spec.label
                    ))
                    .because(error)
                    .help("use the version of wlstm that started the comparison")
                })?,
            })
        };
        self.models.iter().map(model).collect()
    }

    /// Replaces the budget of every model.
    ///
    /// # Errors
    ///
    /// As [`ComparisonSpec::models`].
    pub fn change(&mut self, budget: Budget) -> Result<()> {
        for spec in &mut self.models {
            let sets = budget.sets();
            let mut config = Config::parse(&spec.config, RECORD, Path::new("/"), &sets)?;
            budget.apply(&mut config);
            spec.config = config.to_toml();
        }
        self.budget = budget;
        Ok(())
    }
}

/// `compare.json`.
#[derive(Serialize, Deserialize)]
struct Record {
    version: String,
    status: String,
    #[serde(flatten)]
    spec: ComparisonSpec,
    #[serde(default, skip_deserializing)]
    results: Vec<ComparisonRow>,
}

const RECORD: &str = "compare.json";

/// The folder of a comparison.
#[derive(Clone, Debug)]
pub struct ComparisonFolder {
    path: PathBuf,
}

impl ComparisonFolder {
    /// Creates the folder. An existing folder must be empty.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the folder is not empty, or cannot be created.
    pub fn create(path: &Path) -> Result<ComparisonFolder> {
        let taken = |what: &str| Error::data(format!("`{}` {what}", path.display()));
        if path.join(RECORD).exists() {
            return Err(taken("already contains a comparison")
                .help("resume it with --resume, or choose another folder with --out"));
        }
        if path.exists() && (!path.is_dir() || !files::entries(path)?.is_empty()) {
            return Err(taken("is not an empty folder").help("choose another folder with --out"));
        }
        std::fs::create_dir_all(path).map_err(|error| files::cannot_make(path, error))?;
        Ok(ComparisonFolder {
            path: path.to_path_buf(),
        })
    }

    /// Creates `runs/compare` in `base`, or `runs/compare-2` and so on if that exists.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be created.
    pub fn create_numbered(base: &Path) -> Result<ComparisonFolder> {
        let runs = base.join("runs");
        std::fs::create_dir_all(&runs).map_err(|error| files::cannot_make(&runs, error))?;
        for number in 1.. {
            let path = runs.join(numbered(number));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(ComparisonFolder { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(files::cannot_make(&path, error)),
            }
        }
        unreachable!("numbers do not end")
    }

    /// Opens an existing comparison: the one at `path`, by default the last numbered one in `base`.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is none.
    pub fn open(path: Option<&Path>, base: &Path) -> Result<(ComparisonFolder, ComparisonSpec)> {
        let path = match path {
            Some(path) => path.to_path_buf(),
            None => {
                let all = (1..).map(|number| base.join("runs").join(numbered(number)));
                let there = all.take_while(|path| path.is_dir());
                let last = there.filter(|path| path.join(RECORD).is_file()).last();
                last.ok_or_else(|| {
                    Error::data("there is no comparison to resume in `runs`")
                        .help("name its folder with --out, or leave --resume out")
                })?
            }
        };
        let record = path.join(RECORD);
        let text = std::fs::read_to_string(&record).map_err(|error| {
            Error::data(format!(
                "there is no comparison to resume in `{}`",
                path.display()
            ))
            .because(error)
            .help("name the folder of a comparison with --out, or leave --resume out")
        })?;
        let record: Record = serde_json::from_str(&text).map_err(|error| {
            Error::data(format!("cannot use `{}`", record.display()))
                .because(error)
                .help("use the version of wlstm that wrote it, or start a new comparison")
        })?;
        Ok((ComparisonFolder { path }, record.spec))
    }

    /// Whether a folder contains a comparison.
    pub fn is_one(path: &Path) -> bool {
        path.join(RECORD).is_file()
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the run `name`.
    pub fn run(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes the record before the first model trains.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be written.
    pub fn write(&self, spec: &ComparisonSpec) -> Result<()> {
        self.write_record(spec, "running", &[])
    }

    /// Writes the results: the record, `compare.md` and `compare.csv`.
    ///
    /// # Errors
    ///
    /// As [`ComparisonFolder::write`].
    pub fn write_results(
        &self,
        spec: &ComparisonSpec,
        lines: &[ComparisonRow],
        status: &str,
    ) -> Result<()> {
        // Relative paths, so that the folder can be moved.
        let within = |line: &ComparisonRow| {
            let run = line.run.strip_prefix(&self.path).unwrap_or(&line.run);
            ComparisonRow {
                run: run.to_path_buf(),
                ..line.clone()
            }
        };
        let lines: Vec<ComparisonRow> = lines.iter().map(within).collect();
        self.write_record(spec, status, &lines)?;
        self.write_file("compare.md", &comparison_table(&lines).markdown())?;
        self.write_file("compare.csv", &comparison_csv(&lines))
    }

    fn write_record(
        &self,
        spec: &ComparisonSpec,
        status: &str,
        lines: &[ComparisonRow],
    ) -> Result<()> {
        let record = Record {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            status: status.to_owned(),
            spec: spec.clone(),
            results: lines.to_vec(),
        };
        let text = serde_json::to_string_pretty(&record).expect("names and numbers");
        self.write_file(RECORD, &(text + "\n"))
    }

    fn write_file(&self, name: &str, text: &str) -> Result<()> {
        files::write_text(&self.path.join(name), text)
    }
}

fn numbered(number: u64) -> String {
    match number {
        1 => "compare".to_owned(),
        number => format!("compare-{number}"),
    }
}

/// The folder of the comparison that a run belongs to, if any.
pub fn comparison_of(run: &Path) -> Option<PathBuf> {
    let folder = run.canonicalize().ok()?.parent()?.to_path_buf();
    ComparisonFolder::is_one(&folder).then_some(folder)
}
