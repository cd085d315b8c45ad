//! What an adapter counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What has become of messages and connections since the adapter was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that Redis took.
    pub sent: u64,
    /// Messages that came from Redis, this node's own included.
    pub received: u64,
    /// Messages that were to be sent and were not, or of which it is not known: those that waited too long a queue for
    /// Redis, that were under way when its connection broke, or that it refused.
    pub lost: u64,
    /// Messages that came and could not be read.
    pub malformed: u64,
    /// How often Redis was out of reach.
    pub outages: u64,
    /// Whether it is within reach.
    pub is_connected: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    sent: AtomicU64,
    received: AtomicU64,
    lost: AtomicU64,
    malformed: AtomicU64,
    outages: AtomicU64,
}

impl Counters {
    pub(crate) fn add_sent(&self, count: usize) {
        self.sent.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_lost(&self, count: usize) {
        self.lost.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Counts a message that cannot be read. The first one is worth a warning.
    pub(crate) fn is_first_malformed(&self) -> bool {
        self.malformed.fetch_add(1, Ordering::Relaxed) == 0
    }

    pub(crate) fn add_outage(&self) {
        self.outages.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn stats(&self, is_connected: bool) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            sent: read(&self.sent),
            received: read(&self.received),
            lost: read(&self.lost),
            malformed: read(&self.malformed),
            outages: read(&self.outages),
            is_connected,
        }
    }
}
