//! A command that is killed and run again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::program::{Ended, Folder, program};

/// The result of a job, in a form that is identical for two runs of the job.
pub type Result = BTreeMap<String, Vec<u8>>;

/// A command that writes files.
pub struct Job {
    folder: Folder,
    /// The arguments. `OUT` stands for the path of the result.
    arguments: Vec<String>,
    /// The arguments after a kill, if they differ. If they are refused because there is nothing to resume, the original ones
    /// must succeed.
    again: Option<Vec<String>>,
    read: fn(&Path) -> Result,
    want: Result,
    /// How long the command takes.
    pub undisturbed: Duration,
    /// The number of results so far.
    results: usize,
    /// Whether the command has started to write the result.
    begun: bool,
}

impl Job {
    /// Runs a command once to its end.
    pub fn new(
        folder: Folder,
        arguments: &[&str],
        again: Option<&[&str]>,
        read: fn(&Path) -> Result,
    ) -> Job {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let mut job = Job {
            folder,
            arguments: owned(arguments),
            again: again.map(owned),
            read,
            want: Result::new(),
            undisturbed: Duration::from_secs(60),
            results: 0,
            begun: false,
        };
        let begin = Instant::now();
        let ended = job.run(&job.arguments, None).expect("an end");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        job.undisturbed = begin.elapsed();
        job.want = read(&job.out());
        assert!(!job.want.is_empty(), "no result");
        job.results = 1;
        job
    }

    fn out(&self) -> PathBuf {
        self.folder.path(&format!("result-{}", self.results))
    }

    /// Runs the command, and kills it after some time. Returns whether it finished. Its result must then be that of the first
    /// run, and the next attempt starts again. `place`: for messages.
    pub fn attempt(&mut self, after: Option<Duration>, place: &str) -> bool {
        let continued = self.again.as_ref().filter(|_| self.begun);
        let mut ended = self.run(continued.unwrap_or(&self.arguments), after);
        // No checkpoint was saved yet, so there is nothing to resume.
        if let (Some(refused), Some(_)) = (&ended, continued)
            && refused.code == Some(3)
        {
            let first = refused.stderr.clone();
            ended = self.run(&self.arguments, after);
            if let Some(second) = &ended {
                let stuck = format!("{place}: stuck\n{first}\n{}", second.stderr);
                assert_eq!(second.code, Some(0), "{stuck}");
            }
        }
        let Some(mut ended) = ended else {
            self.begun = true;
            return false;
        };
        // The process was killed after it had finished its work.
        if self.begun && self.again.is_none() && ended.code == Some(3) {
            ended.code = (self.read)(&self.out()).eq(&self.want).then_some(0);
        }
        assert_eq!(ended.code, Some(0), "{place}\n{}", ended.stderr);
        let (out, got) = (self.out(), (self.read)(&self.out()));
        assert!(
            self.want.keys().eq(got.keys()),
            "{place}: {:?}, not {:?}",
            got.keys(),
            self.want.keys()
        );
        for (name, bytes) in &self.want {
            assert!(got[name] == *bytes, "{place}: `{name}` has other bits");
        }
        let partial = self.partial_files();
        assert!(partial.is_empty(), "{place}: left behind: {partial:?}");
        // Otherwise the disk would fill up over hours.
        let _ = std::fs::remove_dir_all(&out);
        let _ = std::fs::remove_file(&out);
        self.results += 1;
        self.begun = false;
        true
    }

    /// Partial files, except in the token cache, which removes them later.
    fn partial_files(&self) -> Vec<PathBuf> {
        let files = self.folder.snapshot().into_keys();
        files
            .filter(|path| path.to_string_lossy().contains(".wlstm-partial"))
            .filter(|path| !path.to_string_lossy().contains("cache"))
            .collect()
    }

    /// Runs the program. `None` if it was killed.
    fn run(&self, arguments: &[String], after: Option<Duration>) -> Option<Ended> {
        let out = self.out();
        let out = out.to_str().expect("a Unicode path");
        let mut child = program()
            .args(arguments.iter().map(|text| text.replace("OUT", out)))
            .current_dir(self.folder.path("."))
            .env("XDG_CACHE_HOME", self.folder.path("cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        if let Some(after) = after {
            let end = Instant::now() + after;
            while Instant::now() < end && child.try_wait().expect("a child").is_none() {
                let left = end.saturating_duration_since(Instant::now());
                std::thread::sleep(left.min(Duration::from_millis(2)));
            }
            child.kill().expect("a child that can be killed");
        }
        let ended: Ended = child.wait_with_output().expect("an end").into();
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        ended.code.is_some().then_some(ended)
    }
}
