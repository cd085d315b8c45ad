//! What a cluster counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What has become of messages since the cluster was made, of all its nodes in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that came.
    pub received: u64,
    /// Messages that were to be sent and were not: too many waited for a node that does not take them, its connection
    /// broke, or they were too long. What was for a node that has died is not lost.
    pub lost: u64,
    /// Messages and connections that were not understood.
    pub malformed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) received: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) malformed: AtomicU64,
}

impl Counters {
    pub(crate) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            received: read(&self.received),
            lost: read(&self.lost),
            malformed: read(&self.malformed),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}
