//! `wlstm generate`: the prompt and what the model makes of it, word by word.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::args::{DeviceArgs, Invocation};
use super::context::{Trained, trained};
use super::messages::note;
use super::output;
use crate::checkpoint::Which;
use crate::config::Tokens;
use crate::corpus::{Detokeniser, Vocabulary};
use crate::error::{Error, Result};
use crate::train::generate::{Generator, Sampling, Word};
use crate::train::session::Predictor;

/// Generate text with a model
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The unknown word `<UNK>` is never generated. Words of the prompt that are not in the vocabulary are read \
    as `<UNK>`. Sample K of a seed is the same for any number of samples.\n\
    \n\
    Several samples are separated by lines of `---`. With --json each sample has its text, its tokens and their \
    log-probability: the natural logarithm, under the model itself, without the prompt.\n\
    \n\
    Examples:\n  \
    wlstm generate runs/shakespeare --prompt 'ROMEO:' --tokens 500 --temperature 0.8\n  \
    wlstm generate runs/shakespeare --top-p 0.9 --samples 8 --seed 3 --json\n  \
    tail -n 20 play.txt | wlstm generate runs/shakespeare --prompt -"
)]
pub(super) struct GenerateArgs {
    /// Run folder (its best checkpoint), or one checkpoint
    pub run: PathBuf,
    /// Text to continue; `-` reads it from standard input, without the last line end
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub prompt: String,
    /// Number of tokens to generate
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        allow_negative_numbers = true
    )]
    pub tokens: u64,
    /// Sampling temperature: below 1 favours likely tokens, above 1 unlikely ones; 0 always takes the likeliest
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = not_negative, allow_negative_numbers = true)]
    pub temperature: f64,
    /// Sample from the K likeliest tokens; 0 samples from all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub top_k: usize,
    /// Sample from the smallest set of likeliest tokens with this total probability; 1 samples from all
    #[arg(long, value_name = "P", default_value_t = 1.0, value_parser = probability, allow_negative_numbers = true)]
    pub top_p: f64,
    /// Number of texts to generate, each with its own random numbers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub samples: u32,
    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
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

/// The most bytes of a prompt that is read.
const LONGEST_PROMPT: u64 = 1 << 20;

/// Texts side by side, at most.
const SIDE_BY_SIDE: usize = 32;

/// What `--json` prints.
#[derive(Serialize)]
struct Document {
    prompt: String,
    seed: u64,
    temperature: f64,
    top_k: usize,
    top_p: f64,
    samples: Vec<Sample>,
}

/// A text.
#[derive(Clone, Serialize)]
struct Sample {
    /// The prompt and what follows.
    text: String,
    /// Without the prompt.
    tokens: u64,
    log_probability: f64,
}

/// Generates.
pub(super) fn run(arguments: &GenerateArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let trained = trained(&arguments.run, Which::Best, quiet)?;
    let (words, kind) = (&trained.vocabulary, trained.config.data.tokens);
    let mut joiner = Detokeniser::new(kind);
    let given = match arguments.prompt.as_str() {
        "-" => standard_input()?,
        prompt => prompt.to_owned(),
    };
    let prompt = read_prompt(&given, words, kind, &mut joiner, quiet);
    let samples = arguments.samples as usize;
    let streams = samples.min(SIDE_BY_SIDE);
    let mut session = trained.generation(&arguments.device.device, streams, quiet)?;
    let mut all = Vec::new();
    for first in (0..samples).step_by(streams) {
        let generating = Generating {
            arguments,
            trained: &trained,
            given: &given,
            joiner: &joiner,
        };
        let texts = generating.texts(session.predictor(), &prompt, first)?;
        let Some(texts) = texts else {
            return Ok(());
        };
        all.extend(texts.into_iter().take(samples - first));
        if !arguments.json && samples > 1 {
            for (k, sample) in all.drain(..).enumerate() {
                let rule = if first + k > 0 { "---\n" } else { "" };
                let end = if sample.text.ends_with('\n') {
                    ""
                } else {
                    "\n"
                };
                let text = format!("{rule}{}{end}", sample.text);
                if !output::print_while_read(text.as_bytes())? {
                    return Ok(());
                }
            }
        }
    }
    match arguments.json {
        false => Ok(()),
        true => output::print_json(&Document {
            prompt: given,
            seed: arguments.seed,
            temperature: arguments.temperature,
            top_k: arguments.top_k,
            top_p: arguments.top_p,
            samples: all,
        }),
    }
}

/// The texts of one model after one prompt.
struct Generating<'a> {
    arguments: &'a GenerateArgs,
    trained: &'a Trained,
    /// The prompt.
    given: &'a str,
    /// As it stands behind the prompt.
    joiner: &'a Detokeniser,
}

impl Generating<'_> {
    /// Some texts, from a first on; none if nobody listens any more. A single one is printed as it comes.
    fn texts(
        &self,
        predictor: Predictor<'_>,
        prompt: &[u32],
        first: usize,
    ) -> Result<Option<Vec<Sample>>> {
        let Generating {
            arguments,
            trained,
            given,
            ..
        } = self;
        let sampling = Sampling {
            temperature: arguments.temperature,
            top_k: arguments.top_k,
            top_p: arguments.top_p,
            seed: arguments.seed,
        };
        let is_live = arguments.samples == 1 && !arguments.json;
        let show = |text: &str| match is_live {
            true => output::print_while_read(text.as_bytes()),
            false => Ok(true),
        };
        let streams = predictor.streams();
        let mut generator =
            Generator::new(predictor, &trained.vocabulary, prompt, sampling, first)?;
        let mut texts = vec![Text::new(given, self.joiner, trained); streams];
        if !show(given)? {
            return Ok(None);
        }
        for _ in 0..arguments.tokens {
            let words = generator.words()?;
            for (text, word) in texts.iter_mut().zip(words) {
                let shown = text.append(word, &trained.vocabulary);
                if !show(&shown)? {
                    return Ok(None);
                }
            }
        }
        if is_live && !texts[0].sample.text.ends_with('\n') {
            show("\n")?;
        }
        let samples = texts.into_iter().map(|text| text.sample);
        Ok(Some(samples.collect()))
    }
}

/// A text as it grows.
#[derive(Clone)]
struct Text {
    sample: Sample,
    joiner: Detokeniser,
    /// Whether it ends in a space of the prompt, which is the one before the next word.
    spaced: bool,
}

impl Text {
    fn new(prompt: &str, joiner: &Detokeniser, trained: &Trained) -> Text {
        let is_of_words = trained.config.data.tokens != Tokens::Characters;
        Text {
            sample: Sample {
                text: prompt.to_owned(),
                tokens: 0,
                log_probability: 0.0,
            },
            joiner: joiner.clone(),
            spaced: is_of_words && prompt.ends_with(char::is_whitespace),
        }
    }

    /// Appends a word; gives what that adds to the text.
    fn append(&mut self, word: Word, words: &Vocabulary) -> String {
        let mut text = String::new();
        self.joiner.append(words.word(word.id), &mut text);
        if std::mem::take(&mut self.spaced) && text.starts_with(' ') {
            text.remove(0);
        }
        self.sample.text += &text;
        self.sample.tokens += 1;
        self.sample.log_probability += word.log_probability;
        text
    }
}

/// The text of standard input, its last line end left off.
fn standard_input() -> Result<String> {
    let place = "cannot read the prompt from standard input";
    let mut bytes = Vec::new();
    let mut input = std::io::stdin().lock().take(LONGEST_PROMPT + 1);
    input
        .read_to_end(&mut bytes)
        .map_err(|error| Error::data(place).because(error))?;
    if bytes.len() as u64 > LONGEST_PROMPT {
        return Err(
            Error::usage(format!("the prompt is longer than {LONGEST_PROMPT} bytes"))
                .help("give its last lines, which decide: `tail -n 100 TEXT | wlstm generate ...`"),
        );
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        Error::data(place)
            .because(error)
            .help("give UTF-8 text, as `iconv -f latin1 -t utf-8` makes")
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// The ids of a prompt, with marks where its lines end. The joiner then stands behind it.
fn read_prompt(
    prompt: &str,
    words: &Vocabulary,
    kind: Tokens,
    joiner: &mut Detokeniser,
    quiet: bool,
) -> Vec<u32> {
    let mut ids = Vec::new();
    let mut unknown = Vec::new();
    // The prompt is printed as it was given: only the state of the joiner matters.
    let mut joined = String::new();
    for (number, line) in prompt.split('\n').enumerate() {
        if number > 0 {
            ids.push(words.mark());
            joiner.append(words.word(words.mark()), &mut joined);
        }
        for token in kind.split(line.strip_suffix('\r').unwrap_or(line)) {
            if words.get(token).is_none() {
                unknown.push(format!("`{token}`"));
            }
            ids.push(words.encode(token));
            joiner.append(token, &mut joined);
        }
    }
    if !unknown.is_empty() {
        unknown.dedup();
        note(
            quiet,
            &format!(
                "Not in the vocabulary, and read as unknown words: {}.",
                unknown.join(", ")
            ),
        );
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;
    use super::*;

    #[test]
    fn takes_a_prompt_and_how_to_sample() {
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
        let generate: GenerateArgs = parse(&line).unwrap();
        assert_eq!(generate.prompt, "- a");
        assert_eq!(generate.tokens, 3);
        assert_eq!(generate.top_k, 4);
        assert_eq!(generate.seed, 5);
        assert_eq!(generate.temperature, 0.0);
        assert!(parse::<GenerateArgs>(&["runs/a", "--temperature", "inf"]).is_err());
    }
}
