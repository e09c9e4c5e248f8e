//! A configuration and its overrides.

use std::path::Path;

use wlstm::config::Config;
use wlstm::error::Kind;
use wlstm::model::cost::cost;

use super::accepted;

/// The bytes are a TOML file and overrides, separated by NUL bytes.
pub fn read(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split('\0');
    let toml = parts.next().unwrap_or_default();
    let overrides: Vec<String> = parts.map(str::to_owned).collect();
    let folder = Path::new("/folder");
    let parsed = Config::parse(toml, "config.toml", folder, &overrides);
    let Some(config) = accepted(parsed, &[Kind::Usage]) else {
        return;
    };
    // The resolved configuration must be read back unchanged.
    let written = config.to_toml();
    match Config::parse(&written, "config.toml", Path::new("/"), &[]) {
        Ok(again) => assert_eq!(again, config, "{written}"),
        Err(error) => panic!("{}\n{written}", error.chain()),
    }
    assert_eq!(config.resume_conflicts(&config), Vec::<String>::new());
    let _ = config.check_limits();
    for words in [3, 1000, 1 << 31] {
        let _ = cost(&config, words);
    }
}
