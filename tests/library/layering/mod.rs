//! Rules for the source text: upper layers import lower ones, files do not import each other in cycles, files are short, and some
//! libraries are used only in certain layers.

mod imports;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use self::imports::{Crate, cycles};
use self::source::{Source, code_and_strings, files_below, root, sources};

/// The modules that any layer may import.
const LEAVES: &str = "digest error files matrix numbers random real team tensor";

/// The imports of each layer besides leaves, lowest layer first. Then the imports among leaves. The test
/// fails for an entry that is not used.
const IMPORTS: &[(&str, &str)] = &[
    ("kernel", ""),
    ("kernels", "kernel"),
    ("graph", "kernel kernels"),
    ("device", "kernel kernels graph"),
    ("cell", "graph"),
    ("config", "cell kernels"),
    ("corpus", "config"),
    ("checkpoint", ""),
    ("metrics", ""),
    ("model", "cell kernels graph config"),
    ("report", "config checkpoint metrics model"),
    (
        "train",
        "kernels graph device cell config corpus checkpoint metrics model",
    ),
    ("factorize", "cell config checkpoint model"),
    ("interchange", "cell config corpus checkpoint model"),
    ("bench", "kernel kernels device config corpus model train"),
    (
        "validate",
        "kernel kernels graph device config model train bench",
    ),
    ("help", ""),
    ("tutorial", ""),
    (
        "job",
        "device cell config corpus checkpoint model report train factorize interchange",
    ),
    (
        "cli",
        "kernel kernels graph device cell config corpus checkpoint metrics model report train bench validate help job",
    ),
    // The program.
    ("main", "cli"),
    ("files", "error"),
    ("matrix", "team"),
];

/// Paths that only some layers or files of `src` may name, and these layers and files. A whole crate is confined in tests too. The
/// macros that print are left to Clippy: see the lints of `lib.rs`.
const CONFINED: &[(&str, &str)] = &[
    ("wgpu naga", "device"),
    (
        "clap clap_complete clap_mangen console indicatif ratatui signal_hook textwrap tracing_subscriber",
        "cli",
    ),
    (
        "std::fs",
        "checkpoint cli config corpus files job metrics report device/host device/report device/tuning/results",
    ),
    ("std::io::stdout std::io::stderr", "cli"),
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
        let is_leaf = contains(LEAVES, layer);
        if !is_leaf && !table.contains_key(layer) {
            wrong.push(format!("src/{path}: `{layer}` is in no layer"));
            continue;
        }
        for (import, named) in modules.layers(file) {
            let of_leaves = !is_leaf && contains(LEAVES, &import);
            let allowed = table.get(layer).is_some_and(|row| contains(row, &import));
            if import != layer && !of_leaves && !allowed {
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
    let mut lower: BTreeSet<&str> = LEAVES.split(' ').collect();
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

#[test]
fn files_do_not_import_each_other_in_a_circle() {
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

/// Folders in which each file declares one thing, which no file outside the folder names; other files in them.
const DECLARATIONS: &[(&str, &str)] = &[
    ("cell", "kind layout onnx"),
    ("kernels/optimizer", "declaration moving_average row_update"),
];

/// Files that use these names nevertheless: files of golden models are named after cells, and factorization creates two of them.
const MAY_NAME: &[&str] = &["validate/golden/model.rs", "job/factorize.rs"];

#[test]
fn names_are_used_only_where_declared() {
    let sources = sources();
    let mut names = Vec::new();
    for (folder, others) in DECLARATIONS {
        for source in &sources {
            let stem = source.path.strip_prefix(&format!("{folder}/"));
            let stem = stem.and_then(|name| name.strip_suffix(".rs"));
            let stem = stem.filter(|name| !name.contains('/'));
            if let Some(stem) = stem.filter(|stem| *stem != "mod" && !contains(others, stem)) {
                names.push((stem, type_name(stem), *folder));
            }
        }
    }
    assert!(names.len() >= 7, "{names:?}");
    let (mut found, mut excepted) = (BTreeMap::new(), BTreeSet::new());
    for source in &sources {
        let path = root().join("src").join(&source.path);
        let text = std::fs::read_to_string(path).expect("a source file");
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
        let (code, strings) = code_and_strings(text);
        let words: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric()).collect();
        for (stem, type_name, folder) in &names {
            let named = words.contains(type_name.as_str()) || strings.iter().any(|s| s == stem);
            if !named || source.path.starts_with(&format!("{folder}/")) {
                continue;
            }
            if MAY_NAME.contains(&source.path.as_str()) {
                excepted.insert(source.path.as_str());
            } else {
                let entry = format!("{}: {stem}", source.path);
                found.insert(entry, format!("only files of {folder} may name it"));
            }
        }
    }
    for path in MAY_NAME.iter().filter(|path| !excepted.contains(*path)) {
        found.insert((*path).to_owned(), "names none: remove it".to_owned());
    }
    assert_none(&found);
}

/// `FooBar` of `foo_bar`.
fn type_name(stem: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    };
    stem.split('_').map(capital).collect()
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
fn circles_are_found() {
    let imports: [&[usize]; 6] = [&[1], &[2], &[1, 3], &[], &[5], &[4, 0]];
    let imports = imports.map(|of_file| of_file.iter().copied().collect());
    assert_eq!(cycles(&imports), [vec![1, 2], vec![4, 5]]);
}
