//! The threads of a team.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};

use super::bounds::MAX_PARTS;
use super::shared::Shared;

/// Threads that share work: see [the module](super). The calling thread is one of them.
pub struct Team {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

thread_local! {
    /// The team that [`Team::install`] has set for this thread.
    static INSTALLED: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// The default team, used by threads that have not installed another. It has as many members as `rayon` has threads, so
/// `RAYON_NUM_THREADS` sets its size.
fn global() -> &'static Team {
    static GLOBAL: OnceLock<Team> = OnceLock::new();
    GLOBAL.get_or_init(|| Team::new(rayon::current_num_threads()))
}

fn current<T>(work: impl FnOnce(&Shared) -> T) -> T {
    let installed = INSTALLED.with_borrow(Clone::clone);
    match installed {
        Some(shared) => work(&shared),
        None => work(&global().shared),
    }
}

/// The number of members of the team that this thread uses.
pub fn threads() -> usize {
    current(Shared::members)
}

impl Team {
    /// A team of `threads` members, at most [`MAX_PARTS`]. It is smaller if threads cannot be started.
    pub fn new(threads: usize) -> Team {
        let threads = threads.clamp(1, MAX_PARTS);
        let shared = Arc::new(Shared::new(threads));
        let mut handles = Vec::with_capacity(threads - 1);
        for member in 1..threads {
            let shared = shared.clone();
            let builder = Builder::new().name(format!("team-{member}"));
            match builder.spawn(move || shared.serve(member)) {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    tracing::warn!(%error, "only {member} of {threads} threads");
                    break;
                }
            }
        }
        let known = handles.iter().map(|handle| handle.thread().clone());
        shared.set_threads(known.collect());
        Team { shared, handles }
    }

    /// Runs `work`, during which [`each`] and [`threads`] use this team on this thread.
    pub fn install<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Restore(Option<Arc<Shared>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                INSTALLED.set(self.0.take());
            }
        }
        let _restore = Restore(INSTALLED.replace(Some(self.shared.clone())));
        work()
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop();
        for handle in self.handles.drain(..) {
            handle.thread().unpark();
            // A member cannot fail: the panics of the work are caught.
            let _ = handle.join();
        }
    }
}

/// Calls `work(k)` once for every `k` below `parts`, on all threads of the team. Returns when all are done.
///
/// # Panics
///
/// If a part panics: with its panic, when the other parts are done.
pub fn each(parts: usize, work: impl Fn(usize) + Sync) {
    if parts <= 1 {
        return (0..parts).for_each(work);
    }
    current(|shared| shared.share(parts, &work));
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::super::shared::SPIN_TIME;
    use super::*;

    #[test]
    fn every_part_is_done_once() {
        for threads in [1, 2, 3, 8] {
            let team = Team::new(threads);
            team.install(|| {
                for parts in [0, 1, 2, 3, 7, 64, 1000] {
                    let counts: Vec<AtomicUsize> =
                        (0..parts).map(|_| AtomicUsize::new(0)).collect();
                    each(parts, |k| {
                        counts[k].fetch_add(1, SeqCst);
                    });
                    assert!(counts.iter().all(|count| count.load(SeqCst) == 1));
                }
            });
        }
    }

    #[test]
    fn jobs_follow_each_other_without_end() {
        let team = Team::new(4);
        let total = AtomicUsize::new(0);
        team.install(|| {
            for round in 0..20_000 {
                // Sometimes the members fall asleep.
                if round % 5_000 == 0 {
                    std::thread::sleep(2 * SPIN_TIME);
                }
                each(5, |k| {
                    total.fetch_add(k, SeqCst);
                });
            }
        });
        assert_eq!(total.load(SeqCst), 20_000 * 10);
    }

    #[test]
    fn a_busy_team_works_on_the_calling_thread() {
        let team = Team::new(3);
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    team.install(|| {
                        for _ in 0..1000 {
                            each(4, |_| {
                                each(4, |_| {
                                    total.fetch_add(1, SeqCst);
                                });
                            });
                        }
                    });
                });
            }
        });
        assert_eq!(total.load(SeqCst), 3 * 1000 * 16);
    }

    #[test]
    fn a_panic_comes_back_and_the_team_goes_on() {
        let team = Team::new(3);
        team.install(|| {
            let caught = catch_unwind(|| each(30, |k| assert!(k != 20, "part {k}")));
            let panic = caught.expect_err("a part panics");
            let text = panic.downcast_ref::<String>().expect("a message");
            assert!(text.contains("part 20"), "{text}");
            let count = AtomicUsize::new(0);
            each(30, |_| {
                count.fetch_add(1, SeqCst);
            });
            assert_eq!(count.load(SeqCst), 30);
        });
    }
}
