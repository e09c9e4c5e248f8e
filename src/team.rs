//! Threads that wait for work of microseconds. A leaf.
//!
//! A training step on the CPU is some two hundred pieces of work one after the other, each shared by all threads, many of them
//! shorter than it takes to wake a sleeping thread. So the members of a [`Team`] wait actively for a while before they sleep
//! (what OpenMP does too), and a member gets the same part of the work each time, because what it wrote the last time is in
//! its own cache. On two cores of a virtual machine a step of a grouped model took a third less than with `rayon`,
//! which stays for work of milliseconds.
//!
//! Whoever calls [`each`] is the first member. Parts are dealt out evenly in their order; who is done early takes parts from the
//! end of another's. A team that is busy, because another thread uses it or a part calls [`each`] again, does the work on the
//! calling thread.
//!
//! Nothing of a result may depend on who computes which part, so it does not depend on the number of threads.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::{RefCell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{Builder, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How long a member waits actively for the next work.
const PATIENCE: Duration = Duration::from_micros(300);

/// Looks between two offers to other threads of this processor.
const LOOKS: u32 = 100;

/// The most parts into which [`split`] and its like divide, and the most members of a team.
pub const MOST_PARTS: usize = 64;

/// The work that is shared: calls `call(data, k)` for part `k`.
#[derive(Clone, Copy)]
struct Job {
    data: *const (),
    call: unsafe fn(*const (), usize),
}

/// The parts that a member has left: the next in the upper half, the end in the lower. Alone in its cache line.
#[repr(align(128))]
struct Range(AtomicU64);

struct Shared {
    /// Whether a thread is in [`Shared::share`].
    busy: AtomicBool,
    /// Goes up with every job.
    epoch: AtomicUsize,
    /// Whether members may still take up the job.
    open: AtomicBool,
    /// Members that have taken it up, besides the caller.
    active: AtomicUsize,
    /// Written only while `open` is false and `active` is 0, by the one thread that has made `busy` true.
    job: UnsafeCell<Option<Job>>,
    ranges: Box<[Range]>,
    asleep: Box<[AtomicBool]>,
    /// How many of `asleep` are set.
    sleepers: AtomicUsize,
    threads: OnceLock<Box<[Thread]>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
}

// SAFETY: `job` is the only part that is not Sync. It is written while no member can read it (see there) and read by members
// between entering and leaving; all of `open` and `active` is sequentially consistent. What it points to is Sync, by the
// bounds of `each`, and outlives the job, because `share` returns when no member is active and none can become so.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// Threads that share work; see the module. The calling thread is one of them.
pub struct Team {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

thread_local! {
    /// The team of [`Team::install`] on this thread.
    static INSTALLED: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// The team of everybody who has not installed another: as many threads as `rayon` has, so `RAYON_NUM_THREADS` sets it.
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

/// The members of the team that this thread uses.
pub fn threads() -> usize {
    current(|shared| shared.ranges.len())
}

impl Team {
    /// A team of `threads`, at most [`MOST_PARTS`]. Where threads cannot be made it is smaller.
    pub fn new(threads: usize) -> Team {
        let threads = threads.clamp(1, MOST_PARTS);
        let make = |count: usize| Shared {
            busy: AtomicBool::new(false),
            epoch: AtomicUsize::new(0),
            open: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            ranges: (0..count).map(|_| Range(AtomicU64::new(0))).collect(),
            asleep: (0..count).map(|_| AtomicBool::new(false)).collect(),
            sleepers: AtomicUsize::new(0),
            threads: OnceLock::new(),
            panic: Mutex::new(None),
            stop: AtomicBool::new(false),
        };
        let shared = Arc::new(make(threads));
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
        let _ = shared.threads.set(known.collect());
        Team { shared, handles }
    }

    /// Has [`each`] and [`threads`] use this team for as long as `work` runs on this thread.
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
        self.shared.stop.store(true, SeqCst);
        for handle in self.handles.drain(..) {
            handle.thread().unpark();
            // A member has no way to fail outside of the work, whose panics are caught.
            let _ = handle.join();
        }
    }
}

/// Calls `work(k)` once for every `k` below `parts`, on all threads of the team; returns when all are done.
///
/// # Panics
///
/// With what a part panicked with, when the others are done.
pub fn each(parts: usize, work: impl Fn(usize) + Sync) {
    if parts <= 1 {
        return (0..parts).for_each(work);
    }
    current(|shared| shared.share(parts, &work));
}

impl Shared {
    fn share<W: Fn(usize) + Sync>(&self, parts: usize, work: &W) {
        unsafe fn call<W: Fn(usize)>(data: *const (), k: usize) {
            // SAFETY: `data` is the `&W` of the call of `share` that is under way.
            unsafe { (*data.cast::<W>())(k) }
        }
        let members = self.ranges.len();
        let alone = members == 1 || parts > u32::MAX as usize;
        if alone || self.busy.swap(true, SeqCst) {
            return (0..parts).for_each(work);
        }
        let mut start = 0;
        for (k, range) in self.ranges.iter().enumerate() {
            let end = parts * (k + 1) / members;
            range.0.store((start as u64) << 32 | end as u64, SeqCst);
            start = end;
        }
        // SAFETY: `busy` makes this the only writer, and no member reads while `open` is false and `active` is 0.
        unsafe {
            *self.job.get() = Some(Job {
                data: std::ptr::from_ref(work).cast(),
                call: call::<W>,
            });
        }
        self.open.store(true, SeqCst);
        self.epoch.fetch_add(1, SeqCst);
        if self.sleepers.load(SeqCst) > 0 {
            self.wake();
        }
        let done = catch_unwind(AssertUnwindSafe(|| self.take_parts(0, work)));
        self.open.store(false, SeqCst);
        let mut looks = 0;
        while self.active.load(SeqCst) > 0 {
            pause(&mut looks);
        }
        let panic = self
            .panic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.busy.store(false, SeqCst);
        if let Err(panic) = done {
            resume_unwind(panic);
        }
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// What another member than the caller does until the team is dropped.
    fn serve(&self, member: usize) {
        let mut seen = 0;
        while self.wait(member, &mut seen) {
            self.active.fetch_add(1, SeqCst);
            if self.open.load(SeqCst) {
                // SAFETY: the job was written before `open` became true, and stays until `active` is 0 again.
                let job = unsafe { *self.job.get() };
                let job = job.expect("an open team has a job");
                let done = catch_unwind(AssertUnwindSafe(|| {
                    // SAFETY: what `data` points to lives until `share` returns, which waits for `active`.
                    self.take_parts(member, &|k| unsafe { (job.call)(job.data, k) });
                }));
                if let Err(panic) = done {
                    let mut slot = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
                    slot.get_or_insert(panic);
                }
            }
            self.active.fetch_sub(1, SeqCst);
        }
    }

    /// Waits for a job after `seen`; false when there will be none.
    fn wait(&self, member: usize, seen: &mut usize) -> bool {
        let changed = |seen: &mut usize| {
            let epoch = self.epoch.load(SeqCst);
            std::mem::replace(seen, epoch) != epoch
        };
        let (mut looks, mut begin) = (0, None);
        loop {
            if self.stop.load(SeqCst) {
                return false;
            }
            if changed(seen) {
                return true;
            }
            pause(&mut looks);
            if looks != 0 {
                continue;
            }
            let begin = *begin.get_or_insert_with(Instant::now);
            if begin.elapsed() > PATIENCE {
                self.asleep[member].store(true, SeqCst);
                self.sleepers.fetch_add(1, SeqCst);
                // Looked again, for a job that came before the sleeper was seen.
                while !changed(seen) && !self.stop.load(SeqCst) {
                    std::thread::park();
                }
                self.sleepers.fetch_sub(1, SeqCst);
                self.asleep[member].store(false, SeqCst);
                return !self.stop.load(SeqCst);
            }
        }
    }

    #[cold]
    fn wake(&self) {
        // Before the team is complete its members are awake.
        let Some(threads) = self.threads.get() else {
            return;
        };
        for (asleep, thread) in self.asleep[1..].iter().zip(threads) {
            if asleep.load(SeqCst) {
                thread.unpark();
            }
        }
    }

    /// Does the parts of a member from the front, then what others have left from the back.
    fn take_parts(&self, member: usize, work: &impl Fn(usize)) {
        while let Some(k) = self.ranges[member].take(|next, end| ((next + 1, end), next)) {
            work(k);
        }
        let members = self.ranges.len();
        for other in 1..members {
            let range = &self.ranges[(member + other) % members];
            while let Some(k) = range.take(|next, end| ((next, end - 1), end - 1)) {
                work(k);
            }
        }
    }
}

impl Range {
    /// Takes one part, if any is left.
    fn take(&self, one: impl Fn(u64, u64) -> ((u64, u64), u64)) -> Option<usize> {
        let mut packed = self.0.load(SeqCst);
        loop {
            let (next, end) = (packed >> 32, packed & 0xffff_ffff);
            if next >= end {
                return None;
            }
            let ((next, end), k) = one(next, end);
            match self
                .0
                .compare_exchange_weak(packed, next << 32 | end, SeqCst, SeqCst)
            {
                Ok(_) => return Some(k as usize),
                Err(other) => packed = other,
            }
        }
    }
}

/// Waits a moment; now and then lets another thread have the processor, and then `looks` is 0.
fn pause(looks: &mut u32) {
    *looks += 1;
    if *looks < LOOKS {
        std::hint::spin_loop();
    } else {
        *looks = 0;
        std::thread::yield_now();
    }
}

/// The beginning of a slice of which distinct parts go to distinct threads.
struct Start<T>(*mut T);

// SAFETY: only used to make exclusive slices that do not overlap, of elements that may be sent.
unsafe impl<T: Send> Sync for Start<T> {}

impl<T> Start<T> {
    /// # Safety
    ///
    /// The range lies within the slice, and no other slice of it is alive that overlaps it.
    unsafe fn part<'a>(&self, start: usize, len: usize) -> &'a mut [T] {
        // SAFETY: as the caller says.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}

/// Calls `work(k, part)` for part `k` of `y`: `size` elements from `k * size` on, fewer in the last.
///
/// # Panics
///
/// If `size` is 0.
pub fn chunks<T: Send>(y: &mut [T], size: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    let (len, start) = (y.len(), Start(y.as_mut_ptr()));
    let start = &start;
    each(len.div_ceil(size), |k| {
        let begin = k * size;
        // SAFETY: `each` gives every k once, so the parts do not overlap; y is borrowed until it returns.
        work(k, unsafe { start.part(begin, size.min(len - begin)) });
    });
}

/// The same for two arrays of as many parts, each of its own size.
///
/// # Panics
///
/// If a size is 0 or the arrays have not the same number of parts.
pub fn chunk_pairs<T: Send, U: Send>(
    (y, y_size): (&mut [T], usize),
    (z, z_size): (&mut [U], usize),
    work: impl Fn(usize, &mut [T], &mut [U]) + Sync,
) {
    let (y_len, z_len) = (y.len(), z.len());
    let parts = y_len.div_ceil(y_size);
    assert_eq!(parts, z_len.div_ceil(z_size), "parts of two arrays");
    let (y, z) = (Start(y.as_mut_ptr()), Start(z.as_mut_ptr()));
    let (y, z) = (&y, &z);
    each(parts, |k| {
        let (i, j) = (k * y_size, k * z_size);
        // SAFETY: as in `chunks`.
        let (y, z) = unsafe {
            (
                y.part(i, y_size.min(y_len - i)),
                z.part(j, z_size.min(z_len - j)),
            )
        };
        work(k, y, z);
    });
}

/// Calls `work(k, parts)` with the elements `edges[k] .. edges[k + 1]` of every array.
///
/// # Panics
///
/// If the edges do not ascend or leave an array.
pub fn split<T: Send, const N: usize>(
    arrays: [&mut [T]; N],
    edges: &[usize],
    work: impl Fn(usize, [&mut [T]; N]) + Sync,
) {
    assert!(edges.is_sorted(), "edges of parts must ascend");
    let last = edges.last().copied().unwrap_or(0);
    let starts = arrays.map(|array| {
        assert!(last <= array.len(), "edges of parts leave an array");
        Start(array.as_mut_ptr())
    });
    let starts = &starts;
    each(edges.len().saturating_sub(1), |k| {
        let (begin, end) = (edges[k], edges[k + 1]);
        // SAFETY: the ranges lie within every array and do not overlap, as just checked; each k comes once.
        let parts = starts
            .each_ref()
            .map(|start| unsafe { start.part(begin, end - begin) });
        work(k, parts);
    });
}

/// The edges of at most `parts` nearly equal parts of `len` elements, at multiples of `unit`. A fixed array, so that nothing is
/// allocated.
pub struct Edges {
    edges: [usize; MOST_PARTS + 1],
    parts: usize,
}

impl Edges {
    /// See the type; what is left of the last unit belongs to the last part.
    pub fn even(len: usize, unit: usize, parts: usize) -> Edges {
        let units = len / unit.max(1);
        let parts = parts.min(MOST_PARTS).min(units).max(1);
        let mut edges = [len; MOST_PARTS + 1];
        for (k, edge) in edges.iter_mut().enumerate().take(parts) {
            *edge = (units * k / parts * unit).min(len);
        }
        Edges { edges, parts }
    }

    /// The edges of parts that begin where `edge` says, for `k` below `parts`, and end at `len`.
    pub fn new(len: usize, parts: usize, edge: impl Fn(usize) -> usize) -> Edges {
        let parts = parts.clamp(1, MOST_PARTS);
        let mut edges = [len; MOST_PARTS + 1];
        for (k, slot) in edges.iter_mut().enumerate().take(parts) {
            *slot = edge(k);
        }
        Edges { edges, parts }
    }
}

impl std::ops::Deref for Edges {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.edges[..=self.parts]
    }
}

#[cfg(test)]
mod tests {
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
                // Now and then the members fall asleep.
                if round % 5_000 == 0 {
                    std::thread::sleep(2 * PATIENCE);
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

    #[test]
    fn slices_are_divided_without_gaps() {
        let team = Team::new(3);
        team.install(|| {
            let mut y = vec![0; 1000];
            chunks(&mut y, 7, |k, part| {
                part.iter_mut().for_each(|y| *y += k + 1)
            });
            assert!(y.iter().enumerate().all(|(i, &y)| y == i / 7 + 1));
            let mut z = vec![0; 1000];
            let edges = Edges::even(1000, 16, 5);
            assert_eq!(edges[..], [0, 192, 384, 592, 784, 1000]);
            split([&mut y[..], &mut z], &edges, |k, [y, z]| {
                y.fill(k);
                z.fill(k);
            });
            assert!(y == z && y.is_sorted() && y[0] == 0 && y[999] == 4);
            assert_eq!(Edges::even(3, 1, 8)[..], [0, 1, 2, 3]);
            assert_eq!(Edges::even(0, 1, 8)[..], [0, 0]);
        });
    }

    #[test]
    #[should_panic(expected = "ascend")]
    fn edges_that_cross_are_refused() {
        split([&mut [0; 4][..]], &[0, 3, 2, 4], |_, _| {});
    }
}
