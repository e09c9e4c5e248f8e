//! Runs of sorted words and counts: their format in the spill file, and their merge.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io::Write;

use super::count_table::WordCount;

/// Words with their counts, in byte order.
pub(super) enum SortedRun<'a> {
    /// In the format of [`write_word`].
    Spilled(&'a [u8]),
    InMemory(std::vec::IntoIter<WordCount<'a>>),
}

impl<'a> Iterator for SortedRun<'a> {
    type Item = WordCount<'a>;

    fn next(&mut self) -> Option<WordCount<'a>> {
        match self {
            SortedRun::InMemory(words) => words.next(),
            SortedRun::Spilled(rest) => {
                if rest.is_empty() {
                    return None;
                }
                let length = read_number(rest)? as usize;
                let (word, more) = rest.split_at_checked(length)?;
                *rest = more;
                Some((word, read_number(rest)?))
            }
        }
    }
}

/// The merge of several runs. The counts of equal words are added.
pub(super) struct Merge<'a, F> {
    runs: Vec<SortedRun<'a>>,
    /// The next word of each run with the number of the run and the count; the smallest word on top.
    heads: BinaryHeap<Reverse<(&'a [u8], usize, u64)>>,
    note_read: F,
}

impl<'a, F: Fn(usize)> Merge<'a, F> {
    /// Merges these runs. `note_read` receives the bytes that are read.
    pub(super) fn new(mut runs: Vec<SortedRun<'a>>, note_read: F) -> Merge<'a, F> {
        let first = |(k, run): (usize, &mut SortedRun<'a>)| {
            let (word, count) = run.next()?;
            Some(Reverse((word, k, count)))
        };
        Merge {
            heads: runs.iter_mut().enumerate().filter_map(first).collect(),
            runs,
            note_read,
        }
    }

    /// Takes the smallest of the next words of all runs.
    fn pop(&mut self) -> Option<WordCount<'a>> {
        let mut head = self.heads.peek_mut()?;
        let Reverse((word, k, count)) = *head;
        match self.runs[k].next() {
            Some((next, count)) => *head = Reverse((next, k, count)),
            None => drop(PeekMut::pop(head)),
        }
        // The word, its length and its count.
        (self.note_read)(word.len() + 2);
        Some((word, count))
    }
}

impl<'a, F: Fn(usize)> Iterator for Merge<'a, F> {
    type Item = WordCount<'a>;

    fn next(&mut self) -> Option<WordCount<'a>> {
        let (word, mut sum) = self.pop()?;
        while self
            .heads
            .peek()
            .is_some_and(|Reverse(head)| head.0 == word)
        {
            sum += self.pop()?.1;
        }
        Some((word, sum))
    }
}

/// Writes a word of a run: its length, its bytes, its count. Returns the number of bytes written.
pub(super) fn write_word(out: &mut impl Write, word: &[u8], count: u64) -> std::io::Result<usize> {
    let length = write_number(out, word.len() as u64)?;
    out.write_all(word)?;
    Ok(length + word.len() + write_number(out, count)?)
}

/// Writes a number in LEB128: seven bits a byte, lowest first; the highest bit of a byte says that more follow.
fn write_number(out: &mut impl Write, mut number: u64) -> std::io::Result<usize> {
    let mut bytes = 1;
    while number >= 0x80 {
        out.write_all(&[number as u8 | 0x80])?;
        number >>= 7;
        bytes += 1;
    }
    out.write_all(&[number as u8])?;
    Ok(bytes)
}

/// Reads a number of [`write_number`] and removes it from the front. `None` if there is none.
fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_written() {
        let numbers = [0, 1, 127, 128, 300, 1 << 35, u64::MAX];
        let mut bytes = Vec::new();
        for value in numbers {
            let before = bytes.len();
            assert_eq!(
                write_number(&mut bytes, value).unwrap(),
                bytes.len() - before
            );
        }
        let mut rest = &bytes[..];
        for value in numbers {
            assert_eq!(read_number(&mut rest), Some(value));
        }
        assert_eq!(read_number(&mut rest), None);
    }
}
