//! Imports run one way. Reads every source file and compares each `crate::` path, and each chain of `super::` that leaves
//! its module, with the table of what a module may know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each top-level module may import, in the order of the architecture: leaves first.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("tensor", &[]),
    ("error", &[]),
    ("real", &[]),
    ("random", &[]),
    ("digest", &[]),
    ("numbers", &[]),
    ("files", &["error"]),
    ("team", &[]),
    ("matrix", &["real", "team"]),
    ("kernel", &["tensor", "error", "real", "random"]),
    (
        "kernels",
        &[
            "tensor", "error", "real", "random", "team", "matrix", "kernel",
        ],
    ),
    (
        "graph",
        &["tensor", "error", "real", "random", "kernel", "kernels"],
    ),
    (
        "device",
        &[
            "tensor", "error", "real", "random", "digest", "numbers", "files", "team", "kernel",
            "kernels", "graph",
        ],
    ),
    (
        "model",
        &[
            "tensor", "error", "real", "random", "kernel", "kernels", "graph", "cell", "config",
        ],
    ),
    ("cell", &["tensor", "error", "graph"]),
    ("config", &["error", "digest", "cell"]),
    ("corpus", &["error", "random", "digest", "files", "config"]),
    ("checkpoint", &["error", "digest", "files"]),
    ("metrics", &["error", "files"]),
    (
        "report",
        &[
            "error",
            "files",
            "numbers",
            "metrics",
            "config",
            "checkpoint",
            "model",
        ],
    ),
    (
        "train",
        &[
            "team",
            "tensor",
            "error",
            "real",
            "random",
            "files",
            "numbers",
            "kernel",
            "kernels",
            "graph",
            "device",
            "model",
            "config",
            "corpus",
            "checkpoint",
            "metrics",
            "report",
        ],
    ),
    (
        "bench",
        &[
            "tensor", "error", "random", "kernel", "kernels", "graph", "device", "model", "config",
            "corpus", "train",
        ],
    ),
    (
        "factorize",
        &["error", "random", "config", "checkpoint", "model"],
    ),
    (
        "interchange",
        &["error", "files", "config", "corpus", "checkpoint", "model"],
    ),
    (
        "validate",
        &[
            "error", "real", "tensor", "kernel", "kernels", "graph", "device", "model", "config",
            "train", "bench",
        ],
    ),
    ("tutorial", &[]),
    (
        "cli",
        &[
            "bench",
            "validate",
            "interchange",
            "factorize",
            "tensor",
            "error",
            "real",
            "random",
            "digest",
            "files",
            "numbers",
            "kernel",
            "kernels",
            "graph",
            "device",
            "model",
            "config",
            "corpus",
            "checkpoint",
            "metrics",
            "report",
            "train",
        ],
    ),
    // The program itself.
    ("main", &["cli"]),
];

/// A source file without its comments and strings, so that only code is looked at.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let bytes: Vec<char> = text.chars().collect();
    let mut k = 0;
    while k < bytes.len() {
        match (bytes[k], bytes.get(k + 1)) {
            ('/', Some('/')) => {
                while k < bytes.len() && bytes[k] != '\n' {
                    k += 1;
                }
            }
            // A character: '"', '\'', '{'. Lifetimes have no second quote so near.
            ('\'', Some('\\')) if bytes.get(k + 3) == Some(&'\'') => k += 4,
            ('\'', Some(_)) if bytes.get(k + 2) == Some(&'\'') => k += 3,
            ('"', _) => {
                k += 1;
                while k < bytes.len() && bytes[k] != '"' {
                    k += 1 + usize::from(bytes[k] == '\\');
                }
                k += 1;
                code.push(' ');
            }
            (other, _) => {
                code.push(other);
                k += 1;
            }
        }
    }
    code
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    &text[..end.unwrap_or(text.len())]
}

/// The first names of the paths that go on after a prefix: one, or those of a list in braces.
fn heads(rest: &str) -> Vec<String> {
    let Some(list) = rest.strip_prefix('{') else {
        return vec![identifier(rest).to_owned()];
    };
    let (mut depth, mut heads, mut fresh) = (0, Vec::new(), true);
    for (k, c) in list.char_indices() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            _ if fresh && !c.is_whitespace() => {
                heads.push(identifier(&list[k..]).to_owned());
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

/// The top-level modules that a file at this depth below the root of the crate (1: `src/x.rs`) names.
fn imports(code: &str, depth: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let begins = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if begins {
            found.extend(heads(&code[at + "crate::".len()..]));
        }
    }
    let chain: String = "super::".repeat(depth);
    for (at, _) in code.match_indices(&chain) {
        let head = identifier(&code[at + chain.len()..]);
        if MAY_IMPORT.iter().any(|(module, _)| *module == head) {
            found.insert(head.to_owned());
        }
    }
    found
}

/// Every source file with its top-level module and its depth.
fn sources() -> Vec<(PathBuf, String, usize)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(&root).expect("below the root");
                let parts: Vec<String> = below
                    .with_extension("")
                    .iter()
                    .map(|part| part.to_string_lossy().into_owned())
                    .collect();
                let depth = parts.len() - usize::from(parts.last().is_some_and(|p| p == "mod"));
                found.push((path.clone(), parts[0].clone(), depth));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn imports_run_one_way() {
    let table: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    // What macros leave at the root of the crate: see `kernel` and `kernels`.
    let macros = ["params", "twin"];
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, module, depth) in sources() {
        if module == "lib" {
            continue;
        }
        let shown = path.display();
        let Some(allowed) = table.get(module.as_str()) else {
            wrong.push(format!(
                "{shown}: `{module}` has no place in the architecture"
            ));
            continue;
        };
        seen.insert(module.clone());
        let code = code_of(&std::fs::read_to_string(&path).expect("a source file"));
        for import in imports(&code, depth) {
            let fine = import == module
                || allowed.contains(&import.as_str())
                || macros.contains(&import.as_str());
            if !fine {
                wrong.push(format!("{shown}: `{module}` must not know `{import}`"));
            }
        }
        let knows_wgpu = code.contains("wgpu::") || code.contains("use wgpu");
        if knows_wgpu && module != "device" {
            wrong.push(format!("{shown}: only `device` may know wgpu"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    for module in ["kernels", "graph", "device", "model", "train", "cli"] {
        assert!(seen.contains(module), "no source of `{module}` was found");
    }
}

/// A module that stands in the table but not in its own row's past would let imports run in circles.
#[test]
fn the_table_has_no_circles() {
    let table: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    for (module, allowed) in MAY_IMPORT {
        let (mut open, mut reached) = (allowed.to_vec(), BTreeSet::new());
        while let Some(next) = open.pop() {
            assert_ne!(next, *module, "`{module}` reaches itself");
            if reached.insert(next) {
                open.extend(table[next]);
            }
        }
    }
}

#[test]
fn imports_are_found_where_they_are_hidden() {
    let source = r#"
        //! Not crate::cli, which is a comment.
        use crate::{graph::{self, plan}, tensor::Shape};
        use super::super::device::Executor;
        fn f() -> crate::error::Result<()> { g("crate::train \" crate::metrics", '"', crate::corpus::X) }
    "#;
    let found: Vec<String> = imports(&code_of(source), 2).into_iter().collect();
    assert_eq!(found, ["corpus", "device", "error", "graph", "tensor"]);
}
