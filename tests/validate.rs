//! `wlstm validate`: what it says of right and of wrong kernels.

mod common;

use std::collections::BTreeSet;

use common::program::wlstm;
use common::{gpus, on_every_gpu};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use wlstm::kernel::{Kernel, Snippet, Twin};
use wlstm::kernels::catalogue;
use wlstm::validate::kernels::{Thoroughness, is_other_form, kernel};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        Trial::test("the_cpu_computes_right", cpu),
        Trial::test("names_that_nothing_has_are_refused", names),
    ];
    trials.extend(on_every_gpu("every_constant_matters", |gpu| {
        gpu.with(|executor| {
            let mut missed = Vec::new();
            for mutant in mutants() {
                let thoroughness = Thoroughness { every_form: false };
                let found = kernel(executor, mutant.kernel, thoroughness)?;
                if found.failure.is_none() {
                    missed.push(mutant.what);
                }
            }
            Ok(missed)
        })
        .and_then(|missed| match missed.is_empty() {
            true => Ok(()),
            false => Err(format!("not caught:\n{}", missed.join("\n")).into()),
        })
    }));
    if !arguments.list {
        gpus();
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A kernel with one constant changed.
struct Mutant {
    kernel: &'static Kernel,
    what: String,
}

fn mutants() -> Vec<Mutant> {
    let mut seen = BTreeSet::new();
    let mut mutants = Vec::new();
    for right in catalogue().filter(|kernel| !is_other_form(kernel) && !kernel.needs_units()) {
        for (at, literal) in literals(right.wgsl) {
            let wgsl = changed(right.wgsl, at, &literal);
            let what = format!("{}: {}", right.name, line_of(&wgsl, at));
            let kernel = wrong(right, Box::leak(wgsl.into_boxed_str()), right.snippets);
            mutants.push(Mutant { kernel, what });
        }
        for (k, snippet) in right.snippets.iter().enumerate() {
            // One kernel of those that share it.
            for (at, literal) in literals(snippet.wgsl) {
                if !seen.insert((snippet.name, at)) {
                    continue;
                }
                let wgsl = changed(snippet.wgsl, at, &literal);
                let what = format!("{} in {}: {}", snippet.name, right.name, line_of(&wgsl, at));
                let snippet: &'static Snippet = Box::leak(Box::new(Snippet {
                    name: snippet.name,
                    wgsl: Box::leak(wgsl.into_boxed_str()),
                }));
                let mut snippets = right.snippets.to_vec();
                snippets[k] = snippet;
                let kernel = wrong(right, right.wgsl, Box::leak(snippets.into_boxed_slice()));
                mutants.push(Mutant { kernel, what });
            }
        }
    }
    mutants
}

fn wrong(
    right: &'static Kernel,
    wgsl: &'static str,
    snippets: &'static [&'static Snippet],
) -> &'static Kernel {
    Box::leak(Box::new(Kernel {
        name: right.name,
        wgsl,
        snippets,
        work: None,
        cut: None,
        twin: Twin {
            single: right.twin.single,
            double: right.twin.double,
        },
        bindings: right.bindings,
        fields: right.fields,
        constants: right.constants,
        grid: right.grid,
        fast: right.fast,
        cases: right.cases,
        suits: None,
        others: &[],
    }))
}

/// Where the numbers with a point are in the code of a shader, but for comments.
fn literals(wgsl: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in wgsl.split_inclusive('\n') {
        let code = line.split("//").next().unwrap_or("");
        let bytes = code.as_bytes();
        let mut k = 0;
        while k < bytes.len() {
            let begins = bytes[k].is_ascii_digit()
                && (k == 0
                    || !(bytes[k - 1].is_ascii_alphanumeric() || b"_.".contains(&bytes[k - 1])));
            if !begins {
                k += 1;
                continue;
            }
            let mut end = k;
            while end < bytes.len()
                && (bytes[end].is_ascii_alphanumeric()
                    || bytes[end] == b'.'
                    || (b"+-".contains(&bytes[end])
                        && bytes[end - 1] == b'e'
                        && code[k..end].contains('.')))
            {
                end += 1;
            }
            if code[k..end].contains('.') {
                found.push((start + k, code[k..end].to_owned()));
            }
            k = end;
        }
        start += line.len();
    }
    found
}

/// The text with the number 1 % larger, or 1/100 if it is zero.
fn changed(wgsl: &str, at: usize, literal: &str) -> String {
    let suffix = if literal.ends_with('f') { "f" } else { "" };
    let value: f64 = literal.trim_end_matches('f').parse().expect("a number");
    let other = if value == 0.0 { 0.01 } else { 1.01 * value };
    format!(
        "{}{other:e}{suffix}{}",
        &wgsl[..at],
        &wgsl[at + literal.len()..]
    )
}

fn line_of(wgsl: &str, at: usize) -> &str {
    let begin = wgsl[..at].rfind('\n').map_or(0, |end| end + 1);
    wgsl[begin..].lines().next().unwrap_or("").trim()
}

fn cpu() -> Result<(), Failed> {
    let ended = wlstm(&["validate", "--device", "cpu", "--filter", "l", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let found: Value = serde_json::from_str(&ended.stdout)?;
    assert_eq!(found["agrees"], true);
    Ok(())
}

fn names() -> Result<(), Failed> {
    let ended = wlstm(&["validate", "--device", "cpu", "--filter", "nothing"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("matmul/product") && ended.stderr.contains("golden/lstmp"));
    Ok(())
}
