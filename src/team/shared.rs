//! The state that the members of a team share: the job, and the assignment of its parts.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How long a member polls for the next job before it sleeps.
pub(super) const SPIN_TIME: Duration = Duration::from_micros(300);

/// Number of polls for work after which a member yields the processor once.
const POLLS_PER_YIELD: u32 = 100;

/// The work: `call(data, k)` does part `k`.
#[derive(Clone, Copy)]
struct Job {
    data: *const (),
    call: unsafe fn(*const (), usize),
}

/// The parts that a member has left: the next one in the upper half, the end in the lower half. Alone in its cache line.
#[repr(align(128))]
struct Range(AtomicU64);

pub(super) struct Shared {
    /// Whether a thread is in [`Shared::share`].
    busy: AtomicBool,
    /// Counts the jobs.
    epoch: AtomicUsize,
    /// Whether members may still join the job.
    open: AtomicBool,
    /// Members that have joined it, besides the caller.
    active: AtomicUsize,
    /// Written only while `open` is false and `active` is 0, by the one thread that has set `busy`.
    job: UnsafeCell<Option<Job>>,
    ranges: Box<[Range]>,
    asleep: Box<[AtomicBool]>,
    /// The number of members that are asleep.
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

impl Shared {
    /// For a team of `members`.
    pub(super) fn new(members: usize) -> Shared {
        Shared {
            busy: AtomicBool::new(false),
            epoch: AtomicUsize::new(0),
            open: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            ranges: (0..members).map(|_| Range(AtomicU64::new(0))).collect(),
            asleep: (0..members).map(|_| AtomicBool::new(false)).collect(),
            sleepers: AtomicUsize::new(0),
            threads: OnceLock::new(),
            panic: Mutex::new(None),
            stop: AtomicBool::new(false),
        }
    }

    /// The number of members.
    pub(super) fn members(&self) -> usize {
        self.ranges.len()
    }

    /// Sets the threads of all members except the caller, so that they can be woken.
    pub(super) fn set_threads(&self, threads: Box<[Thread]>) {
        let _ = self.threads.set(threads);
    }

    /// Makes the members return from [`Shared::serve`].
    pub(super) fn stop(&self) {
        self.stop.store(true, SeqCst);
    }

    /// Calls `work(k)` for every `k` below `parts`, as the first member.
    pub(super) fn share<W: Fn(usize) + Sync>(&self, parts: usize, work: &W) {
        unsafe fn call<W: Fn(usize)>(data: *const (), k: usize) {
            // SAFETY: `data` is the `&W` of the `share` that is running.
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
        let mut polls = 0;
        while self.active.load(SeqCst) > 0 {
            pause(&mut polls);
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

    /// What a member other than the caller does until the team is dropped.
    pub(super) fn serve(&self, member: usize) {
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

    /// Waits for a job after `seen`. False if there will be none.
    fn wait(&self, member: usize, seen: &mut usize) -> bool {
        let changed = |seen: &mut usize| {
            let epoch = self.epoch.load(SeqCst);
            std::mem::replace(seen, epoch) != epoch
        };
        let (mut polls, mut begin) = (0, None);
        loop {
            if self.stop.load(SeqCst) {
                return false;
            }
            if changed(seen) {
                return true;
            }
            pause(&mut polls);
            if polls != 0 {
                continue;
            }
            let begin = *begin.get_or_insert_with(Instant::now);
            if begin.elapsed() > SPIN_TIME {
                self.asleep[member].store(true, SeqCst);
                self.sleepers.fetch_add(1, SeqCst);
                // Looks again, for a job that came before others saw the sleeper.
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
        // The members of an incomplete team are awake.
        let Some(threads) = self.threads.get() else {
            return;
        };
        for (asleep, thread) in self.asleep[1..].iter().zip(threads) {
            if asleep.load(SeqCst) {
                thread.unpark();
            }
        }
    }

    /// Does the parts of a member from the front, then the parts that others have left from the back.
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

/// Waits a moment. Sometimes it yields the processor to another thread; `polls` is 0 then.
fn pause(polls: &mut u32) {
    *polls += 1;
    if *polls < POLLS_PER_YIELD {
        std::hint::spin_loop();
    } else {
        *polls = 0;
        std::thread::yield_now();
    }
}
