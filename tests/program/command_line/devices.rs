//! `wlstm devices`, and devices that do not exist.

use super::tools::{Tiny, json, stdout, wlstm};

/// The program on a machine without drivers.
fn without_drivers() -> assert_cmd::Command {
    let mut command = wlstm();
    // Old and new Vulkan loaders read different variables. OpenGL is disabled.
    command
        .env("VK_DRIVER_FILES", "/nowhere")
        .env("VK_ICD_FILENAMES", "/nowhere")
        .env("WGPU_BACKEND", "vulkan");
    command
}

#[test]
#[cfg(target_os = "linux")]
fn without_drivers_the_output_says_what_to_install() {
    let text = stdout(without_drivers().arg("devices"));
    assert!(text.starts_with("no GPU adapter found\n"), "{text}");
    assert!(text.contains("install"), "{text}");
    assert!(text.contains("\ncpu "), "{text}");
    let found = json(without_drivers().args(["devices", "--json"]));
    assert_eq!(found, serde_json::json!([]));

    let tiny = Tiny::new("sentences");
    let train = |device| {
        let mut command = without_drivers();
        command.current_dir(tiny.path(""));
        command.args(["train", "tiny.toml", "--device", device]);
        command.assert()
    };
    train("gpu").code(4).stdout("");
    assert!(!tiny.path("runs").exists());
    train("auto").success();
}

#[test]
fn drivers_print_nothing() {
    let mut command = wlstm();
    command.env_remove("XDG_RUNTIME_DIR").arg("devices");
    command.assert().success().stderr("");
}
