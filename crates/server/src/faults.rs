//! What clients do wrong, counted by kind. Who did it is in the log, at the level "debug"; how often shows whether
//! somebody should look there.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A kind of fault of a client. Each but [`Request`](Self::Request), [`Upgrade`](Self::Upgrade) and
/// [`Dropped`](Self::Dropped) ends the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A request that is refused, with one of the error codes of Engine.IO.
    Request,
    /// An upgrade that is not finished, or that the session does not expect; the session stays on polling.
    Upgrade,
    /// Frames that break RFC 6455.
    WebSocket,
    /// A message, or a body of a POST, above [`max_payload`](crate::EngineConfig::max_payload).
    TooLarge,
    /// A body of a POST that is late, does not come whole, or is of a kind that the protocol does not know.
    Body,
    /// A second GET or POST while one is open.
    Overlap,
    /// What is no Engine.IO packet, or not one that a client sends.
    Packet,
    /// A message that the application does not accept, such as a malformed Socket.IO packet.
    Message,
    /// Messages that the client does not take: more than [`max_outbox`](crate::Limits::max_outbox) bytes wait.
    Unread,
    /// An event that is dropped, since the client does not take its messages and the server is told to drop what is for
    /// such a one ([`SlowConsumer::DropEvents`](crate::SlowConsumer::DropEvents)).
    Dropped,
    /// No namespace was joined within [`connect_timeout`](crate::EngineConfig::connect_timeout).
    NotJoined,
    /// Messages above the [`ClientLimits`](crate::ClientLimits), where these say that the connection is closed.
    Flood,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Request,
        Self::Upgrade,
        Self::WebSocket,
        Self::TooLarge,
        Self::Body,
        Self::Overlap,
        Self::Packet,
        Self::Message,
        Self::Unread,
        Self::Dropped,
        Self::NotJoined,
        Self::Flood,
    ];

    /// The kind in words, as for the label of a metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Upgrade => "upgrade",
            Self::WebSocket => "websocket",
            Self::TooLarge => "too large",
            Self::Body => "body",
            Self::Overlap => "overlap",
            Self::Packet => "packet",
            Self::Message => "message",
            Self::Unread => "unread",
            Self::Dropped => "dropped",
            Self::NotJoined => "not joined",
            Self::Flood => "flood",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often each kind was seen.
#[derive(Debug, Default)]
pub(crate) struct Faults([AtomicU64; Fault::ALL.len()]);

impl Faults {
    pub(crate) fn count(&self, fault: Fault) {
        self.0[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, fault: Fault) -> u64 {
        self.0[fault as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_count_of_its_own() {
        let faults = Faults::default();
        for fault in Fault::ALL {
            faults.count(fault);
        }
        assert!(Fault::ALL.iter().all(|fault| faults.get(*fault) == 1));
    }
}
