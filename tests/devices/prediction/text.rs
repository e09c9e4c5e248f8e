//! Text to batches, as the page says it.

use std::collections::VecDeque;

/// One unroll: `[stream][time]` pairs of input and target; none where a stream has run dry.
pub struct Unroll {
    /// The pairs.
    pub pairs: Vec<Vec<Option<(usize, usize)>>>,
    /// Whether the states are zero before it.
    pub reset: bool,
}

/// The ids of the words of all lines; unknown ones are `<UNK>` (or `<unk>`, in a contiguous text).
fn lines(text: &str, words: &[&str]) -> Vec<Vec<usize>> {
    let place = |wanted: &str| words.iter().position(|word| *word == wanted);
    let unknown = place("<UNK>").or(place("<unk>")).expect("an unknown word");
    let id = |word| place(word).unwrap_or(unknown);
    text.lines()
        .map(|line| line.split_whitespace().map(id).collect())
        .collect()
}

/// `sentences`: a queue of pairs for each stream, filled from one queue of sentences, which starts again `epochs` times;
/// without end for 0. `texts` are the files in name order.
pub fn sentences(
    texts: &[&str],
    words: &[&str],
    streams: usize,
    unroll: usize,
    epochs: usize,
) -> impl Iterator<Item = Unroll> {
    let mark = words
        .iter()
        .position(|word| *word == "<S>")
        .expect("a mark");
    let mut all = Vec::new();
    for text in texts {
        for line in lines(text, words) {
            if !line.is_empty() {
                let inputs = std::iter::once(mark).chain(line.iter().copied());
                let targets = line.iter().copied().chain([mark]);
                all.push(inputs.zip(targets).collect::<Vec<_>>());
            }
        }
    }
    let epochs = if epochs == 0 { usize::MAX } else { epochs };
    let mut queue = (0..epochs).flat_map(move |_| all.clone());
    let mut rows: Vec<VecDeque<(usize, usize)>> = vec![VecDeque::new(); streams];
    let mut first = true;
    std::iter::from_fn(move || {
        let mut pairs = Vec::new();
        for row in &mut rows {
            while row.len() < unroll {
                match queue.next() {
                    Some(sentence) => row.extend(sentence),
                    None => break,
                }
            }
            pairs.push((0..unroll).map(|_| row.pop_front()).collect::<Vec<_>>());
        }
        let reset = std::mem::take(&mut first);
        let dry = pairs.iter().all(|row| row[0].is_none());
        (!dry).then_some(Unroll { pairs, reset })
    })
}

/// The tokens of a contiguous text.
fn tokens(texts: &[&str], words: &[&str]) -> Vec<usize> {
    let end = words.iter().position(|word| *word == "<eos>");
    let end = end.expect("a mark");
    let mut all = Vec::new();
    for text in texts {
        for line in lines(text, words) {
            all.extend(line);
            all.push(end);
        }
    }
    all
}

/// Columns of tokens, walked in unrolls; every column is one token longer than what it predicts.
fn walk(columns: Vec<&[usize]>, unroll: usize) -> Vec<Unroll> {
    let longest = columns
        .iter()
        .map(|column| column.len() - 1)
        .max()
        .unwrap_or(0);
    let steps = (0..longest).step_by(unroll);
    steps
        .map(|start| {
            let pair = |column: &&[usize], k: usize| {
                let target = *column.get(k + 1)?;
                Some((column[k], target))
            };
            let row = |column| (start..start + unroll).map(|k| pair(column, k)).collect();
            Unroll {
                pairs: columns.iter().map(row).collect(),
                reset: start == 0,
            }
        })
        .collect()
}

/// `contiguous`, to train on: equal columns, each walked to its end, epoch after epoch.
pub fn contiguous(
    texts: &[&str],
    words: &[&str],
    streams: usize,
    unroll: usize,
) -> impl Iterator<Item = Unroll> {
    let all = tokens(texts, words);
    let length = all.len() / streams;
    std::iter::repeat_with(move || {
        let columns = all.chunks(length).take(streams);
        walk(columns.collect(), unroll)
    })
    .flatten()
}

/// `contiguous`, to evaluate: every target once, in columns that differ by one at most, the longer ones first.
pub fn contiguous_once(
    texts: &[&str],
    words: &[&str],
    streams: usize,
    unroll: usize,
) -> Vec<Unroll> {
    let all = tokens(texts, words);
    let targets = all.len() - 1;
    let mut start = 0;
    let mut columns = Vec::new();
    for stream in 0..streams {
        let length = targets / streams + usize::from(stream < targets % streams);
        columns.push(&all[start..=start + length]);
        start += length;
    }
    walk(columns, unroll)
}
