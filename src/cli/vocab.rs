//! `wlstm vocab`: builds a vocabulary file from the words of a corpus.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::args::{Invocation, output_at};
use super::messages::note;
use super::output;
use super::preparation::Preparation;
use crate::checkpoint::has_run;
use crate::config::{Named, Normalization, Order, Tokens};
use crate::corpus::{Corpus, VocabularyBuilder};
use crate::error::{Error, Result, command_line, quoted};
use crate::files::Output;
use crate::job::Trained;
use crate::job::text::{count_words, warn_of_marks};
use crate::numbers::grouped;

/// Build a vocabulary file from the words of a corpus
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Prints three lines: words N, including special words; tokens N, including the end-of-line tokens; \
    coverage N %, the share of the tokens that are in the vocabulary.\n\
    \n\
    Examples:\n  \
    wlstm vocab 'data/train/*' --out data/vocab.txt --min-count 3\n  \
    wlstm vocab data/train.txt --tokens bpe --size 8000 --out tokenizer.json\n  \
    wlstm vocab runs/text --out vocab.txt"
)]
pub(super) struct VocabArgs {
    /// Text files or glob patterns; or one run or checkpoint, whose vocabulary is written unchanged
    #[arg(required = true)]
    pub corpus: Vec<PathBuf>,
    /// Vocabulary file: one `word count` per line, most frequent first; with --tokens bpe, a tokenizer.json; - is standard output
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Keep this many of the most frequent words; 0 keeps all. With --tokens bpe, the size of the vocabulary; 0 means 8000
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub size: usize,
    /// Keep words that occur at least this often
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub min_count: u64,
    /// Order of the text, like data.order in a configuration
    #[arg(long, value_name = "ORDER", default_value = "sentences", value_parser = one_of::<Order>())]
    pub order: Order,
    /// How lines are split into tokens, like data.tokens in a configuration
    #[arg(long, value_name = "TOKENS", default_value = "whitespace", value_parser = one_of::<Tokens>())]
    pub tokens: Tokens,
    /// Unicode normalization of the text, like data.normalization in a configuration
    #[arg(long, value_name = "FORM", default_value = "none", value_parser = one_of::<Normalization>())]
    pub normalization: Normalization,
}

/// Parses a value by its name in the configuration.
fn one_of<T: Named + Send + Sync>() -> impl TypedValueParser<Value = T> {
    let names = T::all().into_iter().map(|one| one.name);
    PossibleValuesParser::new(names).try_map(|given| {
        let value = T::all().into_iter().find(|one| one.name == given);
        value.map(|one| one.value).ok_or("not one of the values")
    })
}

/// Builds the vocabulary and saves it.
pub(super) fn run(arguments: &VocabArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let out = &arguments.out;
    if let [run] = &arguments.corpus[..]
        && is_model(run)
    {
        return save_of_model(run, out, quiet);
    }
    let corpus = Corpus::open_as(&arguments.corpus, arguments.normalization)?;
    let output = output_beside(out, &corpus)?;
    let (files, bytes) = (corpus.files() as u64, corpus.bytes());
    note(
        quiet,
        &format!(
            "Counting the {}s of {} ({} bytes) in {} order, {} tokens ...",
            arguments.tokens.noun(),
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
    let mut preparation = Preparation::new(quiet);
    let vocabulary = count_words(&builder, &corpus, &mut |event| preparation.show(event))?;
    warn_of_marks("text", &corpus, &vocabulary, arguments.tokens)?;
    let tokens: u64 = (0..vocabulary.len())
        .map(|id| vocabulary.count(id as u32))
        .sum();
    let unknown = vocabulary.count(vocabulary.unknown());
    let coverage = 100.0 * (1.0 - unknown as f64 / tokens as f64);
    let replaced = output.file().is_some_and(Path::exists);
    vocabulary.write_tokenizer(&output)?;
    let words = vocabulary.len();
    let counts = format!("words {words}\ntokens {tokens}\ncoverage {coverage:.4} %\n");
    if output.is_stdout() {
        note(quiet, counts.trim_end());
        return Ok(());
    }
    let form = match arguments.normalization {
        Normalization::None => String::new(),
        form => format!(" --set data.normalization={form}"),
    };
    note(
        quiet,
        &format!(
            "{} `{}`. To train with it:{}",
            if replaced { "Replaced" } else { "Wrote" },
            out.display(),
            command_line(&format!(
                "--set data.vocab={} --set data.vocab_size=0 --set data.order={} --set data.tokens={}{form}",
                quoted(&as_path(out)),
                arguments.order,
                arguments.tokens
            ))
        ),
    );
    output::print(counts.as_bytes())
}

/// Whether a path is a run or a checkpoint.
fn is_model(path: &Path) -> bool {
    path.is_dir() && has_run(path)
        || path.is_file() && path.extension().is_some_and(|name| name == "safetensors")
}

/// Writes the vocabulary of a trained model.
fn save_of_model(run: &Path, out: &Path, quiet: bool) -> Result<()> {
    let output = output_at(out, "the vocabulary ")?;
    let trained = Trained::open(run)?;
    let vocabulary = trained.vocabulary();
    if out.extension().is_some_and(|end| end == "json") {
        vocabulary.write_tokenizer(&output)?;
    } else {
        vocabulary.write(&output)?;
    }
    let count = format!("words {}\n", vocabulary.len());
    if output.is_stdout() {
        note(quiet, count.trim_end());
        return Ok(());
    }
    note(
        quiet,
        &format!(
            "Wrote `{}`. To train with the vocabulary of this model:{}",
            out.display(),
            command_line(&format!(
                "--set data.vocab={} --set data.vocab_size=0",
                quoted(&as_path(out))
            ))
        ),
    );
    output::print(count.as_bytes())
}

/// A path as a value of `--set`. A path that is also a TOML value needs `./`.
fn as_path(out: &Path) -> String {
    let text = out.display().to_string();
    match toml::de::DeValue::parse(&text) {
        Ok(_) => format!("./{text}"),
        Err(_) => text,
    }
}

/// The output. Refuses, before the corpus is read, a file that cannot be written or that is part of the corpus.
fn output_beside(out: &Path, corpus: &Corpus) -> Result<Output> {
    let output = output_at(out, "the vocabulary ")?;
    let place = out.canonicalize().ok();
    let is_corpus = (0..corpus.files())
        .any(|file| place.is_some() && corpus.path(file).canonicalize().ok() == place);
    if is_corpus {
        return Err(Error::usage(format!(
            "`{}` is a file of the corpus, which the vocabulary would overwrite",
            out.display()
        ))
        .help("choose another file with --out, or leave this one out of the corpus"));
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;
    use super::*;

    #[test]
    fn takes_how_the_text_is_read() {
        let line = [
            "a",
            "b",
            "--out",
            "v",
            "--size",
            "10",
            "--min-count",
            "3",
            "--order",
            "contiguous",
            "--tokens",
            "characters",
        ];
        let vocab: VocabArgs = parse(&line).unwrap();
        assert_eq!(vocab.corpus.len(), 2);
        assert_eq!(vocab.size, 10);
        assert_eq!(vocab.min_count, 3);
        assert_eq!(vocab.order, Order::Contiguous);
        assert_eq!(vocab.tokens, Tokens::Characters);
        assert!(parse::<VocabArgs>(&["--out", "v"]).is_err());
        assert!(parse::<VocabArgs>(&["a", "--out", "v", "--tokens", "letters"]).is_err());
    }
}
