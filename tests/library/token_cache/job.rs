//! The cache of a job.

use wlstm::config::Config;
use wlstm::corpus::TokenCache;
use wlstm::job::{Job, Trained};

use crate::common::folder::Folder;

#[test]
fn a_job_has_its_own_cache_or_none() {
    let folder = Folder::new();
    folder.write("train.txt", "a b c\nb a\nc a b a\n".repeat(9));
    folder.write("valid.txt", "a b\nb c\n");
    let sets = "data.train=train.txt data.valid=valid.txt model.cell=lstmp model.layers=1 model.embedding=4 model.hidden=4 \
        model.projection=0 softmax.kind=full train.batch=2 train.unroll=3 train.steps=2";
    let sets: Vec<String> = sets.split_whitespace().map(str::to_owned).collect();
    let config = Config::parse("", "test", &folder.path(""), &sets).expect("a configuration");
    let tokens = folder.path("tokens");
    let cache = || TokenCache::in_folder(&tokens).min_bytes(1);
    let cached = || {
        let found = std::fs::read_dir(&tokens).map_or(0, |entries| {
            let names = entries.flatten().map(|entry| entry.file_name());
            names
                .filter(|name| name.to_string_lossy().ends_with(".tokens"))
                .count()
        });
        let _ = std::fs::remove_dir_all(&tokens);
        found
    };
    for (name, cache, files) in [("cached", Some(cache()), 2), ("not-cached", None, 0)] {
        let job = Job::new(config.clone()).expect("a job").device("cpu");
        let run = folder.path(name);
        let job = job.token_cache(cache.clone()).out(&run);
        job.run(|_| {}).expect("a run");
        assert_eq!(cached(), files, "{name}");
        let model = Trained::open(&run).expect("a model").device("cpu");
        let model = model.token_cache(cache);
        model
            .evaluate(&[folder.path("valid.txt")])
            .expect("a perplexity");
        assert_eq!(cached(), files / 2, "{name}");
    }
}
