//! `wlstm validate`: it accepts correct kernels and rejects wrong ones.

use std::collections::BTreeSet;

use crate::common::program::wlstm;
use crate::common::{SEED, Trial, on_every_gpu};
use libtest_mimic::Failed;
use serde_json::Value;
use wlstm::device::single::{Layout, compare, fill, reference, run_case};
use wlstm::device::{Executor, GpuExecutor};
use wlstm::error::Result;
use wlstm::kernel::{Halves, Kernel, Snippet, Twin};
use wlstm::kernels::pointwise::functions;
use wlstm::kernels::{catalogue, is_form};
use wlstm::validate::kernels::{Coverage, kernel};

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("the_cpu_computes_correctly", cpu),
        Trial::test("unknown_names_are_refused", names),
    ];
    trials.extend(on_every_gpu("every_constant_matters", |gpu| {
        gpu.with(|executor| {
            let mut missed = Vec::new();
            for mutant in mutants(|form| executor.runs(form, Halves::NONE)) {
                if !is_caught(executor, mutant.kernel)? {
                    missed.push(mutant.what);
                }
            }
            missed.retain(|what| !UNSEEN.iter().any(|(unseen, _)| what.ends_with(unseen)));
            Ok(missed)
        })
        .and_then(|missed| {
            if missed.is_empty() {
                Ok(())
            } else {
                Err(format!("not caught:\n{}", missed.join("\n")).into())
            }
        })
    }));
    trials.extend(on_every_gpu("a_wrong_kernel_is_reported", |gpu| {
        gpu.with(|executor| {
            // For correct kernels, `parity` tests the same call.
            let name = "optimizer/adam";
            let all = mutants(|_| false);
            let mutant = all.iter().find(|mutant| mutant.kernel.name == name);
            let wrong = mutant.expect("a constant").kernel;
            kernel(executor, wrong, Coverage::Reduced)
        })
        .and_then(|found| match found.failure {
            Some(_) if found.kernel == "optimizer/adam" && found.of_tolerance > 1.0 => Ok(()),
            _ => Err(format!("not reported: {found:?}").into()),
        })
    }));
    trials
}

/// A kernel with one constant changed.
struct Mutant {
    kernel: &'static Kernel,
    what: String,
}

/// Changes of 1 % that no test can see, and why: the results stay the same, or change by less than a rounding error.
const UNSEEN: &[(&str, &str)] = &[
    ("var result = 1e-2;", "every function overwrites it"),
    ("var p = 2.0074448415e-4;", "r^7 is below 6e-4"),
    ("p = p * r + 1.412181950207e-3;", "r^6 is below 2e-3"),
    ("let x = clamp(value, -1.0504e2, 89.0);", "e^-104 is 0"),
    ("let x = clamp(value, -104.0, 8.989e1);", "e^89 is infinite"),
    (
        "let x = clamp(value, -8.787e1, 87.0);",
        "1 is added to the result",
    ),
    (
        "let x = clamp(value, -87.0, 8.787e1);",
        "1 is added to the result",
    ),
    ("a < 6.3125e-1);", "both formulas are accurate there"),
    (
        "if (m < 7.1417784881e-1) {",
        "both formulas are accurate there",
    ),
    ("var p = 7.108060465492001e-2;", "r^11 is below 6e-5"),
    ("vec4<f32>(-3.366e38));", "no element of a product is near"),
    ("const LOWEST: f32 = -3.366e38;", "no logit is near"),
    (
        "var other = 1e-2;",
        "the sum matters only if it is infinite",
    ),
    ("return 1e-2;", "no sum past the last is stored"),
    (
        "const LEFT_PAST: f32 = -1e-2;",
        "the right factor of every such product is 0",
    ),
    (
        "const RIGHT_PAST: f32 = 1e-2;",
        "the left factor of every such product is -0",
    ),
];

/// Whether any case fails.
fn is_caught(executor: &mut GpuExecutor, kernel: &'static Kernel) -> Result<bool> {
    for case in (kernel.cases)().into_iter().filter(|case| !case.timed) {
        let contents = fill(kernel, &case, SEED);
        let want = reference(kernel, &case, &contents);
        let got = run_case(
            executor,
            kernel,
            &case,
            &contents,
            Layout::Apart,
            Halves::NONE,
        )?;
        let worst = compare(kernel, &case, &got, &want, Halves::NONE);
        if worst.is_some_and(|worst| !worst.is_tolerable()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The changes of all numbers, each in the first kernel whose generated text contains it: in a form only if no other kernel does,
/// and the device runs the form.
fn mutants(runs: impl Fn(&Kernel) -> bool) -> Vec<Mutant> {
    let mut seen = BTreeSet::new();
    let mut mutants = Vec::new();
    let kernels =
        catalogue().filter(|kernel| !kernel.needs_units() && kernel.name != functions::KERNEL.name);
    let (forms, others): (Vec<_>, Vec<_>) = kernels.partition(|kernel| is_form(kernel));
    let forms = forms.into_iter().filter(|form| runs(form));
    // `functions` comes first, because it shows all digits of the results.
    for right in [&functions::KERNEL].into_iter().chain(others).chain(forms) {
        let mut add = |text: &'static str, (at, wgsl): (usize, &str), kernel| {
            if seen.contains(&(text, at)) || !differs(kernel, right) {
                return;
            }
            seen.insert((text, at));
            let what = format!("{text} in {}: {}", right.name, line_of(wgsl, at));
            mutants.push(Mutant { kernel, what });
        };
        for (at, literal) in literals(right.wgsl) {
            let wgsl: &'static str = changed(right.wgsl, at, &literal).leak();
            add(right.stem(), (at, wgsl), wrong(right, wgsl, right.snippets));
        }
        for (k, snippet) in right.snippets.iter().enumerate() {
            for (at, literal) in literals(snippet.wgsl) {
                let wgsl: &'static str = changed(snippet.wgsl, at, &literal).leak();
                let name = snippet.name;
                let mut snippets = right.snippets.to_vec();
                snippets[k] = Box::leak(Box::new(Snippet { name, wgsl }));
                add(name, (at, wgsl), wrong(right, right.wgsl, snippets.leak()));
            }
        }
    }
    mutants
}

/// Whether the generated texts of two kernels differ: a number of another form is not in that of this one.
fn differs(one: &Kernel, other: &Kernel) -> bool {
    (other.cases)().iter().any(|case| {
        let constants = (other.constants)(&case.params);
        let text = |kernel: &Kernel| kernel.source(&constants, false, Halves::NONE);
        text(one) != text(other)
    })
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
        twin: Twin {
            single: right.twin.single,
            double: right.twin.double,
        },
        bindings: right.bindings,
        fields: right.fields,
        constants: right.constants,
        grid: right.grid,
        declares_interface: right.declares_interface,
        cpu: right.cpu,
        cases: right.cases,
        ..Kernel::DEFAULT
    }))
}

/// The numbers with a decimal point in a shader, outside comments and directives, with their positions.
fn literals(wgsl: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in wgsl.split_inclusive('\n') {
        let code = if line.trim_start().starts_with('#') {
            ""
        } else {
            line.split("//").next().unwrap_or("")
        };
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

/// The shader with one number changed: 1 % larger, 1 % smaller if it is close to the largest `f32`, 0.01 if it is zero.
fn changed(wgsl: &str, at: usize, literal: &str) -> String {
    let suffix = if literal.ends_with('f') { "f" } else { "" };
    let value: f64 = literal.trim_end_matches('f').parse().expect("a number");
    let other = match value {
        0.0 => 0.01,
        // 1 % more could overflow.
        large if large > 1e38 => 0.99 * large,
        value => 1.01 * value,
    };
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
