//! Rules for the source text: upper layers import lower ones, files do not import each other in cycles, files are short, and some
//! libraries are used only in certain layers.

mod declarations;
mod imports;
pub mod source;
mod unsafe_code;

use std::collections::{BTreeMap, BTreeSet};

use self::imports::{Crate, cycles};
use self::source::{Source, files_below, root, sources};

/// The imports of each layer, lowest layer first. The test fails for an entry that is not used.
const IMPORTS: &[(&str, &str)] = &[
    ("digest", ""),
    ("error", ""),
    ("numbers", ""),
    ("printable", ""),
    ("random", ""),
    ("real", ""),
    ("team", ""),
    ("tensor", ""),
    ("files", "error"),
    ("matrix", "team"),
    ("kernel", "tensor"),
    ("kernels", "random real team matrix kernel"),
    ("graph", "random tensor kernel kernels"),
    (
        "device",
        "digest error numbers random real team tensor files kernel kernels graph",
    ),
    ("cell", "error tensor graph"),
    ("config", "digest error files printable cell kernels"),
    ("corpus", "digest error random team files config"),
    ("checkpoint", "digest error files printable config"),
    ("metrics", "error files"),
    ("model", "error random tensor cell kernels graph config"),
    (
        "train",
        "error numbers random team tensor files kernels graph device cell config corpus checkpoint metrics model",
    ),
    (
        "factorize",
        "error random tensor cell config checkpoint model",
    ),
    (
        "interchange",
        "error tensor files cell config corpus checkpoint model",
    ),
    (
        "report",
        "error files numbers printable config checkpoint metrics model train",
    ),
    (
        "bench",
        "error random tensor kernel kernels graph device config corpus model train",
    ),
    (
        "validate",
        "error real tensor kernel kernels graph device config model train bench",
    ),
    ("help", "error"),
    ("tutorial", ""),
    (
        "job",
        "digest error numbers printable tensor files device cell config corpus checkpoint model report train factorize interchange",
    ),
    (
        "cli",
        "error numbers printable tensor files kernel kernels graph device cell config corpus checkpoint metrics model report train bench validate help job",
    ),
    // The program.
    ("main", "cli error"),
];

/// Paths that only some layers or files of `src` may name, and these layers and files. A whole crate is confined in tests too. The
/// macros that print are left to Clippy: see the lints of `lib.rs`.
const CONFINED: &[(&str, &str)] = &[
    ("wgpu naga", "device"),
    (
        "clap clap_complete clap_mangen console indicatif ratatui signal_hook textwrap tracing_subscriber",
        "cli main",
    ),
    (
        "std::fs",
        "checkpoint cli config corpus files job main metrics device/host device/report device/tuning/results",
    ),
    ("std::io::stdout std::io::stderr", "cli main"),
    ("memmap2", "checkpoint corpus device/pages"),
    // Tests may use a temporary folder.
    (
        "tempfile::Builder tempfile::NamedTempFile tempfile::tempfile tempfile::tempfile_in",
        "corpus files",
    ),
    (
        "rustix",
        "bench/step cli/dashboard/terminal cli/output files/page_cache files/regular",
    ),
    ("libc", "cli/signals"),
];

/// The largest number of lines of a file.
const LINES: usize = 500;

/// The largest median number of lines of the files of `src`.
const MEDIAN_LINES: usize = 150;

/// Fails if anything was found, with one line for each.
fn assert_none(found: &BTreeMap<String, String>) {
    let lines: Vec<String> = found
        .iter()
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

fn contains(words: &str, word: &str) -> bool {
    words.split(' ').any(|found| found == word)
}

#[test]
fn layers_import_lower_layers() {
    let sources = sources();
    let modules = Crate::new(&sources);
    let table: BTreeMap<&str, &str> = IMPORTS.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for (file, source) in sources.iter().enumerate() {
        let (path, layer) = (&source.path, source.layer());
        if layer == "lib" {
            continue;
        }
        let Some(row) = table.get(layer) else {
            wrong.push(format!("src/{path}: `{layer}` has no row"));
            continue;
        };
        for (import, named) in modules.layers(file) {
            if import != layer && !contains(row, &import) {
                wrong.push(format!(
                    "src/{path}: `{layer}` must not import `{import}`: {named}"
                ));
            }
            used.insert((layer, import));
        }
    }
    for (layer, imports) in IMPORTS {
        for import in imports.split_whitespace() {
            if !used.contains(&(*layer, import.to_owned())) {
                wrong.push(format!(
                    "`{layer}` does not import `{import}`: remove it from the row"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn layers_stand_in_order() {
    let mut lower: BTreeSet<&str> = BTreeSet::new();
    for (layer, imports) in IMPORTS {
        for import in imports.split_whitespace() {
            assert!(
                lower.contains(import),
                "`{import}` must stand above `{layer}`"
            );
        }
        lower.insert(layer);
    }
}

/// Each row of the table of modules in `lib.rs` imports rows above it.
#[test]
fn the_documented_modules_stand_in_order() {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).expect("the first page");
    let is_row = |line: &&str| line.starts_with("//! | [`") || line.starts_with("//! | `cli`");
    let modules = text
        .split("# Modules")
        .nth(1)
        .and_then(|rest| rest.split("# Glossary").next());
    let rows = modules
        .expect("the table of modules")
        .lines()
        .filter(is_row);
    let (mut known, mut row_of) = (BTreeSet::from(["main"]), BTreeMap::new());
    for (k, row) in rows.enumerate() {
        let names = row
            .split(" | ")
            .nth(1)
            .unwrap_or_default()
            .split('`')
            .skip(1)
            .step_by(2);
        for name in names.map(|name| name.rsplit('@').next().unwrap_or(name)) {
            row_of.insert(name, k);
            known.insert(name);
        }
    }
    for (layer, imports) in IMPORTS {
        assert!(known.contains(layer), "`{layer}` is in no row of lib.rs");
        for import in imports.split_whitespace().filter(|_| *layer != "main") {
            assert!(
                row_of[import] <= row_of[layer],
                "the row of `{import}` must stand above that of `{layer}`"
            );
        }
    }
}

#[test]
fn files_do_not_import_each_other_in_a_cycle() {
    let sources = sources();
    let imports = Crate::new(&sources).imports();
    let mut found = BTreeMap::new();
    for members in cycles(&imports) {
        for &file in &members {
            let within = imports[file].iter().filter(|next| members.contains(next));
            let paths: Vec<&str> = within.map(|next| sources[*next].path.as_str()).collect();
            found.insert(
                sources[file].path.clone(),
                format!("imports {}", paths.join(", ")),
            );
        }
    }
    assert_none(&found);
}

#[test]
fn files_are_short() {
    let mut lengths = Vec::new();
    let mut found = BTreeMap::new();
    for folder in ["src", "shaders", "tests", "benches"] {
        for path in files_below(folder, &["rs", "wgsl"]) {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let lines = text.lines().count();
            if folder == "src" {
                lengths.push(lines);
            }
            if lines > LINES {
                let name = path.strip_prefix(root()).expect("below the root").display();
                found.insert(name.to_string(), format!("{lines} lines"));
            }
        }
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(
        median <= MEDIAN_LINES,
        "half of the files of src have {median} lines or more"
    );
    assert_none(&found);
}

#[test]
fn confined_paths_stay_in_their_layers() {
    let mut found = BTreeMap::new();
    let mut used = BTreeSet::new();
    for source in sources() {
        let places = [source.layer(), source.path.trim_end_matches(".rs")];
        for mention in &source.paths {
            let path = source.resolved(&mention.path);
            for (confined, allowed) in CONFINED {
                let named = confined.split(' ').find(|name| {
                    let name: Vec<&str> = name.split("::").collect();
                    let is_crate = name.len() == 1;
                    (is_crate || !mention.test) && path.iter().take(name.len()).eq(&name)
                });
                let Some(named) = named else {
                    continue;
                };
                match places.iter().find(|place| contains(allowed, place)) {
                    Some(place) => {
                        used.insert((*confined, (*place).to_owned()));
                    }
                    None => {
                        let entry = format!("{}: {named}", source.path);
                        found.insert(entry, format!("only {allowed} may name it"));
                    }
                }
            }
        }
    }
    for (confined, allowed) in CONFINED {
        for place in allowed.split(' ') {
            if !used.contains(&(*confined, place.to_owned())) {
                let entry = format!("{place}: {confined}");
                found.insert(entry, "is not named: remove it from the row".to_owned());
            }
        }
    }
    assert_none(&found);
}

/// A crate that names items in every possible way.
fn example() -> Vec<Source> {
    let files = [
        ("lib.rs", "pub mod a; pub mod b; pub mod c; pub mod d;"),
        (
            "a/mod.rs",
            "mod inner; mod other; pub use inner::Deep; pub(crate) use other::{Kept, Other as Renamed};
             fn f() -> Kept { Kept }",
        ),
        ("a/inner.rs", "pub struct Deep; // use super::Renamed;"),
        ("a/other.rs", "pub struct Kept; pub struct Other; use super::Deep;"),
        (
            "b.rs",
            r##"
                //! Not crate::c, which is a comment.
                /* Nor crate::c. */
                use crate::{a::{self, Deep}, d};
                fn f<'a>() { g("crate::c \" crate::c", '"', r#"crate::c"#); a::Renamed; d::Inside::X }
                #[cfg(test)]
                mod tests { use super::*; use crate::c::C; }
            "##,
        ),
        ("c.rs", "pub struct C; fn f() { crate::say!(); super::b::f() }"),
        ("d.rs", "pub enum Inside { X } #[macro_export] macro_rules! say { () => {} }"),
    ];
    let parse = |(path, text): (&str, &str)| Source::parse(path, text);
    files.into_iter().map(parse).collect()
}

#[test]
fn imports_are_found_however_they_are_written() {
    let sources = example();
    let named = |file: &usize| sources[*file].path.as_str();
    let imports = Crate::new(&sources).imports();
    let found: Vec<(&str, Vec<&str>)> = imports
        .iter()
        .enumerate()
        .map(|(file, imports)| (named(&file), imports.iter().map(named).collect()))
        .collect();
    assert_eq!(
        found,
        [
            ("lib.rs", vec![]),
            // `Deep` and `Renamed` are only re-exported, `Kept` is used.
            ("a/mod.rs", vec!["a/other.rs"]),
            ("a/inner.rs", vec![]),
            // Through the parent, which re-exports it.
            ("a/other.rs", vec!["a/inner.rs"]),
            ("b.rs", vec!["a/inner.rs", "a/other.rs", "d.rs"]),
            ("c.rs", vec!["b.rs", "d.rs"]),
            ("d.rs", vec![]),
        ]
    );
    let layers = Crate::new(&sources).layers(4);
    let layers: Vec<&str> = layers.keys().map(String::as_str).collect();
    assert_eq!(layers, ["a", "b", "c", "d"]);
}

#[test]
fn cycles_are_found() {
    let imports: [&[usize]; 6] = [&[1], &[2], &[1, 3], &[], &[5], &[4, 0]];
    let imports = imports.map(|of_file| of_file.iter().copied().collect());
    assert_eq!(cycles(&imports), [vec![1, 2], vec![4, 5]]);
}
