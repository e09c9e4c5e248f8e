//! Reads the metrics of a run and makes its report.

use wlstm::error::Kind;
use wlstm::metrics::Writer;
use wlstm::report::{RunData, comparison_csv, comparison_rows, comparison_table, page};

use super::{accepted, file, scratch};

const CONFIG: &[u8] = b"[data]\ntrain = [\"text.txt\"]\n[train]\nsteps = 10\n";

const RECORD: &[u8] =
    br#"{"version":"0.1.0","config":"tiny","devices":["cpu"],"seed":1,"status":"running",
"best":{"step":2,"perplexity":4.5},"last":{"step":3,"perplexity":null}}"#;

/// The bytes are `metrics.jsonl`.
pub fn read(bytes: &[u8]) {
    file("run/config.toml", CONFIG);
    file("run/run.json", RECORD);
    let metrics = file("run/metrics.jsonl", bytes);
    let folder = scratch().join("run");
    if let Some(run) = accepted(RunData::read(&folder), &[Kind::Data]) {
        let runs = [run.clone(), run];
        let html = page("a run", &runs);
        assert!(html.contains("</html>"));
        // The report must not be huge.
        assert!(html.len() < 20_000_000 + 20 * bytes.len());
        let rows = comparison_rows(&runs);
        assert_eq!(comparison_csv(&rows).lines().count(), 3);
        for width in [None, Some(20), Some(80)] {
            let _ = comparison_table(&rows).text(width);
        }
    }
    // Resuming removes the lines of later steps.
    if let Some(mut writer) = accepted(Writer::resume(&metrics, 1, 2, true), &[Kind::Data]) {
        let _ = writer.tensorboard();
        drop(writer);
        let kept = std::fs::read(&metrics).expect("metrics");
        assert!(bytes.starts_with(&kept), "resuming changed what it keeps");
    }
}
