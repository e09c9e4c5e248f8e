//! `cargo bench`: times every kernel and the steps of each cell, on the CPU and on every adapter. Writes one JSON document to
//! `target/bench.json`, or to the file in `WLSTM_BENCH_OUT`. Reports the devices that fail.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use serde_json::{Map, Value};
use wlstm::device::adapters;

/// The output of `wlstm bench --json` for one device.
fn measure(device: &str) -> Result<Value, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_wlstm"))
        .args(["bench", "--json", "--device", device])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start the program: {error}"))?;
    if !output.status.success() {
        return Err(format!("`wlstm bench` ended with {}", output.status));
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
                eprintln!("skipped {device}: {what}");
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
