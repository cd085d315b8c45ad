//! What a namespace does with its sockets: the trait that the layer above implements, and the reasons it is told.

use std::fmt;

use futures_util::future::{self, BoxFuture, FutureExt};
use gatewire_proto::engineio::CloseReason;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{AckSender, Event, Socket};

/// Handles the life and the events of one namespace's sockets. Every call is made by the task that drives the socket's
/// connection, so none may block; a panic is caught and logged, and the connection lives on.
pub trait NamespaceHandler: Send + Sync + 'static {
    /// Decides on a CONNECT. The client is answered when the future is ready; until then none of its events is handled,
    /// and what is sent to the socket, which is in its namespace and may join rooms already, waits. The future always
    /// runs to its end, also when the client has gone meanwhile.
    fn connect(&self, socket: &Socket) -> BoxFuture<'static, Result<(), ConnectError>> {
        let _ = socket;
        future::ready(Ok(())).boxed()
    }

    /// The CONNECT was answered; no event has been handled yet.
    fn connected(&self, socket: &Socket) {
        let _ = socket;
    }

    /// One event of the socket, in the order in which they came: the next one is handed over when the returned future
    /// is ready. `None` means that this one is done already.
    fn event(&self, socket: &Socket, event: Event<'_>) -> Option<BoxFuture<'static, ()>>;

    /// An event whose arguments nest deeper than `max_depth` allows: it cannot be read, but its sender is to be told. The
    /// connection lives on. Without more the acknowledgement, if one is wanted, is answered with an error.
    fn too_deep(&self, socket: &Socket, event: &str, ack: Option<AckSender>) {
        tracing::debug!(socket = %socket.id(), event, "{TOO_DEEP}");
        if let Some(ack) = ack {
            ack.send(&json!({ "status": "error", "message": TOO_DEEP }));
        }
    }

    /// Whether [`disconnect`](Self::disconnect) is called only when all is done that the client sent before it left: what
    /// runs of its handlers ends, and the events that wait in its mailbox are handled before, unless it was the server that
    /// put the socket out. Without that the disconnect is told at once, as in the Node server, handlers go on beside it, and
    /// events that wait are dropped.
    fn waits_for_handlers(&self) -> bool {
        false
    }

    /// The socket has left the namespace, once for each that was connected. What it was in is still told by
    /// [`Socket::rooms`] until this has returned and the future is ready; messages no longer reach it.
    fn disconnect(&self, socket: &Socket, reason: DisconnectReason) -> Option<BoxFuture<'static, ()>> {
        let _ = (socket, reason);
        None
    }
}

/// What is said of an event whose arguments nest too deep.
const TOO_DEEP: &str = "the data nests too deep";

/// Accepts every socket and does nothing with its events: a namespace that only sends.
pub(crate) struct Silent;

impl NamespaceHandler for Silent {
    fn event(&self, _: &Socket, _: Event<'_>) -> Option<BoxFuture<'static, ()>> {
        None
    }
}

/// The refusal of a CONNECT, as the client gets it: `connect_error` with this message and data.
#[derive(Debug, Clone, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct ConnectError {
    /// What the client's error says.
    pub message: String,
    /// More about it, `error.data` at the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl ConnectError {
    /// A refusal without data.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }

    /// The refusal with `data` for the client.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }
}

/// Why a socket left its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The client's side of the connection was closed.
    TransportClose,
    /// The connection failed.
    TransportError,
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The client sent what is no Engine.IO packet.
    ParseError,
    /// The server closed the connection, for instance because of a bad Socket.IO packet.
    ForcedClose,
    /// The server shuts down.
    ServerShuttingDown,
    /// The server closed the connection on behalf of the application.
    ForcedServerClose,
    /// The client left this namespace.
    ClientNamespaceDisconnect,
    /// The server put the socket out of this namespace.
    ServerNamespaceDisconnect,
}

impl DisconnectReason {
    pub(crate) const ALL: [Self; 9] = [
        Self::TransportClose,
        Self::TransportError,
        Self::PingTimeout,
        Self::ParseError,
        Self::ForcedClose,
        Self::ServerShuttingDown,
        Self::ForcedServerClose,
        Self::ClientNamespaceDisconnect,
        Self::ServerNamespaceDisconnect,
    ];

    /// The words of the Node server.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::ServerShuttingDown => "server shutting down",
            Self::ForcedServerClose => "forced server close",
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
        }
    }
}

impl From<CloseReason> for DisconnectReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::PingTimeout => Self::PingTimeout,
            CloseReason::TransportClose => Self::TransportClose,
            CloseReason::ParseError => Self::ParseError,
            CloseReason::ForcedClose => Self::ForcedClose,
            CloseReason::ServerShuttingDown => Self::ServerShuttingDown,
            _ => Self::TransportError,
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
