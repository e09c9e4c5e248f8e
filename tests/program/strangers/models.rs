//! Models whose tensors have the right names and shapes, but numbers that give no probabilities.

use std::path::{Path, PathBuf};

use super::{Small, failed};
use crate::common::program::{Ended, checkpoint, program, text, wlstm};

/// A copy of a checkpoint in which the first `count` numbers of a tensor are `value`.
fn with_numbers(small: &Small, name: &str, count: usize, value: f32) -> PathBuf {
    let mut bytes = std::fs::read(checkpoint(&small.run, 4)).expect("a checkpoint");
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let infos: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).expect("JSON");
    let offsets = &infos[name]["data_offsets"];
    let offset = |k: usize| offsets[k].as_u64().expect("an offset") as usize;
    let data = &mut bytes[8 + header..][offset(0)..offset(1)];
    for number in data.as_chunks_mut::<4>().0.iter_mut().take(count) {
        *number = value.to_le_bytes();
    }
    small.folder.write("changed.safetensors", bytes)
}

fn score(model: &Path) -> Ended {
    let mut command = assert_cmd::Command::from_std(program());
    command.args(["score", text(model), "--device", "cpu", "-q"]);
    let output = command.write_stdin("a b\nb b a\n").output();
    output.expect("the program").into()
}

#[test]
fn numbers_that_are_not_finite_are_refused_by_every_command() {
    let small = Small::trained("a b\n".repeat(40));
    let nbest = small.folder.write("nbest.txt", "u1 1.5 a b\nu1 1.2 a a\n");
    let out = small.folder.path("out");
    for (tensor, value) in [
        ("layers.0.gates.bias", f32::NAN),
        ("embedding.weight", f32::INFINITY),
        ("softmax.bias", f32::NEG_INFINITY),
    ] {
        let model = with_numbers(&small, tensor, 1, value);
        let (model, out) = (text(&model), text(&out));
        let says = [tensor, "not finite", "changed.safetensors"];
        failed(&score(Path::new(model)), 3, &says);
        let cpu = ["--device", "cpu", "-q"];
        for line in [
            &["eval", model][..],
            &["generate", model],
            &["rescore", model, text(&nbest)],
            &["factorize", model, "--factor", "2", "--out", out],
        ] {
            let ended = wlstm(&[line, &cpu].concat());
            failed(&ended, 3, &says);
            assert_eq!(ended.stdout, "", "{line:?}");
        }
        for format in ["pytorch", "native", "onnx", "onnx-nll"] {
            failed(
                &wlstm(&["export", model, "--out", out, "--format", format]),
                3,
                &says,
            );
        }
        assert!(!Path::new(out).exists());
    }
}

/// Finite numbers whose products are not.
#[test]
fn probabilities_that_are_not_finite_are_no_scores() {
    let small = Small::trained("a b\n".repeat(40));
    let model = with_numbers(&small, "softmax.weight", usize::MAX, f32::MAX);
    let data = small.folder.path("text.txt");
    let ended = score(&model);
    failed(&ended, 5, &["no probabilities"]);
    assert_eq!(ended.stdout, "");
    failed(
        &wlstm(&[
            "eval",
            text(&model),
            "--data",
            text(&data),
            "--device",
            "cpu",
            "-q",
        ]),
        5,
        &["not finite"],
    );
}

#[test]
fn exports_have_the_format_of_their_name() {
    let small = Small::trained("a b\n".repeat(40));
    let run = text(&small.run);
    for (name, format) in [
        ("m.onnx", &[][..]),
        ("m.safetensors", &["--format", "onnx"]),
        ("m.onnx", &["--format", "native"]),
    ] {
        let out = small.folder.path(name);
        let ended = wlstm(&[&["export", run, "--out", text(&out)], format].concat());
        failed(&ended, 2, &["would be", name]);
        assert!(!out.exists(), "{name}");
    }
    let out = small.folder.path("m.pt");
    let ended = wlstm(&["export", run, "--out", text(&out)]);
    assert!(
        ended.stderr.contains("safetensors.torch.load_file"),
        "{}",
        ended.stderr
    );
}
