//! The folder of a comparison: the record, the tables, and the run of each model.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::record::{ComparisonSpec, ModelSpec, RECORD, Record};
use crate::checkpoint::{REPORT, is_lock, runs_folder};
use crate::error::{Error, Result};
use crate::files;
use crate::report::{ComparisonRow, comparison_csv, comparison_markdown};

/// The maximum size of a record in bytes. It has a configuration for each model.
const MAX_RECORD: u64 = 1 << 26;

/// The table of the results, as Markdown and as CSV.
const TABLES: [&str; 2] = ["compare.md", "compare.csv"];

/// The files of a comparison, besides its lock.
const FILES: [&str; 4] = [RECORD, TABLES[0], TABLES[1], REPORT];

/// The folder of a comparison.
#[derive(Clone, Debug)]
pub struct ComparisonFolder {
    path: PathBuf,
}

impl ComparisonFolder {
    /// Creates the folder. An existing folder must be empty, or contain only files of a comparison that was killed before it
    /// wrote its record.
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
        let is_left_over = |entry: &PathBuf| {
            files::check_own(entry).is_ok() && (is_lock(entry) || files::is_partial(entry))
        };
        if path.exists() && !(path.is_dir() && files::entries(path)?.iter().all(is_left_over)) {
            return Err(taken("is not an empty folder").help("choose another folder with --out"));
        }
        std::fs::create_dir_all(path).map_err(|error| files::cannot_create(path, error))?;
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
        let runs = runs_folder(base);
        std::fs::create_dir_all(&runs).map_err(|error| files::cannot_create(&runs, error))?;
        let mut number = 1;
        loop {
            let path = runs.join(numbered(number));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(ComparisonFolder { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(files::cannot_create(&path, error)),
            }
        }
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
                let all = (1..).map(|number| runs_folder(base).join(numbered(number)));
                let there = all.take_while(|path| path.is_dir());
                let last = there.filter(|path| path.join(RECORD).is_file()).last();
                last.ok_or_else(|| {
                    Error::data("there is no comparison to resume in `runs`")
                        .help("name its folder with --out, or leave --resume out")
                })?
            }
        };
        let record = path.join(RECORD);
        let text = files::read_own(&record, MAX_RECORD).map_err(|error| {
            Error::data(format!(
                "there is no comparison to resume in `{}`",
                path.display()
            ))
            .because(error)
            .help("give the folder of a comparison with --out, or leave --resume out")
        })?;
        let record: Record = serde_json::from_slice(&text).map_err(|error| {
            Error::data(format!("cannot use `{}`", record.display()))
                .because(error)
                .help("use the version of wlstm that wrote it, or start a new comparison")
        })?;
        let folder = ComparisonFolder { path };
        folder.check(&record.spec)?;
        Ok((folder, record.spec))
    }

    /// Checks that the files of the comparison and the folders of its runs are regular files and folders. A link in a folder
    /// from an untrusted source could point to any run of the user.
    fn check(&self, spec: &ComparisonSpec) -> Result<()> {
        type Check = fn(&Path) -> std::io::Result<()>;
        let file = |name: &str| (self.path.join(name), files::check_own as Check);
        let run = |model: &ModelSpec| (self.run(&model.folder), files::check_own_folder as Check);
        let files = FILES.iter().map(|name| file(name));
        let mut all = files.chain(spec.models.iter().map(run));
        all.try_for_each(|(path, check)| {
            check(&path).map_err(|error| {
                Error::data(format!("cannot use `{}`", path.display()))
                    .because(error)
                    .help("the folder of a comparison must contain only regular files and folders: remove this entry, or replace it by a copy")
            })
        })
    }

    /// Whether the folder contains a comparison.
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
    /// Same as [`ComparisonFolder::write`].
    pub fn write_results(
        &self,
        spec: &ComparisonSpec,
        lines: &[ComparisonRow],
        status: &str,
    ) -> Result<()> {
        let lines: Vec<ComparisonRow> = lines.iter().map(|line| self.within(line)).collect();
        self.write_record(spec, status, &lines)?;
        self.write_file(TABLES[0], &comparison_markdown(&lines))?;
        self.write_file(TABLES[1], &comparison_csv(&lines))
    }

    /// A row with relative paths, so that the folder can be moved.
    fn within(&self, line: &ComparisonRow) -> ComparisonRow {
        let mut line = line.clone();
        if let Ok(run) = line.run.strip_prefix(&self.path) {
            line.run = run.to_path_buf();
        }
        if let Some(seeds) = &mut line.over_seeds {
            seeds.runs = seeds.runs.iter().map(|run| self.within(run)).collect();
        }
        line
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
        let text = serde_json::to_string_pretty(&record).expect("a record has a JSON form");
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

/// The folder of the comparison that has this file among its own files, if any.
pub fn comparison_of_file(file: &Path) -> Option<PathBuf> {
    let folder = files::folder_of(file);
    let name = file.file_name()?.to_str()?;
    let is_own = FILES.contains(&name) && ComparisonFolder::is_one(folder);
    is_own.then(|| folder.to_path_buf())
}
