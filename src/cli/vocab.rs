//! `wlstm vocab`: counts the words of a corpus and writes a vocabulary file.
//!
//! Three lines: `words` (of the vocabulary, special ones counted too), `tokens` (of the corpus, the mark at the end of each
//! line counted too, as in training) and `coverage` (the share of the tokens that are in the vocabulary).

use std::path::Path;

use super::arguments::Vocab;
use super::context::{count, tell};
use crate::corpus::{Corpus, VocabularyBuilder};
use crate::error::{Error, Result, quoted};
use crate::numbers::grouped;

/// Builds a vocabulary.
pub(super) fn run(arguments: &Vocab, quiet: bool) -> Result<()> {
    let out = &arguments.out;
    let corpus = Corpus::open(&arguments.corpus)?;
    check_place(out, &corpus)?;
    let (files, bytes) = (corpus.files() as u64, corpus.bytes());
    tell(
        quiet,
        &format!(
            "Counting the words of {} ({} bytes) in {} order, {} tokens ...",
            if files == 1 {
                "1 file".to_owned()
            } else {
                format!("{} files", grouped(files))
            },
            grouped(bytes),
            arguments.order,
            arguments.tokens
        ),
    );
    let builder = VocabularyBuilder::new(arguments.order, arguments.tokens)
        .size(arguments.size)
        .min_count(arguments.min_count);
    let vocabulary = count(builder, &corpus, quiet)?;
    let tokens: u64 = (0..vocabulary.len())
        .map(|id| vocabulary.count(id as u32))
        .sum();
    let unknown = vocabulary.count(vocabulary.unknown());
    let coverage = 100.0 * (1.0 - unknown as f64 / tokens as f64);
    let replaced = out.exists();
    vocabulary.save(out)?;
    tell(
        quiet,
        &format!(
            "{} `{}`. To train with it: --set data.vocab={} --set data.vocab_size=0 --set data.order={} --set data.tokens={}",
            if replaced { "Replaced" } else { "Wrote" },
            out.display(),
            quoted(&as_path(out)),
            arguments.order,
            arguments.tokens
        ),
    );
    let words = vocabulary.len();
    super::print(format!("words {words}\ntokens {tokens}\ncoverage {coverage:.4} %\n").as_bytes())
}

/// A path that no `--set` takes for a number or another value.
fn as_path(out: &Path) -> String {
    let text = out.display().to_string();
    match toml::de::DeValue::parse(&text) {
        Ok(_) => format!("./{text}"),
        Err(_) => text,
    }
}

/// Refuses, before a long count, a place that cannot be written to or that is the corpus itself.
fn check_place(out: &Path, corpus: &Corpus) -> Result<()> {
    super::has_folder(out, "the vocabulary ")?;
    let place = out.canonicalize().ok();
    let is_corpus = (0..corpus.files())
        .any(|file| place.is_some() && corpus.path(file).canonicalize().ok() == place);
    if is_corpus {
        return Err(Error::usage(format!(
            "`{}` is a file of the corpus, and the vocabulary would replace it",
            out.display()
        ))
        .help("choose another file with --out, or leave this one out of the corpus"));
    }
    Ok(())
}
