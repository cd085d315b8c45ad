//! Latency under a given load: requests leave when they are due, at a fixed rate, whether or not earlier ones were answered. The
//! time of an answer counts from the moment at which its request was due, not at which it left: if the server (or the generator)
//! is late, all that had to wait are late, too. So nothing is left out ("coordinated omission").

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::pool::{Event, Pool};
use super::{LoadError, PATIENCE, misplaced};

/// Longer than any latency here can be, in nanoseconds.
const HIGHEST: u64 = 60_000_000_000;

/// What came out.
pub(crate) struct Latencies {
    /// Nanoseconds from the moment at which a request was due to its answer.
    pub(crate) histogram: Histogram<u64>,
    /// Nanoseconds by which requests left later than they were due: the generator's own share.
    pub(crate) late: Histogram<u64>,
}

struct State {
    start: Instant,
    interval: f64,
    /// The first request that counts.
    warm: u32,
    answered: Vec<bool>,
    count: u32,
    latencies: Latencies,
}

/// Sends requests in turn on all connections, which are open, `rate` a second for `length` seconds; the first quarter does not count.
pub(crate) fn run(pool: &mut Pool, rate: f64, length: f64) -> Result<Latencies, LoadError> {
    let total = (rate * length).ceil().max(8.0) as u32;
    let histogram =
        || Histogram::new_with_max(HIGHEST, 3).map_err(|error| LoadError::Histogram(error.to_string()));
    let mut state = State {
        start: Instant::now(),
        interval: 1.0 / rate,
        warm: total / 4,
        answered: vec![false; total as usize],
        count: 0,
        latencies: Latencies {
            histogram: histogram()?,
            late: histogram()?,
        },
    };
    let connections = pool.len();
    let mut sent = 0;
    let mut heard = Instant::now();
    while state.count < total {
        let now = Instant::now();
        while sent < total && state.due(sent) <= now {
            state
                .latencies
                .late
                .saturating_record(nanoseconds(now, state.due(sent)));
            pool.send(sent as usize % connections, |outgoing| outgoing.ping(sent))?;
            sent += 1;
            // Answers are as urgent as requests: what has come is looked at between the requests of a long backlog.
            if sent.is_multiple_of(16) {
                break;
            }
        }
        // It does not sleep: a timer would wake it too late, and its CPU is its own.
        let events = pool.turn(Duration::ZERO, |connection, event, _| {
            let Event::Reply(number) = event else {
                return Err(misplaced(connection, event));
            };
            if state.answer(number, sent) {
                Ok(())
            } else {
                Err(misplaced(connection, event))
            }
        })?;
        if events > 0 {
            heard = now;
        } else if now - heard > PATIENCE && state.count < sent {
            return Err(LoadError::Stalled {
                missing: format!("{} answers were due", sent - state.count),
            });
        }
    }
    Ok(state.latencies)
}

impl State {
    fn due(&self, number: u32) -> Instant {
        self.start + Duration::from_secs_f64(f64::from(number) * self.interval)
    }

    /// Notes an answer; false if it answers nothing.
    fn answer(&mut self, number: u32, sent: u32) -> bool {
        if number >= sent || std::mem::replace(&mut self.answered[number as usize], true) {
            return false;
        }
        self.count += 1;
        if number >= self.warm {
            let latency = nanoseconds(Instant::now(), self.due(number));
            self.latencies.histogram.saturating_record(latency);
        }
        true
    }
}

fn nanoseconds(now: Instant, due: Instant) -> u64 {
    // Fits: runs take seconds.
    now.saturating_duration_since(due).as_nanos() as u64
}
