//! Runs the examples of the documentation. Each runs in a separate process, because its paths are relative.

use std::path::Path;
use std::process::Command;

use crate::common::program::Folder;

/// Compiles an example into a module, and renames its `main`.
macro_rules! example {
    ($name:ident) => {
        mod $name {
            include!(concat!("../examples/", stringify!($name), ".rs"));

            pub fn run() -> wlstm::error::Result<()> {
                main()
            }
        }
    };
}

example!(kernel);
example!(operation);
example!(score);
example!(steps);
example!(train);

/// Names the example that [`run_as_example`] runs.
const EXAMPLE: &str = "WLSTM_EXAMPLE";

/// Not a test: the code of the separate process that a test below starts.
#[test]
fn run_as_example() {
    let Ok(name) = std::env::var(EXAMPLE) else {
        return;
    };
    let result = match name.as_str() {
        "kernel" => kernel::run(),
        "operation" => operation::run(),
        "score" => score::run(),
        "steps" => steps::run(),
        "train" => train::run(),
        other => panic!("no example `{other}`"),
    };
    if let Err(error) = result {
        panic!("{}", error.chain());
    }
}

/// Runs an example in a folder. Returns what it prints.
fn run(name: &str, folder: &Path) -> String {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "examples::run_as_example", "--nocapture"])
        .env(EXAMPLE, name)
        .current_dir(folder)
        .output()
        .expect("the example starts");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {printed}{errors}");
    printed
}

#[test]
fn a_model_is_trained_then_scores_and_generates() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("configs")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(
        root.join("configs/text.toml"),
        folder.path("configs/text.toml"),
    )
    .unwrap();
    let line = "to be , or not to be : that is the question .\n";
    std::fs::write(folder.path("text.txt"), line.repeat(200)).unwrap();
    let place = folder.path("");
    let trained = run("train", &place);
    assert!(trained.contains("validation perplexity"), "{trained}");
    assert!(trained.contains("trained "), "{trained}");
    assert!(folder.path("runs/example/report.html").is_file());
    let scored = run("score", &place);
    assert!(scored.contains("log-probability -"), "{scored}");
    assert!(scored.contains("to be"), "{scored}");
}

#[test]
fn a_kernel_agrees_with_its_twin() {
    run("kernel", Path::new("."));
}

#[test]
fn the_gradients_of_an_operation_are_those_of_finite_differences() {
    run("operation", Path::new("."));
}

#[test]
fn a_loss_falls_step_by_step() {
    let folder = Folder::new();
    let line = "to be or not to be, that is the question\n";
    folder.write("text.txt", line.repeat(8));
    run("steps", &folder.path(""));
}
