//! Generates texts after a prompt.

use serde::Serialize;

use super::trained::Trained;
use crate::config::Tokens;
use crate::corpus::{Detokeniser, Marks, Vocabulary};
use crate::error::{Error, Result};
use crate::train::generate::{Generator, Sampling, Word};
use crate::train::session::GenerationSession;
use crate::train::watch::Event;

/// The largest number of texts generated in parallel.
const MAX_STREAMS: usize = 32;

/// The options of text generation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GenerationOptions {
    /// Tokens after the prompt. The default is 100.
    pub tokens: u64,
    /// Divides the logits; not negative and finite. 0: always the most likely token. The default is 1.
    pub temperature: f64,
    /// Samples from this many of the most likely tokens. 0, the default: all.
    pub top_k: usize,
    /// Of these, samples from the smallest set with this total probability (Holtzman et al. 2020), above 0 and at most 1.
    /// 1, the default: all.
    pub top_p: f64,
    /// The seed of the random numbers, by default 1. Text `k` of a seed does not depend on the number of texts.
    pub seed: u64,
}

impl Default for GenerationOptions {
    fn default() -> GenerationOptions {
        GenerationOptions {
            tokens: 100,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 1,
        }
    }
}

impl GenerationOptions {
    /// Checks the ranges of the options.
    fn check(&self) -> Result<()> {
        let (temperature, top_p) = (self.temperature, self.top_p);
        if !(temperature.is_finite() && temperature >= 0.0) {
            return Err(
                Error::usage(format!("the temperature {temperature} cannot be used"))
                    .help("give a number that is not negative"),
            );
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(
                Error::usage(format!("the total probability {top_p} cannot be used"))
                    .help("give `top_p` a number above 0 and at most 1"),
            );
        }
        Ok(())
    }
}

/// A generated text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Generated {
    /// The prompt and its continuation.
    pub text: String,
    /// Tokens after the prompt.
    pub tokens: u64,
    /// Their log-probability in nats under the model itself: at temperature 1, over all words.
    pub log_probability: f64,
}

impl Trained {
    /// One text, the prompt included.
    ///
    /// # Errors
    ///
    /// [`Kind::Diverged`](crate::error::Kind::Diverged) if no logit is finite; otherwise as [`Trained::generation`].
    pub fn generate(&self, prompt: &str, options: &GenerationOptions) -> Result<String> {
        let mut texts = self.generate_texts(prompt, options, 1)?;
        Ok(texts.swap_remove(0).text)
    }

    /// Several texts after the same prompt.
    ///
    /// # Errors
    ///
    /// Same as [`Trained::generate`].
    pub fn generate_texts(
        &self,
        prompt: &str,
        options: &GenerationOptions,
        count: usize,
    ) -> Result<Vec<Generated>> {
        let mut generation = self.generation(prompt, options, count)?;
        let mut texts = Vec::new();
        while let Some(more) = generation.next_texts(|_| Ok(true))? {
            texts.extend(more);
        }
        Ok(texts)
    }

    /// Starts to generate `count` texts after a prompt.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if an option is out of its range; otherwise as
    /// [`Trained::evaluation_session`].
    pub fn generation(
        &self,
        prompt: &str,
        options: &GenerationOptions,
        count: usize,
    ) -> Result<Generation<'_>> {
        options.check()?;
        let prompt = self.read_prompt(prompt);
        let streams = count.clamp(1, MAX_STREAMS);
        Ok(Generation {
            trained: self,
            session: self.generation_session(streams)?,
            prompt,
            options: *options,
            count,
            streams,
            done: 0,
        })
    }

    /// The tokens of a prompt, with the end-of-line token between lines. Reports literal marks and words that are not in the
    /// vocabulary.
    fn read_prompt(&self, text: &str) -> Prompt {
        let (words, data) = (self.vocabulary(), &self.config().data);
        let kind = data.tokens;
        let mut joiner = Detokeniser::new(kind);
        let mut ids = Vec::new();
        let mut unknown = Vec::new();
        // Only the state of the joiner is needed: the output shows the prompt itself.
        let mut joined = String::new();
        let mut marks = Marks::default();
        marks.add(text.as_bytes());
        for warning in marks.mark_warnings("prompt", words, kind) {
            tracing::warn!("{warning}");
        }
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                ids.push(words.mark());
                joiner.append(words.word(words.mark()), &mut joined);
            }
            let line = data
                .normalization
                .apply(line.strip_suffix('\r').unwrap_or(line));
            for token in words.tokens(&line, kind) {
                if words.get(&token).is_none() {
                    unknown.push(format!("`{token}`"));
                }
                ids.push(words.encode(&token));
                joiner.append(&token, &mut joined);
            }
        }
        if !unknown.is_empty() {
            unknown.dedup();
            self.observe(Event::Note {
                text: format!(
                    "Not in the vocabulary, and read as unknown {}s: {}.",
                    kind.noun(),
                    unknown.join(", ")
                ),
            });
        }
        Prompt {
            text: text.to_owned(),
            ids,
            joiner,
        }
    }
}

/// A prompt.
struct Prompt {
    text: String,
    ids: Vec<u32>,
    /// The state after the prompt.
    joiner: Detokeniser,
}

/// Generates texts, several in parallel.
pub struct Generation<'a> {
    trained: &'a Trained,
    session: GenerationSession,
    prompt: Prompt,
    options: GenerationOptions,
    count: usize,
    /// Texts generated in parallel.
    streams: usize,
    /// Texts returned so far.
    done: usize,
}

impl Generation<'_> {
    /// The next texts, up to 32. None after the last. Calls `show` with the prompt, then with each word of
    /// the first of these texts. If it returns false, generation stops and the result is None.
    ///
    /// # Errors
    ///
    /// Those of [`Generator::words`] and of `show`.
    pub fn next_texts(
        &mut self,
        mut show: impl FnMut(&str) -> Result<bool>,
    ) -> Result<Option<Vec<Generated>>> {
        if self.done >= self.count {
            return Ok(None);
        }
        let words = self.trained.vocabulary();
        let options = &self.options;
        let sampling = Sampling {
            temperature: options.temperature,
            top_k: options.top_k,
            top_p: options.top_p,
            seed: options.seed,
        };
        let (prompt, predictor) = (&self.prompt, self.session.predictor());
        let mut generator = Generator::new(predictor, words, &prompt.ids, sampling, self.done)?;
        let text = GrowingText::new(prompt, self.trained.config().data.tokens);
        let mut texts = vec![text; self.streams];
        if !show(&prompt.text)? {
            return Ok(None);
        }
        for _ in 0..options.tokens {
            for (k, (text, word)) in texts.iter_mut().zip(generator.words()?).enumerate() {
                let added = text.append(word, words);
                if k == 0 && !show(&added)? {
                    return Ok(None);
                }
            }
        }
        for (k, text) in texts.iter_mut().enumerate() {
            let added = text.finish();
            if k == 0 && !added.is_empty() && !show(&added)? {
                return Ok(None);
            }
        }
        let wanted = self.streams.min(self.count - self.done);
        self.done += wanted;
        let texts = texts.into_iter().map(|text| text.generated);
        Ok(Some(texts.take(wanted).collect()))
    }
}

/// A text during generation.
#[derive(Clone)]
struct GrowingText {
    generated: Generated,
    joiner: Detokeniser,
    /// Whether the prompt ends in a space. It then replaces the space before the next word.
    spaced: bool,
}

impl GrowingText {
    fn new(prompt: &Prompt, kind: Tokens) -> GrowingText {
        GrowingText {
            generated: Generated {
                text: prompt.text.clone(),
                tokens: 0,
                log_probability: 0.0,
            },
            joiner: prompt.joiner.clone(),
            spaced: !matches!(kind, Tokens::Characters | Tokens::Bpe)
                && prompt.text.ends_with(char::is_whitespace),
        }
    }

    /// Ends the text. Returns the added text.
    fn finish(&mut self) -> String {
        let mut text = String::new();
        self.joiner.finish(&mut text);
        self.generated.text += &text;
        text
    }

    /// Appends a word. Returns the added text.
    fn append(&mut self, word: Word, words: &Vocabulary) -> String {
        let mut text = String::new();
        self.joiner.append(words.word(word.id), &mut text);
        if std::mem::take(&mut self.spaced) && text.starts_with(' ') {
            text.remove(0);
        }
        self.generated.text += &text;
        self.generated.tokens += 1;
        self.generated.log_probability += word.log_probability;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn options_out_of_their_ranges_are_refused() {
        let kind = |temperature, top_p| {
            let options = GenerationOptions {
                temperature,
                top_p,
                ..GenerationOptions::default()
            };
            options.check().err().map(|error| error.kind())
        };
        for (temperature, top_p) in [(1.0, 1.0), (0.0, 0.5), (20.0, 1e-9)] {
            assert_eq!(kind(temperature, top_p), None, "{temperature} {top_p}");
        }
        let bad = [f64::NAN, f64::INFINITY, -1.0];
        for value in bad {
            assert_eq!(kind(value, 1.0), Some(Kind::Usage), "{value}");
        }
        for value in bad.into_iter().chain([0.0, 7.0]) {
            assert_eq!(kind(1.0, value), Some(Kind::Usage), "{value}");
        }
    }
}
