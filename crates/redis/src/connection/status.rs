//! Whether Redis is within reach, told once when it goes and once when it comes back, however many connections notice.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use crate::lock;
use crate::stats::{Counters, Stats};

/// Shared by all connections of one adapter.
pub(crate) struct Status {
    pub(crate) counters: Counters,
    address: String,
    outage: Mutex<Outage>,
}

#[derive(Default)]
struct Outage {
    /// Connections that are down.
    parts: usize,
    begin: Option<(Instant, u64)>,
}

/// One connection's share in it.
pub(crate) struct Part {
    status: Arc<Status>,
    is_down: bool,
}

impl Status {
    pub(crate) fn new(address: &str) -> Arc<Self> {
        Arc::new(Self {
            counters: Counters::default(),
            address: address.to_owned(),
            outage: Mutex::default(),
        })
    }

    pub(crate) fn part(self: &Arc<Self>) -> Part {
        Part {
            status: self.clone(),
            is_down: false,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.counters.stats(lock(&self.outage).parts == 0)
    }

    /// Counts a message that cannot be written, which is the sender's fault.
    pub(crate) fn unsendable(&self, channel: &str, reason: impl std::fmt::Display) {
        self.counters.add_lost(1);
        tracing::warn!(channel, "a message is not sent to the other nodes: {reason}");
    }

    /// Counts a message that cannot be read; the first one is told of.
    pub(crate) fn malformed(&self, channel: &str, reason: impl std::fmt::Display) {
        if self.counters.is_first_malformed() {
            tracing::warn!(
                channel,
                "a message over Redis was skipped: {reason}. Others like it are counted in silence"
            );
        }
    }
}

impl Part {
    pub(crate) fn counters(&self) -> &Counters {
        &self.status.counters
    }

    pub(crate) fn down(&mut self, reason: impl std::fmt::Display) {
        if std::mem::replace(&mut self.is_down, true) {
            return;
        }
        let mut outage = lock(&self.status.outage);
        outage.parts += 1;
        if outage.begin.is_none() {
            let counters = self.counters();
            counters.add_outage();
            outage.begin = Some((Instant::now(), counters.lost()));
            tracing::warn!(
                "{} is out of reach: {reason}. This node goes on by itself and tries to come back",
                self.status.address
            );
        }
    }

    pub(crate) fn up(&mut self) {
        if !std::mem::replace(&mut self.is_down, false) {
            return;
        }
        let mut outage = lock(&self.status.outage);
        outage.parts -= 1;
        if outage.parts > 0 {
            return;
        }
        if let Some((begin, before)) = outage.begin.take() {
            let lost = self.counters().lost() - before;
            let seconds = begin.elapsed().as_secs_f64();
            let address = &self.status.address;
            match lost {
                0 => tracing::info!("{address} is back after {seconds:.1} s"),
                _ => tracing::warn!(
                    lost,
                    "{address} is back after {seconds:.1} s; {lost} messages were not sent, or perhaps not"
                ),
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_down {
            let mut outage = lock(&self.status.outage);
            outage.parts -= 1;
            if outage.parts == 0 {
                outage.begin = None;
            }
        }
    }
}
