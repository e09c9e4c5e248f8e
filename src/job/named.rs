//! Names of texts, for messages.

use std::path::Path;

use crate::config::{DataConfig, ValidChoice};
use crate::corpus::Corpus;
use crate::numbers::{counted, percent};

/// The files of a text: the first one, and the number of the others. A file in the working directory has a relative path.
fn files_of(corpus: &Corpus) -> String {
    names_of(corpus.path(0), corpus.files())
}

/// Same as [`files_of`], from the first file and the number of files, for a text that is not open yet.
pub(super) fn names_of(first: &Path, files: usize) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let short = match first.strip_prefix(&here) {
        Ok(short) if here != Path::new("") => short,
        _ => first,
    };
    let more = match files {
        1 => String::new(),
        files => format!(" and {}", counted(files as u64 - 1, "more file")),
    };
    format!("`{}`{more}", short.display())
}

/// The part of the training text `text` that is held out for validation.
pub(super) fn held_out_part(data: &DataConfig, text: &str) -> String {
    let share = percent(data.valid_share);
    match data.valid_choice {
        ValidChoice::Tail => format!("the last {share} of {text}"),
        ValidChoice::Random => format!("a random {share} of the lines of {text}"),
    }
}

/// The sentence that names the texts of a run.
pub(super) fn texts(data: &DataConfig, train: &Corpus, valid: Option<&Corpus>) -> String {
    let valid = match valid {
        None => "no validation text".to_owned(),
        Some(_) if data.valid.is_empty() => {
            format!(
                "validation text: {}",
                held_out_part(data, "the training text")
            )
        }
        Some(valid) => format!("validation text: {}", files_of(valid)),
    };
    format!("Training text: {}; {valid}.", files_of(train))
}
