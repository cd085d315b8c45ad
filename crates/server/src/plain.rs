//! The namespaces of a hub for plain WebSocket clients: an application that feeds the hub's `PlainClient`, each in the
//! namespace that the path of its URL names.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use gatewire_hub::{Handshake, Io, PlainClient, PlainFormats};
use gatewire_proto::engineio::CloseReason;
use percent_encoding::percent_decode_str;

use crate::application::{Application, Connection, Rejected, Session};
use crate::socketio::rejected;

/// Serves the namespaces of an [`Io`] to plain WebSocket clients: `/` at a base path, every other one at its name below
/// that, as `/ws/chat` is `/chat` with the base `/ws`.
///
/// ```
/// use gatewire_hub::{Io, PlainFormat};
/// use gatewire_server::{PlainSockets, WebSocketConfig, WebSocketServer};
///
/// let io = Io::default();
/// io.of("/chat").on_connection(|socket| socket.emit("hello", "there"));
/// let sockets = PlainSockets::new(io, "/ws", PlainFormat::default());
/// assert!(sockets.has("/ws/chat") && !sockets.has("/ws/nothing") && !sockets.has("/other"));
/// let server = WebSocketServer::new(WebSocketConfig::default(), sockets)?;
/// # Ok::<(), gatewire_server::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PlainSockets {
    io: Io,
    /// Without a slash at its end.
    base: Arc<str>,
    formats: PlainFormats,
}

impl PlainSockets {
    /// The namespaces of `io` below `base`, with messages in these formats.
    #[must_use]
    pub fn new(io: Io, base: &str, formats: impl Into<PlainFormats>) -> Self {
        Self {
            io,
            base: base.trim_end_matches('/').into(),
            formats: formats.into(),
        }
    }

    /// Whether there is, or may come into being, a namespace at this path of a URL.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.namespace(path).is_some_and(|name| self.io.may_open(&name))
    }

    fn namespace(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(&*self.base)?;
        let name = percent_decode_str(rest.trim_end_matches('/'))
            .decode_utf8()
            .ok()?;
        match &*name {
            "" => Some("/".to_owned()),
            name if name.starts_with('/') => Some(name.to_owned()),
            _ => None,
        }
    }
}

impl Application for PlainSockets {
    fn open(&self, connection: Connection, handshake: Arc<Handshake>) -> Box<dyn Session> {
        let url = handshake.url();
        let path = url.split_once('?').map_or(url, |(path, _)| path);
        // Who serves a path that is none of these gets the main namespace.
        let namespace = self.namespace(path).unwrap_or_else(|| "/".to_owned());
        Box::new(PlainClient::new(
            &self.io,
            self.formats.of(&namespace),
            &namespace,
            connection.outbox(),
            handshake,
        ))
    }
}

impl Session for PlainClient {
    fn receive_text(&mut self, text: &str, cx: &mut Context<'_>) -> Result<(), Rejected> {
        Self::receive_text(self, text, cx).map_err(|error| rejected(&error))
    }

    fn receive_binary(&mut self, data: &[u8], cx: &mut Context<'_>) -> Result<(), Rejected> {
        Self::receive_binary(self, data, cx).map_err(|error| rejected(&error))
    }

    fn refuse_text(
        &mut self,
        text: &str,
        retry_after: Duration,
        cx: &mut Context<'_>,
    ) -> Result<(), Rejected> {
        Self::refuse_text(self, text, retry_after, cx).map_err(|error| rejected(&error))
    }

    fn refuse_binary(
        &mut self,
        data: &[u8],
        retry_after: Duration,
        cx: &mut Context<'_>,
    ) -> Result<(), Rejected> {
        Self::refuse_binary(self, data, retry_after, cx).map_err(|error| rejected(&error))
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        Self::poll(self, cx);
    }

    fn wants_input(&self) -> bool {
        Self::wants_input(self)
    }

    fn is_quiet(&self) -> bool {
        Self::is_quiet(self)
    }

    fn close(&mut self, reason: CloseReason) {
        Self::close(self, reason.into());
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll_closed(self, cx)
    }
}
