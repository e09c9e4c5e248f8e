//! The cutoffs of an adaptive softmax: a model names its own, and does not depend on the default.

use std::path::Path;

use crate::common::program::{
    Dice, Folder, Tensors, checkpoint, losses, number, text, train, training, wlstm,
};

/// A text of twelve words, and the configuration of an adaptive softmax without cutoffs. With the special words, the vocabulary has
/// 14 words, and the default is one cutoff, at 7.
fn adaptive() -> (Folder, std::path::PathBuf) {
    let folder = Folder::new();
    let words = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    folder.write("train.txt", Dice(1).text(300, 9, &words));
    folder.write("valid.txt", Dice(2).text(30, 9, &words));
    let config = folder.write(
        "small.toml",
        "[model]\ncell = \"lstmp\"\nlayers = 1\nembedding = 16\nhidden = 32\nprojection = 16\n\
         [softmax]\nkind = \"adaptive\"\ncutoffs = []\n\
         [data]\ntrain = [\"train.txt\"]\nvalid = [\"valid.txt\"]\n\
         [train]\nbatch = 4\nunroll = 5\nsteps = 4\nvalidate_every = 0\ncheckpoint_every = 0\n",
    );
    (folder, config)
}

/// The line of the cutoffs in a configuration.
fn cutoffs_in(config: &str) -> &str {
    let line = config.lines().find(|line| line.starts_with("cutoffs"));
    line.expect("a line with the cutoffs")
}

fn in_run(run: &Path) -> String {
    let config = std::fs::read_to_string(run.join("config.toml")).expect("a configuration");
    cutoffs_in(&config).to_owned()
}

fn in_file(file: &Path) -> String {
    cutoffs_in(&Tensors::read(file).texts["config"]).to_owned()
}

#[test]
fn saved_configurations_name_the_default() {
    let (folder, config) = adaptive();
    let run = folder.path("run");
    let ended = train(&config, &run, "cpu", &[]);
    let said = "targets with the adaptive softmax";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert_eq!(in_run(&run), "cutoffs = [7]");
    assert_eq!(in_file(&checkpoint(&run, 4)), "cutoffs = [7]");

    // The same configuration resumes the run, and so does one that names the cutoffs.
    train(&config, &run, "cpu", &["--resume", "--steps", "6"]);
    let named = ["--resume", "--steps", "8", "--set", "softmax.cutoffs=[7]"];
    train(&config, &run, "cpu", &named);
    assert_eq!(in_file(&checkpoint(&run, 8)), "cutoffs = [7]");
    let other = ["--resume", "--steps", "9", "--set", "softmax.cutoffs=[6]"];
    let refused = wlstm(&training(&config, &run, "cpu", &other));
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let said = "`softmax.cutoffs` was [7] and is [6]";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);

    // Other commands keep them.
    let cheaper = folder.path("cheaper");
    let line = ["factorize", text(&run), "--factor", "4", "--out"];
    let ended = wlstm(&[&line[..], &[text(&cheaper)]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(in_run(&cheaper), "cutoffs = [7]");
    let out = folder.path("compared");
    let line = [
        "compare",
        text(&config),
        "--out",
        text(&out),
        "--device",
        "cpu",
    ];
    let ended = wlstm(&[&line[..], &["--variants", "lstmp,glstm:groups=2"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let record = std::fs::read_to_string(out.join("compare.json")).expect("a record");
    assert_eq!(record.matches("cutoffs = [7]").count(), 2, "{record}");
    assert_eq!(in_run(&out.join("lstmp")), "cutoffs = [7]");
}

/// A model whose configuration has no cutoffs, as those of earlier versions, has the cutoffs that its tensors show, whatever the default
/// is. The default for this text is `[7]`.
#[test]
fn a_model_without_named_cutoffs_has_those_of_its_tensors() {
    let (folder, config) = adaptive();
    let set = ["--set", "softmax.cutoffs=[3, 5]"];
    let (run, whole) = (folder.path("run"), folder.path("whole"));
    train(&config, &run, "cpu", &set);
    train(
        &config,
        &whole,
        "cpu",
        &[&set[..], &["--steps", "8"]].concat(),
    );
    let file = checkpoint(&run, 4);
    // Texts of the same length, so that no tensor moves.
    let (before, after) = ("cutoffs = [3, 5]", "cutoffs = [    ]");
    let mut bytes = std::fs::read(&file).expect("a checkpoint");
    let at = bytes
        .windows(before.len())
        .position(|part| part == before.as_bytes());
    let at = at.expect("the cutoffs");
    bytes[at..at + after.len()].copy_from_slice(after.as_bytes());
    std::fs::write(&file, bytes).expect("a checkpoint");
    let path = run.join("config.toml");
    let own = std::fs::read_to_string(&path).expect("a configuration");
    std::fs::write(&path, own.replace(before, after)).expect("a configuration");

    let valid = folder.path("valid.txt");
    let perplexity = |run: &Path| {
        let ended = wlstm(&[
            "eval",
            text(run),
            "--data",
            text(&valid),
            "--json",
            "--device",
            "cpu",
        ]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let json = serde_json::from_str(&ended.stdout).expect("JSON");
        number(&json, "perplexity")
    };
    let expected = perplexity(&run);
    let ended = wlstm(&["generate", text(&run), "--tokens", "3", "--device", "cpu"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    // Exports, imports and a new run from its parameters.
    for format in ["native", "pytorch"] {
        let (file, imported) = (folder.path(format), folder.path(&format!("from-{format}")));
        let line = [
            "export",
            text(&run),
            "--format",
            format,
            "--out",
            text(&file),
        ];
        let ended = wlstm(&line);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let line = ["import", text(&file), "--config", text(&config), "--out"];
        let ended = wlstm(&[&line[..], &[text(&imported)]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(in_run(&imported), "cutoffs = [3, 5]");
        assert_eq!(perplexity(&imported), expected, "{format}");
    }
    let next = folder.path("next");
    train(&config, &next, "cpu", &["--init", text(&run)]);
    assert_eq!(in_run(&next), "cutoffs = [3, 5]");

    // Resumed, it has the bits of a run that was not interrupted, and names its cutoffs.
    train(&config, &run, "cpu", &["--resume", "--steps", "8"]);
    assert_eq!(losses(&run), losses(&whole));
    assert_eq!(in_file(&checkpoint(&run, 8)), "cutoffs = [3, 5]");
}
