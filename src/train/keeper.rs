//! What a run leaves in its folder besides metrics: checkpoints and the record of which is the best and which the last.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::progress::Progress;
use super::session::Session;
use crate::checkpoint::{Point, Record, RunFolder, Status};
use crate::config::Config;
use crate::corpus::Vocabulary;
use crate::error::Result;

/// Keeps the folder of a run.
pub(super) struct Keeper<'a> {
    folder: &'a RunFolder,
    record: Record,
    /// The step whose state the newest checkpoint holds.
    saved: Option<u64>,
}

impl<'a> Keeper<'a> {
    /// Opens the record of a run that stands at `progress`. What the record says of checkpoints is taken from there: a kill
    /// may have come between a checkpoint and its record.
    pub fn open(
        folder: &'a RunFolder,
        name: &str,
        device: &str,
        seed: u64,
        progress: &Progress,
    ) -> Result<Keeper<'a>> {
        let saved = progress.position.is_some().then_some(progress.step);
        let best = progress
            .best
            .map(|(step, nll)| Point::new(step, Some(nll.exp())));
        let perplexity = best
            .as_ref()
            .filter(|best| Some(best.step) == saved)
            .and_then(|best| best.perplexity);
        let record = Record {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: name.to_owned(),
            devices: vec![device.to_owned()],
            seed,
            status: Status::Running,
            last: saved.map(|step| Point::new(step, perplexity)),
            best,
        };
        folder.write_record(&record)?;
        Ok(Keeper {
            folder,
            record,
            saved,
        })
    }

    /// Something that a checkpoint holds has changed since the last one, without a step.
    pub fn changed(&mut self) {
        self.saved = None;
    }

    /// This step is the best so far; to be saved now.
    pub fn best(&mut self, step: u64, perplexity: f64) {
        self.record.best = Some(Point::new(step, Some(perplexity)));
        self.saved = None;
    }

    /// Writes a checkpoint, unless this state has one; gives its path.
    pub fn save(
        &mut self,
        session: &mut Session,
        config: &Config,
        progress: &Progress,
        vocabulary: &Vocabulary,
    ) -> Result<Option<PathBuf>> {
        let step = progress.step;
        if self.saved == Some(step) {
            return Ok(None);
        }
        let progress = serde_json::to_string(progress).expect("numbers and names");
        let metadata = [
            ("format", "wlstm checkpoint 1".to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("config", config.to_toml()),
            ("progress", progress),
        ];
        let metadata: BTreeMap<String, String> = metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let path = self.folder.checkpoint_path(step);
        session.save(&path, &vocabulary.to_bytes(), &metadata)?;
        let best = self.record.best.as_ref().filter(|best| best.step == step);
        self.record.last = Some(Point::new(step, best.and_then(|best| best.perplexity)));
        self.folder.write_record(&self.record)?;
        self.folder.prune(
            config.train.keep,
            self.record.best.as_ref().map(|best| best.step),
        )?;
        self.saved = Some(step);
        Ok(Some(path))
    }

    /// Records how the run ended.
    pub fn end(&mut self, status: Status) -> Result<()> {
        self.record.status = status;
        self.folder.write_record(&self.record)
    }

    /// The best checkpoint.
    pub fn best_point(&self) -> Option<Point> {
        self.record.best.clone()
    }

    /// The path of the newest checkpoint.
    pub fn last(&self) -> Option<PathBuf> {
        self.record
            .last
            .as_ref()
            .map(|point| self.folder.path().join(&point.checkpoint))
    }
}
