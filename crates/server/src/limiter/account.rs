//! What one address has open, and what it has used up.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::limits::Excess;
use super::{Limit, Policy, TooMany};
use crate::rate::{Bucket, Rate};

/// When who has too many connections may look again whether one has ended.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The state of one address.
pub(super) struct Account {
    policy: Arc<Policy>,
    usage: Mutex<Usage>,
}

struct Usage {
    sessions: usize,
    http: usize,
    connections: Bucket,
    requests: Bucket,
    messages: Bucket,
    bytes: Bucket,
}

/// A place of an address, for as long as it is kept.
pub struct Seat {
    account: Arc<Account>,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Session,
    Http,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is handled.
    Handle,
    /// It is handled, and none after it for so long.
    HandleAndWait(Duration),
    /// It is dropped; there is room again in so long.
    Drop(Duration),
    /// It is the last.
    Close,
}

impl Account {
    pub(super) fn new(policy: Arc<Policy>, now: Instant) -> Self {
        Self {
            policy,
            usage: Mutex::new(Usage {
                sessions: 0,
                http: 0,
                connections: Bucket::full(now),
                requests: Bucket::full(now),
                messages: Bucket::full(now),
                bytes: Bucket::full(now),
            }),
        }
    }

    pub(super) fn open_session(self: &Arc<Self>, now: Instant) -> Result<Seat, TooMany> {
        let limits = &self.policy.limits;
        let mut usage = self.lock();
        let taken = if usage.sessions >= limits.max_connections {
            Err((Limit::Connections, LOOK_AGAIN))
        } else {
            let rate = limits.connections;
            let taken = rate.map_or(Ok(()), |rate| usage.connections.take(rate, now));
            taken.map_err(|retry_after| (Limit::ConnectionRate, retry_after))
        };
        taken.map_err(|(limit, retry_after)| self.refuse(limit, retry_after))?;
        usage.sessions += 1;
        Ok(self.seat(Kind::Session))
    }

    pub(super) fn open_http(self: &Arc<Self>) -> Result<Seat, TooMany> {
        let mut usage = self.lock();
        if usage.http >= self.policy.limits.max_http_connections {
            return Err(self.refuse(Limit::HttpConnections, LOOK_AGAIN));
        }
        usage.http += 1;
        Ok(self.seat(Kind::Http))
    }

    pub(super) fn request(&self, now: Instant) -> Result<(), TooMany> {
        let Some(rate) = self.policy.limits.requests else {
            return Ok(());
        };
        let taken = self.lock().requests.take(rate, now);
        taken.map_err(|retry_after| self.refuse(Limit::Requests, retry_after))
    }

    /// Whether it is as good as a new one, but for what holds it.
    pub(super) fn is_unused(&self, now: Instant) -> bool {
        let usage = self.lock();
        let buckets = [usage.connections, usage.requests, usage.messages, usage.bytes];
        buckets.iter().all(|bucket| bucket.is_full(now))
    }

    fn seat(self: &Arc<Self>, kind: Kind) -> Seat {
        Seat {
            account: self.clone(),
            kind,
        }
    }

    fn refuse(&self, limit: Limit, retry_after: Duration) -> TooMany {
        self.policy.count(limit);
        TooMany { limit, retry_after }
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Usage {
    /// Takes what a message needs, whether or not it is there; how long it is then until nothing is owed.
    fn overdraw(&mut self, rates: [Option<Rate>; 2], bytes: u64, now: Instant) -> Option<(Limit, Duration)> {
        let [messages, all_bytes] = rates;
        let messages = messages.map_or(Duration::ZERO, |rate| self.messages.overdraw(rate, 1, now));
        let bytes = all_bytes.map_or(Duration::ZERO, |rate| self.bytes.overdraw(rate, bytes, now));
        let owed = if bytes > messages {
            (Limit::Bytes, bytes)
        } else {
            (Limit::Messages, messages)
        };
        Some(owed).filter(|(_, owed)| !owed.is_zero())
    }

    /// Takes what a message needs, if it is there; else how long it is until it is.
    fn take(&mut self, rates: [Option<Rate>; 2], bytes: u64, now: Instant) -> Result<(), (Limit, Duration)> {
        let [messages, all_bytes] = rates;
        if let Some(rate) = messages {
            let taken = self.messages.take(rate, now);
            taken.map_err(|missing| (Limit::Messages, missing))?;
        }
        let Some(rate) = all_bytes else { return Ok(()) };
        let taken = self.bytes.draw(rate, bytes, now);
        taken.map_err(|missing| (Limit::Bytes, missing))
    }
}

impl Seat {
    /// What becomes of a message of so many bytes.
    pub(crate) fn admit(&self, bytes: usize, now: Instant) -> Verdict {
        let limits = &self.account.policy.limits;
        let rates = [limits.messages, limits.bytes];
        let bytes = bytes as u64;
        let mut usage = self.account.lock();
        let reached = match limits.excess {
            Excess::Wait => usage.overdraw(rates, bytes, now),
            Excess::Drop | Excess::Close => usage.take(rates, bytes, now).err(),
        };
        drop(usage);
        let Some((limit, time)) = reached else {
            return Verdict::Handle;
        };
        self.account.policy.count(limit);
        match limits.excess {
            Excess::Wait => Verdict::HandleAndWait(time),
            Excess::Drop => Verdict::Drop(time),
            Excess::Close => Verdict::Close,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut usage = self.account.lock();
        match self.kind {
            Kind::Session => usage.sessions -= 1,
            Kind::Http => usage.http -= 1,
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seat").finish()
    }
}
