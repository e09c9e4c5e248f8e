//! Finds the steps that have no line in the metrics, although they should.

use super::line::Line;

/// Number of first steps that always have a line.
pub(super) const FIRST: u64 = 10;

/// The steps in the lines of a run.
#[derive(Debug, Default)]
pub(super) struct Steps {
    sessions: Vec<Session>,
}

/// The steps of one process.
#[derive(Debug, Default)]
struct Session {
    /// The step of the checkpoint that it started from.
    resumed: u64,
    /// The steps in its lines, ascending.
    steps: Vec<u64>,
}

impl Session {
    /// The `log_every` of the process, from its lines: it may differ between the processes of a run. `None` if they do not
    /// show it. The last step has a line in any case.
    fn interval(&self) -> Option<u64> {
        let (_, steps) = self.steps.split_last()?;
        let later = steps.iter().filter(|step| **step > FIRST);
        later.copied().reduce(greatest_common_divisor)
    }
}

impl Steps {
    /// Adds the next line.
    pub fn add(&mut self, line: &Line) {
        match line {
            Line::Start(start) => self.sessions.push(Session {
                resumed: start.resumed,
                steps: Vec::new(),
            }),
            Line::Step(step) => {
                if self.sessions.is_empty() {
                    self.sessions.push(Session::default());
                }
                if let Some(session) = self.sessions.last_mut() {
                    session.steps.push(step.step);
                }
            }
            _ => {}
        }
    }

    /// The ranges of steps up to `end` without the lines that every `log_every`-th step has.
    pub fn missing(&self, end: u64, log_every: u64) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        let (mut last, mut interval) = (0, None);
        for session in &self.sessions {
            let resumed = session.resumed.min(end);
            add_end(&mut found, last, resumed, interval);
            last = last.max(resumed);
            interval = session.interval();
            for &step in &session.steps {
                let next = match interval {
                    _ if last < FIRST => last + 1,
                    Some(interval) => (last / interval + 1).saturating_mul(interval),
                    None => step,
                };
                if step > next {
                    found.push((last + 1, step - 1));
                }
                last = last.max(step);
            }
        }
        add_end(&mut found, last, end, interval.or(Some(log_every.max(1))));
        found
    }
}

/// Adds the steps after `last` up to `end` if one of them should have a line. `interval`: the `log_every`, if it is known.
fn add_end(found: &mut Vec<(u64, u64)>, last: u64, end: u64, interval: Option<u64>) {
    let multiple = interval.map_or(0, |interval| end - end % interval);
    let expected = multiple.max(end.min(FIRST));
    if last < expected {
        found.push((last + 1, end));
    }
}

fn greatest_common_divisor(mut x: u64, mut y: u64) -> u64 {
    while y != 0 {
        (x, y) = (y, x % y);
    }
    x
}

/// Ranges of steps, for messages: the first three.
pub(super) fn ranges(all: &[(u64, u64)]) -> String {
    const NAMED: usize = 3;
    let range = |(from, to): &(u64, u64)| {
        if from == to {
            from.to_string()
        } else {
            format!("{from} to {to}")
        }
    };
    let named: Vec<String> = all.iter().take(NAMED).map(range).collect();
    let more = match all.len().saturating_sub(NAMED) {
        0 => "",
        _ => " and others",
    };
    named.join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The missing steps of sessions, each with the step it resumed from and its lines.
    fn missing(sessions: &[(u64, Vec<u64>)], end: u64, log_every: u64) -> Vec<(u64, u64)> {
        let session = |(resumed, steps): &(u64, Vec<u64>)| Session {
            resumed: *resumed,
            steps: steps.clone(),
        };
        let sessions = sessions.iter().map(session).collect();
        Steps { sessions }.missing(end, log_every)
    }

    /// The steps with lines in a session.
    fn lines(from: u64, to: u64, every: u64) -> Vec<u64> {
        let has_line = |step: &u64| *step <= FIRST || step.is_multiple_of(every) || *step == to;
        (from..=to).filter(has_line).collect()
    }

    #[test]
    fn complete_metrics_have_no_gap() {
        for every in [1, 3, 10, 100] {
            for end in [0, 1, 9, 10, 11, 57, 100, 1234] {
                assert!(missing(&[(0, lines(1, end, every))], end, every).is_empty());
                // Another `log_every`, with the last line of the first process and without.
                for other in [1, 10, 70] {
                    let first = lines(1, end, every);
                    let killed = first
                        .iter()
                        .copied()
                        .filter(|at| *at <= FIRST || at % every == 0);
                    let second = (end, lines(end + 1, end + 150, other));
                    for first in [first.clone(), killed.collect()] {
                        let sessions = [(0, first), second.clone()];
                        let found = missing(&sessions, end + 150, other);
                        assert!(found.is_empty(), "{every}, {end}, {other}: {found:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_gap_is_found_wherever_it_is() {
        for every in [1, 5, 10] {
            let whole = lines(1, 200, every);
            for (from, to) in [(1, 4), (3, 30), (50, 100), (151, 200)] {
                let mut cut = whole.clone();
                cut.retain(|step| !(from..=to).contains(step));
                let found = missing(&[(0, cut)], 200, every);
                let [(begin, end)] = found[..] else {
                    panic!("{every}, {from}: {found:?}");
                };
                assert!(
                    begin <= from && from < begin + every,
                    "{every}, {from}: {begin}"
                );
                assert!(end >= to && end < to + every, "{every}, {to}: {end}");
            }
        }
        // At the end of a killed process.
        let sessions = [(0, lines(1, 40, 1)), (50, lines(51, 60, 1))];
        assert_eq!(missing(&sessions, 60, 1), [(41, 50)]);
        assert_eq!(missing(&[], 60, 1), [(1, 60)]);
    }

    #[test]
    fn messages_name_three_gaps() {
        assert_eq!(ranges(&[(4, 4), (6, 9)]), "4, 6 to 9");
        assert_eq!(ranges(&[(1, 2); 4]), "1 to 2, 1 to 2, 1 to 2 and others");
    }
}
