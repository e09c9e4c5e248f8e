//! The source files of the crate as tokens, and the paths that they name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Names of modules, or of modules and an item, from the root of the crate.
pub type Names = Vec<String>;

/// One file of `src/`.
pub struct Source {
    /// The path below `src/`, with `/` on every system.
    pub path: String,
    /// The module that the file is.
    pub module: Names,
    /// All paths in the file: those of `use`, and those in code.
    pub paths: Vec<Mention>,
    /// Names that `use` imports into the module, with their paths.
    pub imported: BTreeMap<String, Names>,
    /// Modules whose names `use module::*` brings in.
    pub globs: Vec<Names>,
    /// Items that the file defines, inside functions too.
    pub defined: BTreeSet<String>,
    /// Macros that the file exports at the root of the crate.
    pub macros: BTreeSet<String>,
}

/// A path with its location.
#[derive(Clone)]
pub struct Mention {
    /// The path as written, without the alias.
    pub path: Names,
    /// The module that contains it; not that of the file within an inline module.
    pub within: Names,
    /// Whether it is only a re-export: `pub use` of a name that the file does not use itself.
    pub reexport: bool,
    /// Whether it is in a `use`.
    pub import: bool,
    /// Whether it is in `#[cfg(test)]` or in a file `tests.rs`.
    pub test: bool,
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder of the repository with one of these extensions, sorted, without the build output of Cargo.
pub fn files_below(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut open = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.ends_with("target") {
                continue;
            } else if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every file of `src/`.
pub fn sources() -> Vec<Source> {
    let src = root().join("src");
    let read = |path: PathBuf| {
        let below = path.strip_prefix(&src).expect("below src");
        let parts: Names = below
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        let text = std::fs::read_to_string(&path).expect("a source file");
        Source::parse(&parts.join("/"), &text)
    };
    files_below("src", &["rs"]).into_iter().map(read).collect()
}

impl Source {
    /// Reads a file at this path below `src/`.
    pub fn parse(path: &str, text: &str) -> Source {
        let stem = path.strip_suffix(".rs").unwrap_or(path);
        let mut module: Names = stem.split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
            module.pop();
        }
        let mut source = Source {
            path: path.to_owned(),
            module: module.clone(),
            paths: Vec::new(),
            imported: BTreeMap::new(),
            globs: Vec::new(),
            defined: BTreeSet::new(),
            macros: BTreeSet::new(),
        };
        let mut reader = Reader {
            tokens: tokens(&code_of(text)),
            at: 0,
            // Of each open brace: the inline module that it opens, and whether that is a test.
            open: Vec::new(),
            source: &mut source,
            uses: BTreeMap::new(),
        };
        reader.read();
        let used = reader.uses;
        for mention in &mut source.paths {
            mention.test |= path.ends_with("/tests.rs");
            let own = mention.path.last().and_then(|name| used.get(name));
            mention.reexport = mention.reexport && own.is_none();
        }
        source
    }

    /// A path with its first name replaced by what `use` imports under that name: `std::io::stderr` for `io::stderr`.
    pub fn resolved(&self, path: &[String]) -> Names {
        match path.split_first() {
            Some((first, rest)) => match self.imported.get(first) {
                Some(import) => import.iter().chain(rest).cloned().collect(),
                None => path.to_vec(),
            },
            None => Names::new(),
        }
    }

    /// The top-level module: `kernels` of `kernels/matmul/product.rs`.
    pub fn layer(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }
}

/// Walks over the tokens of a file.
struct Reader<'a> {
    tokens: Vec<Token>,
    at: usize,
    open: Vec<(Option<String>, bool)>,
    source: &'a mut Source,
    /// How often each name occurs in the code outside `use`.
    uses: BTreeMap<String, usize>,
}

impl Reader<'_> {
    fn word(&self, at: usize) -> Option<&str> {
        match self.tokens.get(at) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn is(&self, at: usize, sign: &str) -> bool {
        matches!(self.tokens.get(at), Some(Token::Sign(found)) if found == sign)
    }

    fn within(&self) -> Names {
        let inline = self.open.iter().filter_map(|(name, _)| name.clone());
        self.source.module.iter().cloned().chain(inline).collect()
    }

    fn in_test(&self) -> bool {
        self.open.iter().any(|(_, test)| *test)
    }

    fn read(&mut self) {
        let mut test = false;
        let mut public = false;
        while self.at < self.tokens.len() {
            if self.is(self.at, "#") && self.attribute_is_test() {
                test = true;
            }
            match self.word(self.at) {
                Some("pub") => public = true,
                Some("use") => {
                    self.at += 1;
                    let within = self.within();
                    let test = test || self.in_test();
                    self.use_tree(Vec::new(), &within, public, test);
                    public = false;
                    continue;
                }
                Some("mod") if self.is(self.at + 2, "{") => {
                    let name = self.word(self.at + 1).map(str::to_owned);
                    self.open.push((name, test));
                    (test, public) = (false, false);
                    self.at += 3;
                    continue;
                }
                Some(
                    "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union",
                ) => {
                    if let Some(name) = self.word(self.at + 1) {
                        let name = name.to_owned();
                        self.source.defined.insert(name);
                    }
                }
                Some("macro_rules") => {
                    if let Some(name) = self.word(self.at + 2) {
                        let name = name.to_owned();
                        self.source.macros.insert(name);
                    }
                }
                Some(word) => {
                    *self.uses.entry(word.to_owned()).or_default() += 1;
                    if self.is(self.at + 1, "::") {
                        self.path();
                        continue;
                    }
                }
                None if self.is(self.at, "{") => {
                    self.open.push((None, test));
                    (test, public) = (false, false);
                }
                None if self.is(self.at, "}") => {
                    self.open.pop();
                }
                None if self.is(self.at, ";") => (test, public) = (false, false),
                None => {}
            }
            self.at += 1;
        }
    }

    /// Whether the attribute that begins here is `#[cfg(test)]`.
    fn attribute_is_test(&self) -> bool {
        self.is(self.at + 1, "[")
            && self.word(self.at + 2) == Some("cfg")
            && self.word(self.at + 4) == Some("test")
    }

    /// A path in code.
    fn path(&mut self) {
        let mut path = Vec::new();
        while let Some(word) = self.word(self.at) {
            path.push(word.to_owned());
            *self.uses.entry(word.to_owned()).or_default() += 1;
            self.at += 1;
            if !self.is(self.at, "::") {
                break;
            }
            self.at += 1;
        }
        let mention = Mention {
            path,
            within: self.within(),
            reexport: false,
            import: false,
            test: self.in_test(),
        };
        self.source.paths.push(mention);
    }

    /// What follows `use` or stands in its braces, up to the `;`, `,` or `}` after it.
    fn use_tree(&mut self, mut path: Names, within: &Names, public: bool, test: bool) {
        loop {
            if self.is(self.at, "{") {
                self.at += 1;
                while !self.is(self.at, "}") && self.at < self.tokens.len() {
                    self.use_tree(path.clone(), within, public, test);
                    if self.is(self.at, ",") {
                        self.at += 1;
                    }
                }
                self.at += 1;
                return;
            }
            if self.is(self.at, "*") {
                self.at += 1;
                self.source.globs.push(path.clone());
                path.push("*".to_owned());
                self.import(path, None, within, public, test);
                return;
            }
            let Some(word) = self.word(self.at).map(str::to_owned) else {
                return;
            };
            self.at += 1;
            if word != "self" || path.is_empty() {
                path.push(word);
            }
            if self.is(self.at, "::") {
                self.at += 1;
                continue;
            }
            let mut alias = None;
            if self.word(self.at) == Some("as") {
                alias = self.word(self.at + 1).map(str::to_owned);
                self.at += 2;
            }
            self.import(path, alias, within, public, test);
            return;
        }
    }

    fn import(
        &mut self,
        path: Names,
        alias: Option<String>,
        within: &Names,
        public: bool,
        test: bool,
    ) {
        // Names that are imported into an inline module stay there.
        if *within == self.source.module
            && !test
            && let Some(name) = alias.or_else(|| path.last().cloned())
        {
            self.source.imported.insert(name, path.clone());
        }
        self.source.paths.push(Mention {
            path,
            within: within.clone(),
            reexport: public,
            import: true,
            test,
        });
    }
}

/// A word (identifier or keyword) or a sign.
enum Token {
    Word(String),
    Sign(String),
}

fn tokens(code: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = code.trim_start();
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(first) = rest.chars().next() {
        let length = if in_word(first) {
            let length = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
            found.push(Token::Word(rest[..length].to_owned()));
            length
        } else {
            let length = if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            found.push(Token::Sign(rest[..length].to_owned()));
            length
        };
        rest = rest[length..].trim_start();
    }
    found
}

/// A source file without its comments, strings and characters.
fn code_of(text: &str) -> String {
    code_and_strings(text).0
}

/// A source file without its comments, strings and characters; its strings.
pub fn code_and_strings(text: &str) -> (String, Vec<String>) {
    let chars: Vec<char> = text.chars().collect();
    let at = |k: usize| chars.get(k).copied();
    let (mut code, mut strings) = (String::new(), Vec::new());
    let mut k = 0;
    while let Some(here) = at(k) {
        let before = code.chars().next_back();
        let begins_word = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        match (here, at(k + 1)) {
            ('/', Some('/')) => {
                while at(k).is_some_and(|c| c != '\n') {
                    k += 1;
                }
            }
            ('/', Some('*')) => {
                while at(k).is_some() && (at(k), at(k + 1)) != (Some('*'), Some('/')) {
                    k += 1;
                }
                k += 2;
            }
            ('r', Some('"' | '#')) if begins_word => {
                let hashes = chars[k + 1..].iter().take_while(|c| **c == '#').count();
                if at(k + 1 + hashes) != Some('"') {
                    // A raw identifier.
                    k += 1;
                    continue;
                }
                let end: Vec<char> = std::iter::once('"')
                    .chain(std::iter::repeat_n('#', hashes))
                    .collect();
                k += 2 + hashes;
                let start = k;
                while k < chars.len() && !chars[k..].starts_with(&end) {
                    k += 1;
                }
                strings.push(chars[start..k].iter().collect());
                k += end.len();
                code.push(' ');
            }
            // A character: '"', '\'', '{'. A lifetime has no second quote so near.
            ('\'', Some('\\')) if at(k + 3) == Some('\'') => k += 4,
            ('\'', Some(_)) if at(k + 2) == Some('\'') => k += 3,
            ('"', _) => {
                k += 1;
                let start = k;
                while at(k).is_some_and(|c| c != '"') {
                    k += 1 + usize::from(at(k) == Some('\\'));
                }
                strings.push(chars[start..k.min(chars.len())].iter().collect());
                k += 1;
                code.push(' ');
            }
            (other, _) => {
                code.push(other);
                k += 1;
            }
        }
    }
    (code, strings)
}
