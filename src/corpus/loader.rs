//! Batches prepared on another thread, a few ahead of the training.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::batches::Batch;
use crate::error::{Error, Result};

/// How many prepared batches wait at most; one more may be in the making.
const DEPTH: usize = 3;

/// Prepared batches, in order. Dropping it ends the thread.
#[derive(Debug)]
pub struct Loader<T> {
    /// Nothing once the batches have ended.
    running: Option<(Receiver<Result<T>>, JoinHandle<()>)>,
}

impl<T: Send + 'static> Loader<T> {
    /// Starts a thread that takes `batches` one after the other and prepares each with `prepare`: whatever a step needs of its
    /// batch besides the ids, as candidates or sorted rows.
    ///
    /// An error of the batches comes in its place, and is the last item.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn spawn<I, F>(batches: I, mut prepare: F) -> Result<Loader<T>>
    where
        I: Iterator<Item = Result<Batch>> + Send + 'static,
        F: FnMut(Batch) -> T + Send + 'static,
    {
        let (sender, receiver) = sync_channel(DEPTH);
        let work = move || {
            for batch in batches {
                let failed = batch.is_err();
                // Nobody receives any more once the loader is dropped.
                if sender.send(batch.map(&mut prepare)).is_err() || failed {
                    return;
                }
            }
        };
        let thread = Builder::new()
            .name("batches".to_owned())
            .spawn(work)
            .map_err(|error| {
                Error::new(
                    crate::error::Kind::Other,
                    "cannot start the thread that prepares batches",
                )
                .because(error)
                .help("check the limits on threads and memory")
            })?;
        Ok(Loader {
            running: Some((receiver, thread)),
        })
    }
}

impl<T> Iterator for Loader<T> {
    type Item = Result<T>;

    /// Waits for the next batch; nothing after the last one.
    ///
    /// # Panics
    ///
    /// As the thread did, if preparing a batch panicked.
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
            // First the receiver, so that a thread that waits to send wakes up and ends. A panic of its own was for the
            // items that nobody asked for.
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
                place: 0,
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
    fn little_is_prepared_ahead_and_dropping_ends_the_thread() {
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
        assert!(made.load(Ordering::SeqCst) <= 1 + DEPTH + 1);
    }

    #[test]
    #[should_panic(expected = "no such luck")]
    fn panics_are_passed_on() {
        let loader = Loader::spawn((1..).map(|k| Ok(batch(k))), |batch| {
            assert!(batch.epoch < 3, "no such luck");
        });
        loader.unwrap().for_each(drop);
    }
}
