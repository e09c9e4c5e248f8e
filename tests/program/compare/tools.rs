//! A small model to compare, and readers of the output of `wlstm compare`.

use std::path::{Path, PathBuf};

use crate::common::program::{Dice, Ended, Folder, text, wlstm};
use serde_json::Value;

/// Writes the configuration of a small model and its texts.
pub fn small_model() -> (Folder, PathBuf) {
    let folder = Folder::new();
    let words = ["a", "b", "c", "d", "e", "f"];
    folder.write("train.txt", Dice(1).text(400, 9, &words));
    folder.write("valid.txt", Dice(2).text(30, 9, &words));
    let config = folder.write(
        "small.toml",
        "[model]\ncell = \"lstmp\"\nlayers = 2\nembedding = 16\nhidden = 32\nprojection = 16\n[softmax]\nkind = \"full\"\n\
         [data]\ntrain = [\"train.txt\"]\nvalid = [\"valid.txt\"]\n\
         [train]\nbatch = 4\nunroll = 5\nema = 0.0\nvalidate_every = 0\ncheckpoint_every = 0\n",
    );
    (folder, config)
}

pub fn compare(config: &Path, out: &Path, more: &[&str]) -> Ended {
    let line = [
        "compare",
        text(config),
        "--out",
        text(out),
        "--device",
        "cpu",
    ];
    wlstm(&[&line, more].concat())
}

pub const VARIANTS: [&str; 2] = ["--variants", "lstmp,flstm:factor=4,glstm:groups=4"];

pub fn table_of(ended: &Ended) -> Vec<Value> {
    let found: Value = serde_json::from_str(&ended.stdout).expect("one JSON document");
    found.as_array().expect("a list of models").clone()
}

/// Checks that a page is complete and refers to nothing outside itself.
pub fn assert_page(page: &str, labels: &[&str]) {
    for fetches in ["src=", "<link", "<script", "url(", "@import"] {
        assert!(!page.contains(fetches), "the page has `{fetches}`");
    }
    let addresses = page.matches("http").count();
    assert_eq!(
        addresses,
        page.matches("http://www.w3.org/2000/svg").count()
    );
    for part in [
        "<svg",
        "<table",
        "prefers-color-scheme",
        "@media print",
        "Samples",
        "cell = ",
    ] {
        assert!(page.contains(part), "the page has no `{part}`");
    }
    for label in labels {
        assert!(page.contains(label), "the page has no `{label}`");
    }
    // Its plots are well-formed.
    let mut rest = page;
    while let Some(begin) = rest.find("<svg") {
        let end = begin + rest[begin..].find("</svg>").expect("an end") + "</svg>".len();
        roxmltree::Document::parse(&rest[begin..end]).expect("a plot that is XML");
        rest = &rest[end..];
    }
}
