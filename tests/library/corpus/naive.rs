//! Naive implementations of batches, to compare with.

use std::collections::VecDeque;

use wlstm::corpus::{Batches, IGNORE, Text};

/// The lines of all files, as words.
pub fn lines_of(files: &[String]) -> Vec<Vec<&str>> {
    let lines = files
        .iter()
        .flat_map(|file| file.strip_suffix('\n').unwrap_or(file).split('\n'));
    let empty = files.iter().filter(|file| file.is_empty()).count();
    assert_eq!(empty, 0, "this helper does not support empty files");
    lines
        .map(|line| line.split_whitespace().collect())
        .collect()
}

pub fn ids(text: &Text, words: &[&str]) -> Vec<u32> {
    words
        .iter()
        .map(|word| text.vocabulary().encode(word))
        .collect()
}

/// `[<S> w1 .. wn] -> [w1 .. wn <S>]` of every sentence.
pub fn sentence_pairs(text: &Text, files: &[String]) -> Vec<Vec<(u32, u32)>> {
    let sentences = lines_of(files).into_iter().filter(|line| !line.is_empty());
    sentences
        .map(|words| {
            let mark = [text.vocabulary().mark()];
            let around = [&mark[..], &ids(text, &words), &mark].concat();
            around.windows(2).map(|pair| (pair[0], pair[1])).collect()
        })
        .collect()
}

/// One sequence with `<eos>` after each line.
pub fn sequence(text: &Text, files: &[String]) -> Vec<u32> {
    let line = |words: Vec<&str>| [ids(text, &words), vec![text.vocabulary().mark()]].concat();
    lines_of(files).into_iter().flat_map(line).collect()
}

type Grid = (Vec<u32>, Vec<u32>);

fn padding(batch: usize, unroll: usize) -> Grid {
    (vec![0; batch * unroll], vec![IGNORE; batch * unroll])
}

/// The batches of `sentences` order, directly from their definition.
pub fn naive_sentences(
    pairs: &[Vec<(u32, u32)>],
    batch: usize,
    unroll: usize,
    epochs: usize,
    pads: bool,
) -> Vec<Grid> {
    let mut queue: VecDeque<_> = (0..epochs).flat_map(|_| pairs.iter().cloned()).collect();
    let mut rows = vec![VecDeque::new(); batch];
    let mut batches = Vec::new();
    loop {
        let (mut inputs, mut targets) = padding(batch, unroll);
        for (b, row) in rows.iter_mut().enumerate() {
            while row.len() < unroll {
                match queue.pop_front() {
                    Some(sentence) => row.extend(sentence),
                    None if pads => break,
                    None => return batches,
                }
            }
            for t in 0..unroll.min(row.len()) {
                (inputs[t * batch + b], targets[t * batch + b]) = row.pop_front().unwrap();
            }
        }
        if targets.iter().all(|&target| target == IGNORE) {
            return batches;
        }
        batches.push((inputs, targets));
    }
}

pub fn naive_contiguous(tokens: &[u32], batch: usize, unroll: usize, epochs: usize) -> Vec<Grid> {
    let length = tokens.len() / batch;
    let mut batches = Vec::new();
    for _ in 0..epochs {
        let pairs = length.saturating_sub(1);
        let mut start = 0;
        while start < pairs && unroll <= pairs {
            let (mut inputs, mut targets) = padding(batch, unroll);
            for t in 0..unroll.min(pairs - start) {
                for b in 0..batch {
                    let i = b * length + start + t;
                    inputs[t * batch + b] = tokens[i];
                    targets[t * batch + b] = tokens[i + 1];
                }
            }
            batches.push((inputs, targets));
            start += unroll;
        }
    }
    batches
}

pub fn naive_evaluation(tokens: &[u32], batch: usize, unroll: usize) -> Vec<Grid> {
    let pairs: Vec<_> = tokens.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let mut columns: Vec<VecDeque<(u32, u32)>> = vec![VecDeque::new(); batch];
    let mut rest = &pairs[..];
    for (b, column) in columns.iter_mut().enumerate() {
        let (mine, others) = rest.split_at(rest.len().div_ceil(batch - b));
        column.extend(mine.iter().copied());
        rest = others;
    }
    let mut batches = Vec::new();
    while columns.iter().any(|column| !column.is_empty()) {
        let (mut inputs, mut targets) = padding(batch, unroll);
        for (b, column) in columns.iter_mut().enumerate() {
            for t in 0..unroll.min(column.len()) {
                (inputs[t * batch + b], targets[t * batch + b]) = column.pop_front().unwrap();
            }
        }
        batches.push((inputs, targets));
    }
    batches
}

pub fn grids(batches: Batches) -> Vec<Grid> {
    batches
        .map(|batch| batch.unwrap())
        .map(|batch| (batch.inputs, batch.targets))
        .collect()
}
