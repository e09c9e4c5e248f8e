//! From text to batches, as documented.

use std::collections::VecDeque;

/// One unroll: `[stream][time]` pairs of input and target; `None` where a stream has ended.
pub struct Unroll {
    /// The pairs.
    pub pairs: Vec<Vec<Option<(usize, usize)>>>,
    /// Whether the states are reset before it.
    pub reset: bool,
}

/// Ids of the words of all lines; unknown words are `<UNK>` (or `<unk>`, in a contiguous text).
fn lines(text: &str, words: &[&str]) -> Vec<Vec<usize>> {
    let place = |wanted: &str| words.iter().position(|word| *word == wanted);
    let unknown = place("<UNK>").or(place("<unk>")).expect("an unknown word");
    let id = |word| place(word).unwrap_or(unknown);
    text.lines()
        .map(|line| line.split_whitespace().map(id).collect())
        .collect()
}

/// `data.order = "sentences"`: each stream has a queue of pairs, filled from one queue of sentences that is
/// read `epochs` times (0: endlessly). `texts` are the files in order of their names.
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

/// Streams of tokens in unrolls. A stream has one token more than targets.
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

/// `data.order = "contiguous"` in training: streams of the same length, each read to its end in every epoch.
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

/// `data.order = "contiguous"` in an evaluation: every target once, in streams whose lengths differ by at
/// most one, longer ones first.
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
