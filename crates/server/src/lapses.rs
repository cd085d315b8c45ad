//! Times in which the process did not run: it was stopped, its machine slept, or a handler kept the thread. Whoever judges by
//! deadlines must know of them, for nothing was read meanwhile.

use std::time::{Duration, Instant};

/// Notices lapses between looks. It goes by the system's clock, so that a test which moves tokio's does not look like one.
#[derive(Debug)]
pub(crate) struct Lapses {
    /// More time than this between two looks is a lapse.
    pace: Duration,
    looked: Instant,
}

impl Lapses {
    /// For looks that are to come at least every `pace`.
    pub(crate) fn new(pace: Duration) -> Self {
        Self {
            pace,
            looked: Instant::now(),
        }
    }

    /// The time since the last look, if it was too long.
    pub(crate) fn look(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let since = now - std::mem::replace(&mut self.looked, now);
        (since > self.pace).then_some(since)
    }
}
