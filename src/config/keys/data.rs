//! The section `[data]`.

use std::path::PathBuf;

use super::limits::{COUNT, INDEX};
use crate::config::document::Document;
use crate::config::key::Resume::{MayChange, MustStay, SameContent, SameMeasure};
use crate::config::key::{Content, Measured};
use crate::config::named::named;
use crate::config::section::section;
use crate::config::setting::{Numbers, Setting};
use crate::error::{Error, Result};

section! {
    /// The texts, and how they are read.
    DataConfig: "data" {
        /// How the text is arranged in batches.
        order: Order = Setting { default: Order::Sentences, rule: (), resume: MustStay };

        /// How lines are split into tokens.
        tokens: Tokens = Setting { default: Tokens::Whitespace, rule: (), resume: MustStay },
            known as ["tokenizer", "tokenizer_type", "tokenization", "tokenize", "level", "token_type", "unit"];

        /// Unicode normalization of texts, prompts and lines to score, before they are split into tokens.
        normalization: Normalization = Setting { default: Normalization::None, rule: (), resume: MustStay },
            known as ["normalize", "normalisation", "unicode_normalization", "nfc", "normalizer"];

        /// Training text: one or more files, folders or patterns (`*`, `?`, `[...]`), relative to the folder of the
        /// configuration; `~/` is the home folder. Resolved configurations have absolute paths.
        train: Vec<PathBuf> = Setting { default: Vec::new(), rule: (), resume: SameContent(Content::TrainingText) },
            known as [
                "train_file", "train_files", "train_data", "train_path", "train_text", "training", "training_data",
                "training_text", "corpus", "text", "texts", "file", "files", "path", "dataset", "input", "data_dir",
            ];

        /// Validation text, like `train`; may be empty.
        valid: Vec<PathBuf> = Setting { default: Vec::new(), rule: (), resume: SameMeasure(Measured::Text) },
            known as [
                "valid_file", "valid_data", "valid_path", "valid_text", "validation", "validation_file",
                "validation_data", "val", "val_file", "val_data", "dev", "dev_file", "eval_data",
            ];

        /// Test text, like `train`; may be empty.
        test: Vec<PathBuf> = Setting { default: Vec::new(), rule: (), resume: MayChange },
            known as ["test_file", "test_data", "test_path", "test_text"];

        /// Vocabulary file: `word count` on each line, sorted by descending count; with `tokens = "bpe"`, a `tokenizer.json`.
        /// Empty: the vocabulary is built from the training text and stored with the run.
        vocab: Option<PathBuf> = Setting { default: None, rule: (), resume: SameContent(Content::Words) },
            known as ["vocab_file", "vocab_path", "vocabulary", "vocabulary_file", "dictionary", "dict", "word_list"];

        /// Maximum size of a built vocabulary, or required size of a vocabulary file; 0: any size, or 8000 if `tokens = "bpe"`
        /// and the vocabulary is built.
        vocab_size: usize = Setting { default: 0, rule: 0..=INDEX, resume: MustStay },
            known as [
                "vocabulary_size", "max_vocab", "max_vocab_size", "vocab_limit", "num_words", "n_vocab", "vocab_len",
                "max_words", "nwords",
            ];

        /// Minimum number of occurrences of a word in a built vocabulary; rarer words are unknown. Not used with `vocab` or
        /// `tokens = "bpe"`.
        min_count: u64 = Setting { default: 1, rule: 1..=COUNT, resume: MustStay },
            known as ["min_freq", "min_frequency", "min_occurrences", "min_word_count", "cutoff"],
            written if |data| data.vocab.is_none();

        /// Shuffles files and lines in every epoch; for `order = "sentences"`.
        shuffle: bool = Setting { default: true, rule: (), resume: MustStay },
            known as ["shuffling", "random_order"];

        /// Fraction of the training text that is held out as validation text if `valid` is empty; 0: none.
        valid_share: f64 = Setting {
            default: 0.0,
            rule: Numbers { allowed: "a number from 0 to 0.5", contains: |share| (0.0..=0.5).contains(&share) },
            resume: MustStay,
        },
            known as [
                "valid_split", "val_split", "validation_split", "valid_fraction", "val_fraction", "val_ratio",
                "holdout", "split",
            ];

        /// Which lines `valid_share` holds out.
        valid_choice: ValidChoice = Setting { default: ValidChoice::Tail, rule: (), resume: MustStay };
    }
}

named! {
    /// Which lines of the training text are held out as validation text.
    ValidChoice {
        /// The last lines. In a collection of texts these are from the last ones.
        Tail = "tail",
        /// Random lines from the whole text; with `order = "contiguous"`, random blocks of lines of about 4 KB. The choice
        /// does not depend on `train.seed`. The text is copied into memory.
        Random = "random",
    }
}

named! {
    /// How the text is arranged in batches.
    Order {
        /// Each line is a sentence, preceded and followed by the token `<S>`; sentences are packed into the rows of a
        /// batch; blank lines are skipped.
        Sentences = "sentences",
        /// The text is one sequence, with `<eos>` after each line, including blank lines; it is cut into as many
        /// columns as a batch has rows.
        Contiguous = "contiguous",
    }
}

named! {
    /// How lines are split into tokens.
    Tokens {
        /// A tokenized corpus: tokens are separated by white space (Unicode `White_Space`).
        Whitespace = "whitespace",
        /// Plain text, split into words by the Unicode standard (UAX #29), with small changes: see `wlstm help texts`.
        /// Punctuation marks are tokens. Case is kept. For Chinese, Japanese and Thai, use `characters` or `bpe`.
        Words = "words",
        /// Every character is a token, including white space; line ends are `<eos>`.
        Characters = "characters",
        /// Plain text in any language, split into subwords by byte-level BPE, so that no word is unknown. `vocab` is a
        /// `tokenizer.json` of the `tokenizers` library; without it, a tokenizer with `vocab_size` tokens (0: 8000) is trained
        /// on the training text.
        Bpe = "bpe",
    }
}

named! {
    /// Unicode normalization of texts.
    Normalization {
        /// Texts are not changed.
        None = "none",
        /// Canonical composition (NFC): a letter with an accent is one character, however the text encodes it.
        Nfc = "nfc",
    }
}

impl Tokens {
    /// The unit of speed.
    pub fn unit(self) -> &'static str {
        match self {
            Tokens::Characters => "chars/s",
            Tokens::Whitespace | Tokens::Words => "words/s",
            Tokens::Bpe => "tokens/s",
        }
    }

    /// A token, for messages.
    pub fn noun(self) -> &'static str {
        match self {
            Tokens::Characters => "character",
            Tokens::Whitespace | Tokens::Words => "word",
            Tokens::Bpe => "token",
        }
    }
}

impl DataConfig {
    /// Whether there is validation text.
    pub fn validates(&self) -> bool {
        !self.valid.is_empty() || self.valid_share > 0.0
    }

    /// Reads and checks the section.
    pub(crate) fn read(document: &Document) -> Result<DataConfig> {
        let mut data = DataConfig::read_keys(document)?;
        if data.vocab.is_some() {
            let min_count = document.field("data.min_count");
            if min_count.is_override {
                return Err(min_count.conflict(
                    "the words are those of `data.vocab`",
                    "leave one of the two out, or create the file with `wlstm vocab --min-count`",
                ));
            }
            data.min_count = 1;
        }
        let share = document.field("data.valid_share");
        if share.is_override && data.valid_share > 0.0 && !data.valid.is_empty() {
            return Err(share.conflict(
                "the validation text is that of `data.valid`",
                "add `--set data.valid=[]` to hold out a part of the training text instead",
            ));
        }
        if data.train.is_empty() {
            return Err(document
                .field("data.train")
                .refuse("at least one file or pattern of training text"));
        }
        let paths = data.train.iter().chain(&data.valid).chain(&data.test);
        for path in paths.chain(&data.vocab) {
            if path.to_str().is_none() {
                return Err(
                    Error::usage(format!("the path `{}` is not Unicode", path.display()))
                        .help("move the configuration to a folder with a Unicode name"),
                );
            }
        }
        Ok(data)
    }
}
