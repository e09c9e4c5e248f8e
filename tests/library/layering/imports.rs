//! Which file imports from which: paths resolved to the files that define what they name.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Mention, Names, Source};

/// The modules of the crate.
pub struct Crate<'a> {
    sources: &'a [Source],
    /// The file of each module.
    files: BTreeMap<Names, usize>,
    /// The file of each macro.
    macros: BTreeMap<&'a str, usize>,
}

/// The target of a path.
enum Target {
    Module(Names),
    /// An item of a file.
    Item(usize),
    /// Another crate, or something within the file.
    Elsewhere,
}

impl<'a> Crate<'a> {
    /// The crate of these files.
    pub fn new(sources: &'a [Source]) -> Crate<'a> {
        let files = sources.iter().enumerate();
        let macros = files.clone().flat_map(|(file, source)| {
            let names = source.macros.iter();
            names.map(move |name| (name.as_str(), file))
        });
        Crate {
            sources,
            macros: macros.collect(),
            files: files
                .map(|(file, source)| (source.module.clone(), file))
                .collect(),
        }
    }

    /// For each file the files that it imports from; tests left out. A `pub use` that only re-exports an item
    /// of a child module is not an import. An imported module counts where one of its items is used.
    pub fn imports(&self) -> Vec<BTreeSet<usize>> {
        let of_file = |(file, source): (usize, &Source)| {
            let mentions = source.paths.iter().filter(|mention| !mention.test);
            let found = mentions.filter_map(|mention| {
                let target = self.resolve(file, mention)?;
                let target_module = &self.sources[target].module;
                let passed_on = mention.reexport && target_module.starts_with(&source.module);
                (target != file && !passed_on).then_some(target)
            });
            found.collect()
        };
        self.sources.iter().enumerate().map(of_file).collect()
    }

    /// The top-level modules that a file names, tests included, with one path for each.
    pub fn layers(&self, file: usize) -> BTreeMap<String, String> {
        let mentions = self.sources[file].paths.iter();
        let found = mentions.filter_map(|mention| {
            let path = self.absolute(file, mention)?;
            let layer = path.first()?.clone();
            let known = self.files.contains_key(&path[..1]);
            known.then(|| (layer, mention.path.join("::")))
        });
        found.collect()
    }

    /// The file that defines the target of a path.
    fn resolve(&self, file: usize, mention: &Mention) -> Option<usize> {
        let path = self.absolute(file, mention)?;
        match self.walk(&path, &mut BTreeSet::new()) {
            Target::Item(found) => Some(found),
            // A module that is imported as such counts where it is used.
            Target::Module(_) if mention.import => None,
            Target::Module(module) => Some(self.files[&module]),
            Target::Elsewhere => None,
        }
    }

    /// A path from the root of the crate; none if it leads to another crate or stays within the file.
    fn absolute(&self, file: usize, mention: &Mention) -> Option<Names> {
        self.absolute_within(file, &mention.path, &mention.within, mention.import)
    }

    fn absolute_within(
        &self,
        file: usize,
        path: &[String],
        within: &Names,
        import: bool,
    ) -> Option<Names> {
        let source = &self.sources[file];
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            // The program names the library as others do.
            "crate" | "wlstm" => Vec::new(),
            "self" => within.clone(),
            "super" => within[..within.len().checked_sub(1)?].to_vec(),
            name => {
                let child = [source.module.as_slice(), &[name.to_owned()]].concat();
                match source.imported.get(name) {
                    // An alias of itself (`use child;`) is the child.
                    Some(target) if !import && target.as_slice() != path => {
                        self.absolute_within(file, target, &source.module, true)?
                    }
                    _ if self.files.contains_key(&child) => child,
                    _ => return None,
                }
            }
        };
        for name in rest {
            if name == "super" {
                base.pop();
            } else {
                base.push(name.clone());
            }
        }
        Some(base)
    }

    /// Follows a path from the root.
    fn walk(&self, path: &[String], seen: &mut BTreeSet<Names>) -> Target {
        let mut module = Vec::new();
        for name in path {
            let mut deeper: Names = module.clone();
            deeper.push(name.clone());
            if self.files.contains_key(&deeper) {
                module = deeper;
                continue;
            }
            return self.item(&module, name, &path[module.len() + 1..], seen);
        }
        Target::Module(module)
    }

    /// What a name in a module is, and what a path leads to from there.
    fn item(
        &self,
        module: &Names,
        name: &String,
        rest: &[String],
        seen: &mut BTreeSet<Names>,
    ) -> Target {
        let mut whole = module.clone();
        whole.push(name.clone());
        let Some(&file) = self.files.get(module).filter(|_| seen.insert(whole)) else {
            return Target::Elsewhere;
        };
        let source = &self.sources[file];
        if let Some(&found) = self.macros.get(name.as_str()).filter(|_| module.is_empty()) {
            return Target::Item(found);
        }
        if source.defined.contains(name) {
            return Target::Item(file);
        }
        if let Some(target) = source.imported.get(name) {
            return match self.absolute_within(file, target, module, true) {
                Some(path) => self.walk(&[path.as_slice(), rest].concat(), seen),
                None => Target::Elsewhere,
            };
        }
        // Names that `use child::*` brings in.
        for glob in &source.globs {
            let Some(path) = self.absolute_within(file, glob, module, true) else {
                continue;
            };
            if let Target::Module(target) = self.walk(&path, seen)
                && self.sources[self.files[&target]].defined.contains(name)
            {
                return Target::Item(self.files[&target]);
            }
        }
        Target::Item(file)
    }
}

/// The sets of files that reach each other (Tarjan 1972), each sorted; a single file is not a set.
pub fn cycles(imports: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    struct Search<'a> {
        imports: &'a [BTreeSet<usize>],
        /// The order in which a file was reached, and the first file that it reaches back to.
        order: Vec<Option<(usize, usize)>>,
        path: Vec<usize>,
        count: usize,
        found: Vec<Vec<usize>>,
    }
    impl Search<'_> {
        fn visit(&mut self, file: usize) -> usize {
            let own = self.count;
            self.count += 1;
            self.order[file] = Some((own, own));
            self.path.push(file);
            let mut lowest = own;
            for &next in &self.imports[file] {
                let reached = match self.order[next] {
                    None => self.visit(next),
                    Some((order, _)) if self.path.contains(&next) => order,
                    Some(_) => continue,
                };
                lowest = lowest.min(reached);
            }
            if lowest == own {
                let start = self.path.iter().position(|on_path| *on_path == file);
                let mut members = self.path.split_off(start.unwrap_or_default());
                members.sort_unstable();
                if members.len() > 1 {
                    self.found.push(members);
                }
            }
            lowest
        }
    }
    let mut search = Search {
        imports,
        order: vec![None; imports.len()],
        path: Vec::new(),
        count: 0,
        found: Vec::new(),
    };
    for file in 0..imports.len() {
        if search.order[file].is_none() {
            search.visit(file);
        }
    }
    search.found.sort();
    search.found
}
