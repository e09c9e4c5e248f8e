//! `wlstm generate`: the prompt and what the model makes of it, word by word.

use super::arguments::Generate;
use super::context::{tell, trained};
use crate::checkpoint::Which;
use crate::config::Tokens;
use crate::corpus::{Detokeniser, Vocabulary};
use crate::error::Result;
use crate::train::generate::{Choice, Generator};
use crate::train::session::Inference;

/// Generates.
pub(super) fn run(arguments: &Generate, quiet: bool) -> Result<()> {
    let trained = trained(&arguments.run, Which::Best, quiet)?;
    let (words, kind) = (&trained.vocabulary, trained.config.data.tokens);
    let mut joiner = Detokeniser::new(kind);
    let prompt = read_prompt(&arguments.prompt, words, kind, &mut joiner, quiet);
    let mut session = trained.session(&arguments.device.device, Inference::Words, quiet)?;
    let choice = Choice {
        temperature: arguments.temperature,
        top_k: arguments.top_k,
        seed: arguments.seed,
    };
    let mut generator = Generator::new(&mut session, words, &prompt, choice)?;
    if !super::print_while_read(arguments.prompt.as_bytes())? {
        return Ok(());
    }
    // The prompt stands as it was given; a space that it ends in is the one before the next word.
    let mut spaced = kind != Tokens::Characters && arguments.prompt.ends_with(char::is_whitespace);
    let mut ends_line = arguments.prompt.ends_with('\n');
    for _ in 0..arguments.tokens {
        let mut text = String::new();
        joiner.append(words.word(generator.word()?), &mut text);
        let shown = match text.strip_prefix(' ') {
            Some(rest) if spaced => rest,
            _ => &text,
        };
        spaced = false;
        ends_line = shown.ends_with('\n');
        if !super::print_while_read(shown.as_bytes())? {
            return Ok(());
        }
    }
    if ends_line {
        return Ok(());
    }
    super::print(b"\n")
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
        tell(
            quiet,
            &format!(
                "Not in the vocabulary, and read as unknown words: {}.",
                unknown.join(", ")
            ),
        );
    }
    ids
}
