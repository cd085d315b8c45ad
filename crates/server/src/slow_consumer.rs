//! Clients that do not take what they are sent: what becomes of them, and what may wait for all of them together.

use std::sync::atomic::{AtomicUsize, Ordering};

use gatewire_proto::websocket::CloseCode;

/// What becomes of a client for which as much waits as may, [`max_outbox`](crate::Limits::max_outbox) bytes. Volatile
/// messages are dropped long before, whenever they cannot be written at once; and who waits for
/// [`Socket::writable`](gatewire_hub::Socket::writable) never sends so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// Its connection is closed, and what waits is dropped. A WebSocket is told this code, if it ever reads on; polling and
    /// streams of events have none.
    Close(CloseCode),
    /// Events for it are dropped while more than half of `max_outbox` waits, as if they were volatile; the connection
    /// stays. Answers and the packets of the protocol are not dropped: should they fill the other half, it is closed as by
    /// default.
    DropEvents,
}

/// The connection is closed; with 1013, so that clients come back.
impl Default for SlowConsumer {
    fn default() -> Self {
        Self::Close(CloseCode::TRY_AGAIN)
    }
}

impl SlowConsumer {
    pub(crate) fn close_code(self) -> CloseCode {
        match self {
            Self::Close(code) => code,
            Self::DropEvents => CloseCode::TRY_AGAIN,
        }
    }
}

/// The bytes that all sessions of a server have been granted for what waits.
#[derive(Debug, Default)]
pub(crate) struct Budget(AtomicUsize);

impl Budget {
    /// Takes `bytes`, if the sum is at most `limit` then.
    pub(crate) fn take(&self, bytes: usize, limit: usize) -> bool {
        let add = |granted: usize| granted.checked_add(bytes).filter(|sum| *sum <= limit);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .is_ok()
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn granted(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
