//! The command line as typed values: names, help and examples, nothing that acts.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::config::{Order, Tokens};

/// Everything that was given on the command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "wlstm",
    version,
    about = "Trains LSTM language models, factorized and grouped ones above all, on any GPU and on CPUs",
    after_help = "Results go to standard output, progress and logs to standard error. RUST_LOG chooses the logs, WGPU_BACKEND \
                  (vulkan, metal, dx12, gl) the way to a GPU.\n\n\
                  Exit codes: 0 done; 1 another failure; 2 usage or configuration; 3 data or checkpoint; 4 device; 5 the loss \
                  diverged; 6 a kernel disagrees with its reference; 130, 143 interrupted and saved.\n\n\
                  `wlstm help` says more of exit-codes, configuration, devices and environment.",
    arg_required_else_help = true,
    // There is one of our own, which knows more.
    disable_help_subcommand = true
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Shows no progress, and of the logs only errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Runs every kernel in its default form, instead of the one measured to be fastest on this GPU
    #[arg(long, global = true)]
    pub no_tune: bool,
    /// Keeps the run-time checks of all kernels on GPUs, also of those that were found to compute right without
    #[arg(long, global = true)]
    pub checked: bool,
}

/// One variant a command.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Train a model, or go on training it
    Train(Train),
    /// Train several models by turns under one budget, and print them in one table
    Compare(Compare),
    /// Write a page with the curves, numbers and samples of runs
    Report(Report),
    /// Print the perplexity of a text
    Eval(Eval),
    /// Print the log-probability of each line of a text
    Score(Score),
    /// Print text that a model makes up
    Generate(Generate),
    /// Count the words of a corpus into a vocabulary file
    Vocab(Vocab),
    /// List the devices of this machine
    Devices(Devices),
    /// Print what a model and its training cost: parameters, memory of each device, FLOPs; nothing is run
    Plan(Plan),
    /// Hold every kernel on a device against its reference
    Validate(Validate),
    /// Measure training steps and kernels
    Bench(Bench),
    /// Turn a trained lstmp model into an flstm or a glstm, to be trained further
    Factorize(Factorize),
    /// Write a model for other programs: PyTorch, ONNX Runtime
    Export(Export),
    /// Make a run of a model from elsewhere, as from PyTorch
    Import(Import),
    /// Print the completions of a shell
    Completions(Completions),
    /// Write manual pages
    Man(Man),
    /// Print the help of a command, or of exit-codes, configuration, devices, environment
    Help(Help),
}

/// `wlstm train`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    wlstm train configs/shakespeare.toml\n  \
    wlstm train configs/wikitext2-glstm.toml --out runs/g8 --set model.groups=8 --set train.epochs=1\n  \
    wlstm train runs/g8/config.toml --resume --set train.epochs=2")]
pub struct Train {
    /// The configuration, a TOML file
    pub config: PathBuf,
    /// The run folder; by default runs/NAME after the configuration, or runs/NAME-2 and so on if that is taken
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Continues the run in --out from its newest checkpoint; by default that in the folder of the configuration, else the newest of
    /// this configuration
    #[arg(long)]
    pub resume: bool,
    /// Starts from the parameters in a safetensors file, or of a run
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub init: Option<PathBuf>,
    /// Where to train: auto, cpu, gpu, gpu:N, or part of an adapter's name, as gpu:nvidia; several times, or
    /// gpu:all, to train on several
    #[arg(long = "device", value_name = "SEL")]
    pub devices: Vec<String>,
    /// Ends after this many optimizer steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    /// Ends after this many seconds of training
    #[arg(long, value_name = "N", value_parser = positive)]
    pub seconds: Option<f64>,
    /// The key of every random number
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Shows a dashboard on the terminal: loss, speed, memory, log; q saves and stops
    #[arg(long, conflicts_with = "quiet")]
    pub tui: bool,
    /// Overrides of the configuration.
    #[command(flatten)]
    pub overrides: Overrides,
}

impl Train {
    /// All overrides of the configuration: those of `--set`, then those that have options of their own.
    pub fn all_overrides(&self) -> Vec<String> {
        let mut all = self.overrides.set.clone();
        all.extend(self.steps.map(|steps| format!("train.steps={steps}")));
        all.extend(
            self.seconds
                .map(|seconds| format!("train.seconds={seconds:?}")),
        );
        all.extend(self.seed.map(|seed| format!("train.seed={seed}")));
        all
    }
}

/// Overrides of a configuration.
#[derive(Clone, Debug, Args)]
pub struct Overrides {
    /// Overrides a key of the configuration, as --set model.hidden=512
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// `wlstm compare`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The models train by turns on one device, and only their own time of training counts, so that what else the machine does \
    concerns all alike. The columns: parameters of the recurrent layers and all, steps, words a second, times those of the first model, what \
    that would be if only FLOPs counted, the share of it that was reached, the best validation perplexity, memory of the device. The folder \
    keeps a run of each model, compare.json, compare.md, compare.csv and report.html. Without a budget, the limits of the \
    configurations hold, if they are alike. After Ctrl-C --resume goes on. The best of short comparisons is a hint: last beside best \
    perplexity, the curves of report.html and another --seed say how good a one. Each model is a run, to generate from or to train for \
    longer.\n\n\
    --variants takes cells with what they need, as flstm:factor=64; a --set with several values is a model for each.\n\n\
    Examples:\n  \
    wlstm compare configs/shakespeare.toml \\\n      --variants lstmp,flstm:factor=64,glstm:groups=4 --seconds 60\n  \
    wlstm compare configs/text.toml --set data.train=my-text.txt \\\n      --variants lstmp,flstm:factor=64,glstm:groups=4 --seconds 60\n  \
    wlstm compare configs/text.toml --set data.train=my-text.txt \\\n      --set model.groups=2,4,8 --words 1000000 --format markdown\n  \
    wlstm compare --resume --out runs/compare"
)]
pub struct Compare {
    /// The configurations, TOML files
    #[arg(required_unless_present = "resume", value_name = "CONFIG")]
    pub configs: Vec<PathBuf>,
    /// Cells to compare in each configuration, as lstmp,flstm:factor=64,glstm:groups=4
    #[arg(long, value_name = "LIST")]
    pub variants: Vec<String>,
    /// Trains each model for this many seconds
    #[arg(long, value_name = "N", value_parser = positive, group = "budget")]
    pub seconds: Option<f64>,
    /// Trains each model for this many optimizer steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), group = "budget")]
    pub steps: Option<u64>,
    /// Trains each model for this many passes over the text
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), group = "budget")]
    pub epochs: Option<u64>,
    /// Trains each model on this many words, rounded up to whole steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), group = "budget")]
    pub words: Option<u64>,
    /// The folder of the comparison; by default runs/compare, or runs/compare-2 and so on if that is taken
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Goes on with the comparison in --out (by default the newest)
    #[arg(long)]
    pub resume: bool,
    /// The key of every random number
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    pub seed: Option<u64>,
    /// Where to train.
    #[command(flatten)]
    pub device: Device,
    /// Overrides of the configurations; one with several values, as --set model.groups=2,4,8, makes a model for each.
    #[command(flatten)]
    pub overrides: Overrides,
    /// How the table is printed
    #[arg(long, value_enum, default_value_t = TableFormat::Text)]
    pub format: TableFormat,
    /// Prints one JSON document: --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// How a table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TableFormat {
    /// For people
    Text,
    /// A table of Markdown
    Markdown,
    /// Comma-separated values, all columns
    Csv,
    /// One JSON document
    Json,
}

/// `wlstm report`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Runs may be finished, interrupted, or still training. The page needs nothing beside it and fetches nothing. The SVG files of \
    --plots are on white, 960 by 600 pixels: any converter makes a PNG of them.\n\n\
    Examples:\n  \
    wlstm report runs/shakespeare\n  \
    wlstm report runs/g2 runs/g4 runs/g8 --out groups.html --plots plots\n  \
    wlstm report runs/compare"
)]
pub struct Report {
    /// Run folders, or folders of `wlstm compare`
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// The page; by default report.html in the folder that is named, or here if several are
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Saves each plot as an SVG file in this folder too
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// Leaves models without a sample that have made nothing up yet
    #[arg(long)]
    pub no_samples: bool,
}

/// `wlstm eval`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Prints four lines: perplexity N; targets N; out-of-vocabulary N, the targets that are unknown words; \
    log-likelihood N, the natural logarithm of the probability of all targets.\n\n\
    Examples:\n  \
    wlstm eval runs/shakespeare\n  \
    wlstm eval runs/g8/checkpoints/step-00001000.safetensors --data data/wikitext-2/test.txt --json"
)]
pub struct Eval {
    /// A run folder (its best checkpoint) or one checkpoint
    pub run: PathBuf,
    /// The text; by default the test files of the run's configuration, or its validation files
    #[arg(long, value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Only the first N targets of the text, in the order of batches; 0: all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub targets: u64,
    /// Where to compute.
    #[command(flatten)]
    pub device: Device,
    /// Prints one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `wlstm score`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Each line of output: log-probability (natural logarithm), tokens, out-of-vocabulary tokens, the line; separated by \
    tabs. Every line is a sequence of its own; the mark at its end is one of its tokens. A word that is not in the vocabulary is read as \
    the unknown word `<UNK>`, and scored as that: its probability is that of all unknown words together.\n\n\
    What is there of standard input is scored at once, in order. At the end, perplexities with and without the out-of-vocabulary \
    words go to standard error, as KenLM prints them.\n\n\
    Examples:\n  \
    echo 'the cat sat' | wlstm score runs/lm1b-g4\n  \
    wlstm score runs/lm1b-g4 text.txt --words > words.tsv\n  \
    wlstm score runs/lm1b-g4 text.txt --summary"
)]
pub struct Score {
    /// A run folder (its best checkpoint) or one checkpoint
    pub run: PathBuf,
    /// The text, a sentence a line; by default standard input
    pub file: Option<PathBuf>,
    /// Prints a row for each word: the number of its line, log-probability, 1 if it is out of the vocabulary, the word
    #[arg(long, conflicts_with = "summary")]
    pub words: bool,
    /// Prints, of all lines together, only the perplexities with and without out-of-vocabulary words, their number, and the tokens
    #[arg(long)]
    pub summary: bool,
    /// Where to compute.
    #[command(flatten)]
    pub device: Device,
}

/// `wlstm generate`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The unknown word `<UNK>` is never chosen; words of the prompt that are not in the vocabulary are read as it. Sample K of a \
    seed is the same, however many there are. Several samples stand between lines of `---`; with --json each has its text, its \
    tokens, and their log-probability (natural logarithm, of the model itself, without the prompt).\n\n\
    Examples:\n  \
    wlstm generate runs/shakespeare --prompt 'ROMEO:' --tokens 500 --temperature 0.8\n  \
    wlstm generate runs/shakespeare --top-p 0.9 --samples 8 --seed 3 --json\n  \
    tail -n 20 play.txt | wlstm generate runs/shakespeare --prompt -"
)]
pub struct Generate {
    /// A run folder (its best checkpoint) or one checkpoint
    pub run: PathBuf,
    /// The text to go on from; `-`: that of standard input, without its last line end
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub prompt: String,
    /// How many tokens to generate
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        allow_negative_numbers = true
    )]
    pub tokens: u64,
    /// Below 1 likely tokens become likelier, above 1 unlikely ones; 0 always takes the likeliest
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = not_negative, allow_negative_numbers = true)]
    pub temperature: f64,
    /// Chooses among this many of the likeliest tokens; 0 among all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub top_k: usize,
    /// Of these, chooses among the likeliest, as few as together have this probability; 1 among all
    #[arg(long, value_name = "P", default_value_t = 1.0, value_parser = probability, allow_negative_numbers = true)]
    pub top_p: f64,
    /// How many texts to generate, each with random numbers of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub samples: u32,
    /// The key of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Where to compute.
    #[command(flatten)]
    pub device: Device,
    /// Prints one JSON document
    #[arg(long)]
    pub json: bool,
}

/// The one device of a command.
#[derive(Clone, Debug, Args)]
pub struct Device {
    /// Where to compute: auto, cpu, gpu, gpu:N, or part of an adapter's name, as gpu:nvidia
    #[arg(long, value_name = "SEL", default_value = "auto")]
    pub device: String,
}

/// `wlstm plan`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The training text need not be there if data.vocab_size is given or the vocabulary file is there.\n\n\
    Examples:\n  \
    wlstm plan configs/lm1b-g4-8.toml --set train.batch=128\n  \
    wlstm plan configs/lm1b-biglstm.toml --memory 24GB --devices 4"
)]
pub struct Plan {
    /// The configuration, a TOML file
    pub config: PathBuf,
    /// The number of devices that share the work
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub devices: u64,
    /// Asks whether it fits in so much memory, as 8GB or 8GiB, instead of in what each device has
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory: Option<u64>,
    /// Overrides of the configuration.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Prints one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `wlstm validate`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Every kernel runs all its cases, in f32 and in f16 where the device has it, and is compared with f64 on the CPU; then \
    twelve small models, every cell among them, are trained for three steps and compared with values that were computed elsewhere. \
    Ends with exit code 6 if anything disagrees. What it prints belongs into a bug report.\n\n\
    Relative errors and ulp (units in the last place) are of the elements that are at least 1/1024 of the largest of their output.\n\n\
    Examples:\n  \
    wlstm validate\n  \
    wlstm validate --device gpu:nvidia --filter matmul\n  \
    wlstm validate --all --json > validate.json"
)]
pub struct Validate {
    /// Where to compute: auto, cpu, gpu, gpu:N, or part of an adapter's name, as gpu:nvidia
    #[arg(
        long,
        value_name = "SEL",
        default_value = "auto",
        conflicts_with = "all"
    )]
    pub device: String,
    /// Every adapter through every backend (OpenGL too), and the CPU
    #[arg(long)]
    pub all: bool,
    /// Only kernels and models whose name contains this, as matmul/product or golden/lstmp
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub filter: String,
    /// Prints one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `wlstm bench`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Without a subcommand, measures all kernels, and the steps of a built-in model with every cell.\n\n\
    Examples:\n  \
    wlstm bench\n  \
    wlstm bench step configs/bench.toml --set model.groups=8 --profile\n  \
    wlstm bench step configs/lm1b-g4.toml --device gpu --json"
)]
pub struct Bench {
    /// What is measured.
    #[command(subcommand)]
    pub what: Option<BenchWhat>,
    /// Where to compute: auto, cpu, gpu, gpu:N, or part of an adapter's name, as gpu:nvidia
    #[arg(long, value_name = "SEL", default_value = "auto", global = true)]
    pub device: String,
    /// Prints one JSON document
    #[arg(long, global = true)]
    pub json: bool,
}

/// What `wlstm bench` measures.
#[derive(Clone, Debug, Subcommand)]
pub enum BenchWhat {
    /// Each kernel alone, and what the device reaches at best
    Kernels(BenchKernels),
    /// Training steps of a configuration; its text is not read
    Step(BenchStep),
}

/// `wlstm bench kernels`.
#[derive(Clone, Debug, Args)]
pub struct BenchKernels {
    /// Measures the kernels whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub filter: String,
}

/// `wlstm bench step`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The text is made up; the size of the vocabulary is data.vocab_size, or that of the vocabulary file."
)]
pub struct BenchStep {
    /// The configuration, a TOML file
    pub config: PathBuf,
    /// Prints a table by kernel: calls, time, share, GFLOP/s, GB/s
    #[arg(long)]
    pub profile: bool,
    /// Measures at most this many steps
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: u64,
    /// Measures at most this many seconds, and at least three steps
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = positive)]
    pub seconds: f64,
    /// Overrides of the configuration.
    #[command(flatten)]
    pub overrides: Overrides,
}

/// `wlstm devices`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "The names are those that --device takes. Examples:\n  \
    wlstm devices\n  \
    WGPU_BACKEND=gl wlstm devices --json")]
pub struct Devices {
    /// Prints one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `wlstm vocab`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Prints three lines: words N, special ones counted too; tokens N, the mark at the end of each line counted \
    too; coverage N %, the share of the tokens that are in the vocabulary.\n\n\
    Example:\n  wlstm vocab 'data/train/*' --out data/vocab.txt --min-count 3"
)]
pub struct Vocab {
    /// Text files or patterns
    #[arg(required = true)]
    pub corpus: Vec<PathBuf>,
    /// The vocabulary file: `word count` a line, in order of falling frequency
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Keeps this many words; 0 keeps all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub size: usize,
    /// Keeps words that come this often
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub min_count: u64,
    /// How the text is read, as data.order in a configuration
    #[arg(long, value_name = "ORDER", default_value = "sentences", value_parser = orders())]
    pub order: Order,
    /// How lines become tokens, as data.tokens in a configuration
    #[arg(long, value_name = "TOKENS", default_value = "whitespace", value_parser = tokens())]
    pub tokens: Tokens,
}

/// `wlstm factorize`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "--factor keeps the largest singular values of each gate matrix; --groups keeps blocks of it, in an order of cells, inputs \
    and outputs in which they hold much. Prints what is kept of each layer, and the perplexity before and after. The new run is \
    the start of a training:\n  \
    wlstm train OUT/config.toml --init OUT --out TUNED\n\n\
    Examples:\n  \
    wlstm factorize runs/lstmp --factor 128 --out runs/f128\n  \
    wlstm factorize runs/lstmp --groups 4,8 --out runs/g4-8"
)]
#[command(group(clap::ArgGroup::new("how").required(true).args(["factor", "groups"])))]
pub struct Factorize {
    /// A run folder (its best checkpoint) or one checkpoint, of `lstmp` cells
    pub run: PathBuf,
    /// The singular values that are kept: one number, or one for each layer, as 64,128
    #[arg(long, value_name = "R", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub factor: Vec<u32>,
    /// The groups: one number, or one for each layer, as 4,8
    #[arg(long, value_name = "G", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub groups: Vec<u32>,
    /// The run folder that is made
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    /// The text of the perplexities; by default the validation files of the run's configuration, or its test files
    #[arg(long, value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Only the first N targets of the text, in the order of batches; 0: all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub targets: u64,
    /// The key of the random numbers of the search for an order
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Where to compute.
    #[command(flatten)]
    pub device: Device,
    /// Prints one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `wlstm export`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "pytorch: safetensors whose tensors torch.nn.Embedding (`embedding`), torch.nn.LSTM (`lstm`) and torch.nn.Linear (`softmax`) \
    load by name; for `lstmp` only. onnx: one step as a graph, words and states in, log-probabilities and states out. native: the \
    parameters under the names of checkpoints, for `train --init`. All have the configuration and the words in them.\n\n\
    Examples:\n  \
    wlstm export runs/g8 --out g8.onnx --format onnx\n  \
    wlstm export runs/lstmp --out lstmp.safetensors"
)]
pub struct Export {
    /// A run folder (its best checkpoint) or one checkpoint
    pub run: PathBuf,
    /// The file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// For whom
    #[arg(long, value_enum, default_value_t = Format::Pytorch)]
    pub format: Format,
    /// Takes the parameters that the last step has left, not their moving average
    #[arg(long)]
    pub last: bool,
}

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Safetensors with the names of torch.nn modules
    Pytorch,
    /// Safetensors with the names of checkpoints
    Native,
    /// A graph of one step
    Onnx,
}

/// `wlstm import`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "FILE is a safetensors file as `wlstm export` writes it, with the names of PyTorch (embedding.weight, lstm.weight_ih_l0, ..., \
    softmax.weight, softmax.bias) or of checkpoints. The words are those in FILE, else those of data.vocab, else those counted in \
    data.train. The run can be scored, evaluated and generated from; to train it further: \
    `wlstm train CONFIG --init RUN`.\n\n\
    Example:\n  \
    wlstm import model.safetensors --config configs/wikitext2-lstmp.toml --out runs/imported"
)]
pub struct Import {
    /// The safetensors file
    pub file: PathBuf,
    /// The configuration of the model, a TOML file
    #[arg(long, value_name = "CONFIG")]
    pub config: PathBuf,
    /// The run folder that is made
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    /// Overrides of the configuration.
    #[command(flatten)]
    pub overrides: Overrides,
}

/// `wlstm completions`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example:\n  wlstm completions bash > ~/.local/share/bash-completion/completions/wlstm"
)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `wlstm man`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  wlstm man ~/.local/share/man/man1")]
pub struct Man {
    /// The folder: wlstm.1, wlstm-train.1 and so on are written into it
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// `wlstm help`.
#[derive(Clone, Debug, Args)]
pub struct Help {
    /// A command, or exit-codes, configuration, devices, environment
    pub topic: Vec<String>,
}

fn orders() -> impl TypedValueParser<Value = Order> {
    let all = [Order::Sentences, Order::Contiguous];
    PossibleValuesParser::new(all.map(Order::as_str)).map(move |name| {
        if name == all[0].as_str() {
            all[0]
        } else {
            all[1]
        }
    })
}

fn tokens() -> impl TypedValueParser<Value = Tokens> {
    let all = [Tokens::Whitespace, Tokens::Words, Tokens::Characters];
    PossibleValuesParser::new(all.map(Tokens::as_str)).map(move |name| {
        // The parser lets only these names through.
        all.into_iter()
            .find(|tokens| tokens.as_str() == name)
            .unwrap_or(all[0])
    })
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e9 => Ok(number),
        _ => Err("give a number above 0, and 1e9 at most".into()),
    }
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1.0 => Ok(number),
        _ => Err("give a number above 0, and 1 at most".into()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("give a number that is not negative".into()),
    }
}

/// A number of bytes, with a unit or without: `8GB` is 8e9, `8GiB` and `8G` are 8 * 2^30.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "give a megabyte or more, as 8GB, 512MiB or 8589934592 (bytes)".to_owned();
    let unit = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let scale = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let bytes = number * scale;
    // As 8 for 8GB.
    match (1e6..1e18).contains(&bytes) {
        true => Ok(bytes as u64),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Parses the arguments of one command as the whole line does.
    fn parse<T: Args>(arguments: &[&str]) -> Result<T, clap::Error> {
        T::augment_args(clap::Command::new("command")).debug_assert();
        let arguments = ["command"].iter().chain(arguments);
        T::augment_args(clap::Command::new("command"))
            .try_get_matches_from(arguments)
            .and_then(|matches| T::from_arg_matches(&matches))
    }

    #[test]
    fn the_whole_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_of_their_own_override_after_set() {
        let line = [
            "a.toml",
            "--set",
            "train.steps=1",
            "--steps",
            "5",
            "--seconds",
            "2.5",
            "--seed",
            "7",
            "--device",
            "cpu",
            "--device",
            "gpu:1",
        ];
        let train: Train = parse(&line).unwrap();
        assert_eq!(
            train.all_overrides(),
            [
                "train.steps=1",
                "train.steps=5",
                "train.seconds=2.5",
                "train.seed=7"
            ]
        );
        assert_eq!(train.devices, ["cpu", "gpu:1"]);
        for wrong in [
            &["a.toml", "--steps", "0"][..],
            &["a.toml", "--seconds", "0"],
            &["a.toml", "--seconds", "nan"],
            &["a.toml", "--resume", "--init", "x"],
            &[],
        ] {
            assert_eq!(
                parse::<Train>(wrong).unwrap_err().exit_code(),
                2,
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("8GB", 8_000_000_000),
            ("8 GiB", 8 << 30),
            ("8g", 8 << 30),
            ("1500kb", 1_500_000),
            ("512M", 512 << 20),
            ("7700000", 7_700_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in [
            "", "GB", "-1GB", "0", "8", "8kb", "8XB", "nan", "inf", "1e30", "8GBs",
        ] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_command_takes_what_is_documented() {
        let eval: Eval = parse(&[
            "runs/a", "--data", "x", "--data", "y", "--device", "gpu", "--json",
        ])
        .unwrap();
        assert_eq!(
            (eval.data.len(), eval.device.device.as_str(), eval.json),
            (2, "gpu", true)
        );
        let score: Score = parse(&["runs/a", "file"]).unwrap();
        assert_eq!(
            (score.file, score.device.device.as_str()),
            (Some("file".into()), "auto")
        );
        let line = [
            "runs/a",
            "--prompt",
            "- a",
            "--tokens",
            "3",
            "--temperature",
            "0",
            "--top-k",
            "4",
            "--seed",
            "5",
        ];
        let generate: Generate = parse(&line).unwrap();
        assert_eq!(
            (
                generate.prompt.as_str(),
                generate.tokens,
                generate.top_k,
                generate.seed
            ),
            ("- a", 3, 4, 5)
        );
        assert_eq!(generate.temperature, 0.0);
        assert!(parse::<Generate>(&["runs/a", "--temperature", "inf"]).is_err());
        let plan: Plan = parse(&[
            "a.toml",
            "--devices",
            "4",
            "--json",
            "--set",
            "train.batch=2",
        ])
        .unwrap();
        assert_eq!(
            (plan.devices, plan.json, plan.overrides.set.len()),
            (4, true, 1)
        );
        assert!(parse::<Devices>(&["--json"]).unwrap().json);
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
        let vocab: Vocab = parse(&line).unwrap();
        assert_eq!(
            (vocab.corpus.len(), vocab.size, vocab.min_count),
            (2, 10, 3)
        );
        assert_eq!(
            (vocab.order, vocab.tokens),
            (Order::Contiguous, Tokens::Characters)
        );
        assert!(parse::<Vocab>(&["--out", "v"]).is_err());
        assert!(parse::<Vocab>(&["a", "--out", "v", "--tokens", "letters"]).is_err());
    }
}
