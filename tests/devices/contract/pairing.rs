//! Each shader has a declaration and each declaration a shader.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use libtest_mimic::Failed;
use wlstm::kernels::catalogue;

use super::tools::{Outcome, ensure};

/// Files below `folder` with this extension, as `folder/stem` names.
fn stems(
    folder: &Path,
    extension: &str,
    wanted: fn(&Path) -> bool,
) -> Result<BTreeSet<String>, Failed> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) && wanted(&path) {
                let stem = path.strip_prefix(folder)?.with_extension("");
                found.insert(stem.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    Ok(found)
}

/// Each kernel has one stem, two files and one line in a catalogue.
pub fn paired() -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shaders = stems(&root.join("shaders"), "wgsl", |path| {
        !path.components().any(|part| part.as_os_str() == "shared")
    })?;
    let declarations = stems(&root.join("src/kernels"), "rs", |path| {
        fs::read_to_string(path).is_ok_and(|text| text.contains("static KERNEL: Kernel = "))
    })?;
    let registered: Vec<&str> = catalogue().map(|kernel| kernel.name).collect();
    let names: BTreeSet<&str> = registered.iter().copied().collect();
    ensure!(names.len() == registered.len(), "two kernels have one name");
    let names: BTreeSet<String> = catalogue().map(|kernel| kernel.stem().to_owned()).collect();
    let lone: Vec<_> = declarations.symmetric_difference(&names).collect();
    ensure!(
        lone.is_empty(),
        "declarations and registered kernels differ in {lone:?}"
    );
    let mut unused = shaders;
    for kernel in catalogue() {
        let shader = |stem: &str| {
            let path = root.join("shaders").join(stem).with_extension("wgsl");
            fs::read_to_string(path).is_ok_and(|text| text == kernel.wgsl)
        };
        let own = shader(kernel.stem());
        // Products have two texts, which cells share.
        let shared = if kernel.needs_units() {
            "matmul/product_units"
        } else {
            "matmul/product"
        };
        let shares = kernel.needs_units() || kernel.form_of.is_some();
        ensure!(
            own || (shares && shader(shared)),
            "{} declares the text of another shader",
            kernel.name
        );
        unused.remove(if own { kernel.stem() } else { shared });
    }
    ensure!(
        unused.is_empty(),
        "no registered kernel has the text of {unused:?}"
    );
    Ok(())
}
