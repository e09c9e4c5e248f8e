//! `wlstm generate`: prints the prompt and the text that the model generates after it, word by word.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::args::{DeviceArgs, Invocation, ParameterArgs};
use super::output;
use super::preparation::trained;
use crate::error::{Error, Result};
use crate::job::{Generated, GenerationOptions};

/// Generate text with a model
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The unknown word `<UNK>` is never generated. Words of the prompt that are not in the vocabulary are read \
    as `<UNK>`. For a given seed, sample K is the same for any number of samples.\n\
    \n\
    Several samples are separated by lines of `---`. With --json each sample has its text, its tokens and their \
    log-probability (natural logarithm, at temperature 1, without the prompt).\n\
    \n\
    Examples:\n  \
    wlstm generate runs/shakespeare --prompt 'ROMEO:' --tokens 500 --temperature 0.8\n  \
    wlstm generate runs/shakespeare --top-p 0.9 --samples 8 --seed 3 --json\n  \
    tail -n 20 play.txt | wlstm generate runs/shakespeare --prompt -"
)]
pub(super) struct GenerateArgs {
    /// Run folder (its best checkpoint), or one checkpoint
    pub run: PathBuf,
    /// Text to continue; `-` reads it from standard input, without the final line end
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
    /// Sampling temperature: below 1 favours likely tokens, above 1 unlikely ones; 0 always takes the most likely
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = not_negative, allow_negative_numbers = true)]
    pub temperature: f64,
    /// Sample from the N most likely tokens; 0 samples from all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub top_k: usize,
    /// Sample from the smallest set of most likely tokens with this total probability; 1 samples from all
    #[arg(long, value_name = "P", default_value_t = 1.0, value_parser = probability, allow_negative_numbers = true)]
    pub top_p: f64,
    /// Number of texts to generate, each with its own random numbers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub samples: u32,
    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The parameters to use.
    #[command(flatten)]
    pub parameters: ParameterArgs,
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Whether to escape.
    #[command(flatten)]
    pub raw: output::RawArgs,
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1.0 => Ok(number),
        _ => Err("give a number above 0 and at most 1".into()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("give a number that is not negative".into()),
    }
}

/// The maximum size of a prompt in bytes.
const MAX_PROMPT: u64 = 1 << 20;

/// The output of `--json`.
#[derive(Serialize)]
struct Document {
    prompt: String,
    seed: u64,
    temperature: f64,
    top_k: usize,
    top_p: f64,
    samples: Vec<Generated>,
}

/// Generates.
pub(super) fn run(arguments: &GenerateArgs, invocation: &Invocation) -> Result<()> {
    let trained = trained(&arguments.run, &arguments.parameters, invocation)?
        .device(&arguments.device.device);
    let prompt = match arguments.prompt.as_str() {
        "-" => standard_input()?,
        prompt => prompt.to_owned(),
    };
    let options = GenerationOptions {
        tokens: arguments.tokens,
        temperature: arguments.temperature,
        top_k: arguments.top_k,
        top_p: arguments.top_p,
        seed: arguments.seed,
    };
    let count = arguments.samples as usize;
    let mut generation = trained.generation(&prompt, &options, count)?;
    if arguments.json {
        let mut samples = Vec::new();
        while let Some(more) = generation.next_texts(|_| Ok(true))? {
            samples.extend(more);
        }
        return output::print_json(&Document {
            prompt,
            seed: options.seed,
            temperature: options.temperature,
            top_k: options.top_k,
            top_p: options.top_p,
            samples,
        });
    }
    if count == 1 {
        // Prints each word as it is generated.
        let texts = generation
            .next_texts(|text| output::print_while_read(text.as_bytes(), arguments.raw))?;
        if texts.is_some_and(|texts| !texts[0].text.ends_with('\n')) {
            output::print(b"\n")?;
        }
        return Ok(());
    }
    let mut printed = 0;
    while let Some(texts) = generation.next_texts(|_| Ok(true))? {
        for Generated { text, .. } in texts {
            let rule = if printed > 0 { "---\n" } else { "" };
            let end = if text.ends_with('\n') { "" } else { "\n" };
            if !output::print_while_read(format!("{rule}{text}{end}").as_bytes(), arguments.raw)? {
                return Ok(());
            }
            printed += 1;
        }
    }
    Ok(())
}

/// The text of standard input, without its last line end.
fn standard_input() -> Result<String> {
    let place = "cannot read the prompt from standard input";
    let mut bytes = Vec::new();
    let mut input = std::io::stdin().lock().take(MAX_PROMPT + 1);
    input
        .read_to_end(&mut bytes)
        .map_err(|error| Error::data(place).because(error))?;
    if bytes.len() as u64 > MAX_PROMPT {
        return Err(
            Error::usage(format!("the prompt is longer than {MAX_PROMPT} bytes"))
                .help("give only its last lines: `tail -n 100 TEXT | wlstm generate ...`"),
        );
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        Error::data(place)
            .because(error)
            .help("convert it to UTF-8, for example with `iconv -f latin1 -t utf-8`")
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
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
