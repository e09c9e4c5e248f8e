//! The lines of a training text that are held out for validation.

use std::path::Path;

use serde_json::Value;

use super::validations::{close, model};
use crate::common::program::{Folder, lines_of, number, text, train, training, wlstm};

/// `data.valid_choice` selects the lines that are held out. A run and its `eval` use the same lines, and a resumed run cannot
/// change the choice.
#[test]
fn lines_at_random_are_held_out_of_every_part_of_the_text() {
    for order in ["sentences", "contiguous"] {
        let folder = Folder::new();
        // Each part has words of its own, and words that all parts share. The last part is shorter than the held-out share.
        let line = |k: usize| format!("p{} a b c q{}\n", k / 290, k % 7);
        folder.write("text.txt", (0..3_000).map(line).collect::<String>());
        let config = folder.write(
            "model.toml",
            format!(
                "[model]\ncell = \"lstmp\"\nembedding = 8\nhidden = 16\nprojection = 8\n[softmax]\nkind = \"full\"\n\
                 [data]\norder = \"{order}\"\ntrain = [\"text.txt\"]\nvalid_share = 0.1\n\
                 [train]\nbatch = 4\nunroll = 10\nema = 0.0\nsteps = 4\n"
            ),
        );
        let last = |run: &Path| lines_of(run, "valid").pop().expect("a validation");
        let random = ["--set", "data.valid_choice=random"];
        let run = folder.path("random");
        let ended = train(&config, &run, "cpu", &random);
        let said = "text.txt`; validation text: a random 10.0 % of the lines of the training text.";
        assert!(
            ended.stderr.contains("Training text: `"),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        let found = last(&run);
        let share = number(&found, "targets") / (3_000.0 * 6.0);
        assert!((0.085..0.115).contains(&share), "{share}");
        // The training lines contain every part, so no word is unknown. If the tail is held out, they do not contain the last
        // part.
        assert_eq!(number(&found, "unknown"), 0.0);
        let tail = folder.path("tail");
        let ended = train(&config, &tail, "cpu", &[]);
        let said = "validation text: the last 10.0 % of the training text.";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(number(&last(&tail), "unknown") > 50.0);

        let four = ["--streams", "4", "--device", "cpu", "--json"];
        let evaluated = wlstm(&[&["eval", text(&run)], &four[..]].concat());
        let evaluated: Value = serde_json::from_str(&evaluated.stdout).unwrap();
        // The best checkpoint need not be the last.
        let perplexities = lines_of(&run, "valid")
            .iter()
            .map(|line| number(line, "perplexity"))
            .fold(f64::INFINITY, f64::min);
        assert!(close(number(&evaluated, "perplexity"), perplexities));
        // The lines do not depend on the seed.
        let other = folder.path("other");
        train(
            &config,
            &other,
            "cpu",
            &[&random[..], &["--seed", "9"]].concat(),
        );
        assert!(close(
            number(&last(&other), "unigram"),
            number(&found, "unigram")
        ));
        let refused = wlstm(&training(&config, &run, "cpu", &["--resume"]));
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        let said = "`data.valid_choice` was \"random\" and is \"tail\"";
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

/// A line that is not UTF-8 is named by its number in the file.
#[test]
fn errors_in_held_out_lines_name_the_line_of_the_file() {
    let (folder, config) = model("steps = 2");
    let mut bytes = std::fs::read(folder.path("train.txt")).unwrap();
    let at = bytes.len() - 20;
    let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    bytes[at] = 0xff;
    folder.write("train.txt", bytes);
    let sets = [
        "data.valid=[]",
        "data.valid_share=0.2",
        "data.valid_choice=random",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let run = folder.path("run");
    let ended = wlstm(&training(&config, &run, "cpu", &sets));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let said = format!("train.txt:{line}: not UTF-8");
    assert!(ended.stderr.contains(&said), "{said}: {}", ended.stderr);
}
