//! Runs the program in tests: the binary, generated text, and readers of its files that share no code with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

pub use super::dice::Dice;
pub use super::folder::Folder;

/// The program, without the environment variables that change its logs and caches.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wlstm"));
    command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
    // Tests do not write to the tuning cache of the user.
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.env_remove("WLSTM_CACHE");
    command
}

/// The result of a run of the program.
pub struct Ended {
    /// The exit code. None if a signal killed the program.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
        }
    }
}

/// Whether the tests were started with SIGHUP ignored, as `nohup` does. The program then ignores it too.
pub fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}

/// Runs the program to its end.
pub fn wlstm<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Ended {
    let output = program().args(arguments).output();
    output.expect("the program starts").into()
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a Unicode path")
}

/// The log-probabilities of lines, scored on the CPU.
pub fn scores(run: &Path, lines: &str) -> Vec<f64> {
    let mut command = assert_cmd::Command::from_std(program());
    command.args(["score", text(run), "--device", "cpu", "-q"]);
    let output = command.write_stdin(lines).output().expect("the program");
    let ended = Ended::from(output);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let first = |line: &str| line.split('\t').next().and_then(|n| n.parse().ok());
    let lines = ended.stdout.lines();
    lines.map(|line| first(line).expect("a number")).collect()
}

/// The arguments that train into the folder `out` on a device.
pub fn training<'a>(
    config: &'a Path,
    out: &'a Path,
    device: &'a str,
    more: &[&'a str],
) -> Vec<&'a str> {
    let mut arguments = vec![
        "train",
        text(config),
        "--out",
        text(out),
        "--device",
        device,
    ];
    arguments.extend(more);
    arguments
}

/// Trains to the end. Panics unless it succeeds.
pub fn train(config: &Path, out: &Path, device: &str, more: &[&str]) -> Ended {
    let arguments = training(config, out, device, more);
    let ended = wlstm(&arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}\n{}", ended.stderr);
    ended
}

/// The lines of `metrics.jsonl`, without an incomplete last line.
pub fn metrics(run: &Path) -> Vec<Value> {
    let Ok(text) = std::fs::read_to_string(run.join("metrics.jsonl")) else {
        return Vec::new();
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |line| serde_json::from_str(line).expect("a line of JSON");
    whole.lines().map(parse).collect()
}

/// The lines of one kind.
pub fn lines_of(run: &Path, kind: &str) -> Vec<Value> {
    let mut lines = metrics(run);
    lines.retain(|line| line["kind"] == kind);
    lines
}

/// A number in a line.
pub fn number(line: &Value, key: &str) -> f64 {
    let value = line[key].as_f64();
    value.unwrap_or_else(|| panic!("no number `{key}` in {line}"))
}

/// The losses of all steps by step number.
pub fn losses(run: &Path) -> BTreeMap<u64, f64> {
    let lines = lines_of(run, "step");
    lines
        .iter()
        .map(|line| (number(line, "step") as u64, number(line, "loss")))
        .collect()
}

/// The steps of the checkpoints of a run in ascending order.
pub fn checkpoints(run: &Path) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(run.join("checkpoints")) else {
        return Vec::new();
    };
    let step = |name: &str| {
        let digits = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
        digits.parse().ok()
    };
    let mut steps: Vec<u64> = entries
        .filter_map(|entry| step(entry.ok()?.file_name().to_str()?))
        .collect();
    steps.sort_unstable();
    steps
}

/// The path of the checkpoint at a step.
pub fn checkpoint(run: &Path, step: u64) -> PathBuf {
    run.join(format!("checkpoints/step-{step:08}.safetensors"))
}

/// A file of tensors.
#[derive(Debug, PartialEq)]
pub struct Tensors {
    /// Shape and bytes by name.
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
    /// The metadata of the file.
    pub texts: BTreeMap<String, String>,
}

impl Tensors {
    /// Reads a safetensors file.
    pub fn read(path: &Path) -> Tensors {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).expect("a header");
        let texts = header.metadata().clone().unwrap_or_default();
        let tensors = file.iter().map(|(name, view)| {
            let value = (view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), value)
        });
        Tensors {
            tensors: tensors.collect(),
            texts: texts.into_iter().collect(),
        }
    }

    /// The elements of an `f32` tensor.
    pub fn values(&self, name: &str) -> Vec<f32> {
        let (_, bytes) = self
            .tensors
            .get(name)
            .unwrap_or_else(|| panic!("no tensor `{name}`"));
        let (chunks, _) = bytes.as_chunks::<4>();
        chunks
            .iter()
            .map(|chunk| f32::from_le_bytes(*chunk))
            .collect()
    }
}

/// Writes a safetensors file of `f32` tensors, each with name, shape and elements.
pub fn write_tensors(path: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)]) {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, shape, values)| {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            (name, shape, bytes.collect())
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, (*shape).clone(), bytes);
        (*name, view.expect("elements that fill the shape"))
    });
    safetensors::serialize_to_file(views, None, path).expect("a file that can be written");
}
