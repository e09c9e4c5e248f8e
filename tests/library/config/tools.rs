//! A small configuration, and the check of an error.

use std::path::Path;

use wlstm::cell::{Cell, find};
use wlstm::config::Config;
use wlstm::error::Kind;

pub const SMALL: &str = r#"
[model]
cell = "lstmp"
embedding = 8
hidden = 16
projection = 8
[data]
train = ["a.txt"]
"#;

pub fn parse(text: &str, overrides: &[&str]) -> wlstm::error::Result<Config> {
    let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
    Config::parse(text, "my.toml", Path::new("/base/configs"), &overrides)
}

/// The printed chain of the refusal, which must be a usage error.
fn refusal(text: &str, overrides: &[&str]) -> String {
    let error = parse(text, overrides).expect_err(&format!("accepted {overrides:?} on {text}"));
    assert_eq!(error.kind(), Kind::Usage);
    error.chain().to_string()
}

pub fn cell(name: &str, size: usize) -> Cell {
    Cell::new(find(name).expect("a cell"), size)
}

pub fn assert_refused(text: &str, overrides: &[&str], parts: &[&str]) {
    let chain = refusal(text, overrides);
    for part in parts {
        assert!(chain.contains(part), "no `{part}` in: {chain}");
    }
}
