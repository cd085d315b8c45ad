//! Engine.IO protocol version 4, server side: packets, polling payloads, the handshake's query and answers, and one
//! session's heartbeat and upgrade as a state machine. It moves no bytes and reads no clock; which HTTP request or
//! WebSocket carries a packet is the caller's affair. What is different for old clients is in [`v3`].

mod handshake;
pub mod jsonp;
mod packet;
pub mod payload;
mod query;
mod session;
pub mod v3;

pub use handshake::{BadRequest, HandshakeError, OpenPacket};
pub use packet::{Packet, PacketError};
pub use payload::{Limits, PayloadError};
pub use query::Query;
pub use session::{CloseReason, Probe, Session, Timeout, Timing, UpgradeRefused};

use std::fmt;

/// The value of the `EIO` query parameter that this module speaks.
pub const PROTOCOL: &str = "4";

/// The version of the protocol that a session speaks. It never changes: a request with another one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Clients of Socket.IO 1 and 2; see [`v3`].
    V3,
    /// Clients of Socket.IO 3 and later.
    V4,
}

impl Protocol {
    /// The version that a request asks for: 4 if `eio` is exactly `"4"`, and 3 for everything else, also for nothing,
    /// as the official server reads it.
    pub fn from_query(eio: Option<&str>) -> Self {
        match eio {
            Some(PROTOCOL) => Self::V4,
            _ => Self::V3,
        }
    }
}

/// What carries the packets of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// HTTP long polling: GET collects, POST delivers.
    Polling,
    /// One WebSocket connection, one frame a packet.
    WebSocket,
    /// Server-Sent Events, to a client that only listens. It is no transport of Engine.IO: no name stands for it there.
    Sse,
}

impl TransportKind {
    /// The name, as in the `transport` query parameter and in `upgrades`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
            Self::Sse => "sse",
        }
    }

    /// The transport of Engine.IO of that exact name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "polling" => Some(Self::Polling),
            "websocket" => Some(Self::WebSocket),
            _ => None,
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_4_is_version_3() {
        assert_eq!(Protocol::from_query(Some("4")), Protocol::V4);
        for eio in [
            None,
            Some(v3::PROTOCOL),
            Some(""),
            Some("04"),
            Some("5"),
            Some("abc"),
        ] {
            assert_eq!(Protocol::from_query(eio), Protocol::V3, "{eio:?}");
        }
    }

    #[test]
    fn transport_names_are_exact() {
        for kind in [TransportKind::Polling, TransportKind::WebSocket] {
            assert_eq!(TransportKind::from_name(kind.as_str()), Some(kind));
        }
        for name in [
            "",
            "Polling",
            "WEBSOCKET",
            "websocket ",
            "constructor",
            "__proto__",
            "webtransport",
            "sse",
        ] {
            assert_eq!(TransportKind::from_name(name), None, "{name:?}");
        }
    }
}
