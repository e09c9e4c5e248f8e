//! Prepares batches on another thread, ahead of training.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::batch::Batch;
use crate::error::{Error, Result};

/// Number of prepared batches that may wait. One more may be in preparation.
const PREFETCH: usize = 3;

/// An iterator over prepared batches, in order. Dropping it ends the thread.
#[derive(Debug)]
pub struct Loader<T> {
    /// `None` after the last batch.
    running: Option<(Receiver<Result<T>>, JoinHandle<()>)>,
}

impl<T: Send + 'static> Loader<T> {
    /// Starts a thread that takes one batch after another from `batches` and calls `prepare` with each: it
    /// computes what a step needs besides the ids, such as candidates or sorted rows.
    ///
    /// An error from `batches` is returned in its place, and is the last item.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn spawn<I, F>(batches: I, mut prepare: F) -> Result<Loader<T>>
    where
        I: Iterator<Item = Result<Batch>> + Send + 'static,
        F: FnMut(Batch) -> T + Send + 'static,
    {
        let (sender, receiver) = sync_channel(PREFETCH);
        let work = move || {
            for batch in batches {
                let failed = batch.is_err();
                // Sending fails after the loader was dropped.
                if sender.send(batch.map(&mut prepare)).is_err() || failed {
                    return;
                }
            }
        };
        let thread = Builder::new()
            .name("batches".to_owned())
            .spawn(work)
            .map_err(Error::no_thread)?;
        Ok(Loader {
            running: Some((receiver, thread)),
        })
    }
}

impl<T> Iterator for Loader<T> {
    type Item = Result<T>;

    /// Waits for the next batch. `None` after the last one.
    ///
    /// # Panics
    ///
    /// If `prepare` has panicked, with the same panic.
    fn next(&mut self) -> Option<Result<T>> {
        let (receiver, _) = self.running.as_ref()?;
        if let Ok(item) = receiver.recv() {
            return Some(item);
        }
        let (_, thread) = self.running.take()?;
        if let Err(panic) = thread.join() {
            resume_unwind(panic);
        }
        None
    }
}

impl<T> Drop for Loader<T> {
    fn drop(&mut self) {
        if let Some((receiver, thread)) = self.running.take() {
            // The receiver is dropped first, so that a thread that waits to send ends. A panic of the thread
            // is ignored: it concerns batches that were not requested.
            drop(receiver);
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{IGNORE, Position};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn batch(epoch: u64) -> Batch {
        Batch {
            inputs: vec![0],
            targets: vec![IGNORE],
            epoch,
            reset: false,
            bytes: Vec::new(),
            words: 0,
            unknown: 0,
            position: Position {
                epoch,
                step: 0,
                batch: 1,
                unroll: 1,
                bytes: 0,
                digest: 0,
                files: 0,
                lines: 0,
                rows: Vec::new(),
            },
        }
    }

    #[test]
    fn batches_and_errors_come_in_order() {
        let items = (1..=9).map(|k| match k {
            8 => Err(Error::data("broken")),
            _ => Ok(batch(k)),
        });
        let mut loader = Loader::spawn(items, |batch| batch.epoch * 10).unwrap();
        for k in 1..=7 {
            assert_eq!(loader.next().unwrap().unwrap(), k * 10);
        }
        assert_eq!(loader.next().unwrap().unwrap_err().to_string(), "broken");
        assert!(loader.next().is_none());
        assert!(loader.next().is_none());
    }

    #[test]
    fn prefetch_is_bounded_and_dropping_ends_the_thread() {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = made.clone();
        let mut loader = Loader::spawn((1..).map(|k| Ok(batch(k))), move |batch| {
            counted.fetch_add(1, Ordering::SeqCst);
            batch.epoch
        })
        .unwrap();
        assert_eq!(loader.next().unwrap().unwrap(), 1);
        drop(loader);
        // The thread has ended, so its closure is gone.
        assert_eq!(Arc::strong_count(&made), 1);
        assert!(made.load(Ordering::SeqCst) <= 1 + PREFETCH + 1);
    }

    #[test]
    #[should_panic(expected = "no such luck")]
    fn panics_propagate() {
        let loader = Loader::spawn((1..).map(|k| Ok(batch(k))), |batch| {
            assert!(batch.epoch < 3, "no such luck");
        });
        loader.unwrap().for_each(drop);
    }
}
