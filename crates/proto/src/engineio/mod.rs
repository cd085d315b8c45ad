//! Engine.IO protocol version 4, server side: packets, polling payloads, the handshake's query and answers, and one
//! session's heartbeat and upgrade as a state machine. It moves no bytes and reads no clock; which HTTP request or
//! WebSocket carries a packet is the caller's affair.

mod handshake;
mod packet;
pub mod payload;
mod query;
mod session;

pub use handshake::{HandshakeError, OpenPacket};
pub use packet::{Packet, PacketError};
pub use payload::{Limits, PayloadError};
pub use query::Query;
pub use session::{CloseReason, Probe, Session, Timeout, Timing, UpgradeRefused};

use std::fmt;

/// The value of the `EIO` query parameter that this module speaks.
pub const PROTOCOL: &str = "4";

/// What carries the packets of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// HTTP long polling: GET collects, POST delivers.
    Polling,
    /// One WebSocket connection, one frame a packet.
    WebSocket,
}

impl TransportKind {
    /// The name in the `transport` query parameter and in `upgrades`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }

    /// The transport of that exact name, if there is one.
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
        ] {
            assert_eq!(TransportKind::from_name(name), None, "{name:?}");
        }
    }
}
