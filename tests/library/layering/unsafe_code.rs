//! Counts `unsafe` code, so that none is added unnoticed. Clippy denies a block or an `impl` without a `SAFETY` comment.

use std::collections::BTreeMap;

use super::source::{code_and_strings, files_below, root};

/// The `unsafe` blocks, implementations and functions of `src`.
const COUNTS: [(&str, usize); 3] = [("{", 35), ("impl", 9), ("fn", 7)];

#[test]
fn unsafe_code_is_counted() {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut places = Vec::new();
    for path in files_below("src", &["rs"]) {
        let text = std::fs::read_to_string(&path).expect("a source file");
        let (code, _) = code_and_strings(&text);
        let name = path.strip_prefix(root()).expect("below the root").display();
        // The text after each keyword `unsafe`.
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        for (at, word) in code.match_indices("unsafe") {
            let rest = &code[at + word.len()..];
            if code[..at].ends_with(is_part) || rest.starts_with(is_part) {
                continue;
            }
            let next = ["{", "impl", "fn"]
                .into_iter()
                .find(|next| rest.trim_start().starts_with(next))
                .unwrap_or("something else");
            *found.entry(next.to_owned()).or_default() += 1;
            places.push(format!("{name}: unsafe {next}"));
        }
        assert!(
            !code.contains("clippy::undocumented_unsafe_blocks"),
            "{name}: every `unsafe` block needs its reason"
        );
    }
    let want: BTreeMap<String, usize> = COUNTS.map(|(what, count)| (what.to_owned(), count)).into();
    assert_eq!(
        found,
        want,
        "avoid the new `unsafe` code if possible; otherwise update the counts of this test, and give the reason in the commit:\n{}",
        places.join("\n")
    );
}
