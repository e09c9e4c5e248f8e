//! `cargo bench`: every kernel and the steps of each cell, on the CPU and on every adapter, as one JSON document in
//! `target/bench.json` (or the file that `WLSTM_BENCH_OUT` names). What is left out, and why, is said.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use serde_json::{Map, Value};
use wlstm::device::adapters;

/// What `wlstm bench --json` says of one device.
fn measure(device: &str) -> Result<Value, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_wlstm"))
        .args(["bench", "--json", "--device", device])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("the program does not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("it ended with {}", output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("no JSON: {error}"))
}

fn main() -> ExitCode {
    let found = adapters();
    let devices = std::iter::once("cpu".to_owned())
        .chain((0..found.len()).map(|index| format!("gpu:{index}")));
    let (mut document, mut failed) = (Map::new(), false);
    for device in devices {
        match measure(&device) {
            Ok(value) => {
                document.insert(device, value);
            }
            Err(what) => {
                eprintln!("{device} is left out: {what}");
                failed = true;
            }
        }
    }
    let path = std::env::var_os("WLSTM_BENCH_OUT").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench.json"),
        PathBuf::from,
    );
    let text = serde_json::to_vec_pretty(&document).expect("names and numbers");
    match std::fs::write(&path, text) {
        Ok(()) => eprintln!("written to {}", path.display()),
        Err(error) => {
            eprintln!("cannot write {}: {error}", path.display());
            failed = true;
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
