//! Turns of training runs that share a device.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::train::watch::{Stop, Turns};

/// Decides which model trains next. Models train in short turns, so that other load and the temperature of
/// the machine affect all of them equally.
pub struct TurnTable {
    state: Mutex<State>,
    changed: Condvar,
    /// The length of a turn. None: until the run ends.
    slice: Option<Duration>,
}

struct State {
    /// The seat whose turn it is.
    current: usize,
    /// The start of the turn.
    since: Instant,
    /// For each seat, whether its run has not ended.
    active: Vec<bool>,
}

/// The maximum time between two checks of whose turn it is.
const POLL: Duration = Duration::from_millis(100);

impl TurnTable {
    /// A table with `seats` seats. Seat 0 has the first turn.
    pub fn new(seats: usize, slice: Option<Duration>) -> TurnTable {
        TurnTable {
            state: Mutex::new(State {
                current: 0,
                since: Instant::now(),
                active: vec![true; seats],
            }),
            changed: Condvar::new(),
            slice,
        }
    }

    /// The seat `number`. Dropping it ends its turns.
    pub fn seat<'a>(&'a self, number: usize, stop: &'a Stop) -> Seat<'a> {
        Seat {
            table: self,
            number,
            stop,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next seat after `number` whose run has not ended; `number` itself if all others have ended.
    fn next(&self, number: usize) -> Option<usize> {
        let seats = self.active.len();
        (1..=seats)
            .map(|k| (number + k) % seats)
            .find(|&seat| self.active[seat])
    }
}

/// The seat of one run.
pub struct Seat<'a> {
    table: &'a TurnTable,
    number: usize,
    stop: &'a Stop,
}

impl Seat<'_> {
    /// Waits for the turn of this seat. After a request to stop, every seat has one more turn.
    pub fn wait_for_turn(&self) {
        let mut state = self.table.lock();
        while state.current != self.number {
            let waited = self.table.changed.wait_timeout(state, POLL);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Turns for Seat<'_> {
    fn is_over(&self) -> bool {
        let state = self.table.lock();
        // A run that is asked to stop ends within its turn.
        let is_long = |slice| state.since.elapsed() >= slice;
        let keeps_turn =
            self.stop.asked().is_some() || state.next(self.number) == Some(self.number);
        !keeps_turn && self.table.slice.is_some_and(is_long)
    }

    fn wait(&self) {
        let mut state = self.table.lock();
        if let Some(next) = state.next(self.number) {
            (state.current, state.since) = (next, Instant::now());
        }
        drop(state);
        self.table.changed.notify_all();
        self.wait_for_turn();
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.table.lock();
        state.active[self.number] = false;
        if state.current == self.number
            && let Some(next) = state.next(self.number)
        {
            (state.current, state.since) = (next, Instant::now());
        }
        drop(state);
        self.table.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn turns_rotate_until_all_runs_have_ended() {
        let (table, stop) = (TurnTable::new(3, Some(Duration::ZERO)), Stop::default());
        let (sender, order) = channel();
        std::thread::scope(|scope| {
            for number in [2, 0, 1] {
                let (table, stop, sender) = (&table, &stop, sender.clone());
                scope.spawn(move || {
                    let seat = table.seat(number, stop);
                    seat.wait_for_turn();
                    // The second has fewer steps.
                    for step in 0..if number == 1 { 1 } else { 3 } {
                        if step > 0 && seat.is_over() {
                            seat.wait();
                        }
                        sender.send(number).unwrap();
                    }
                });
            }
        });
        drop(sender);
        let found: Vec<usize> = order.iter().collect();
        assert_eq!(found, [0, 1, 2, 0, 2, 0, 2]);
    }

    #[test]
    fn a_dropped_seat_blocks_nobody() {
        let (table, stop) = (TurnTable::new(2, None), Stop::default());
        drop(table.seat(0, &stop));
        let seat = table.seat(1, &stop);
        seat.wait_for_turn();
        assert!(!seat.is_over());
    }
}
