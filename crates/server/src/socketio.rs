//! Socket.IO as an application: feeds the hub's `Client` and nothing else.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use gatewire_hub::{Client, Handshake, Io, ProtocolError};
use gatewire_proto::engineio::{CloseReason, Protocol};

use crate::application::{Application, Connection, Rejected, Session};

/// Serves the namespaces of an [`Io`].
pub struct SocketIo(Io);

impl SocketIo {
    /// Socket.IO for the namespaces of `io`.
    #[must_use]
    pub fn new(io: Io) -> Self {
        Self(io)
    }
}

impl Application for SocketIo {
    fn open(&self, connection: Connection, handshake: Arc<Handshake>) -> Box<dyn Session> {
        let outbox = connection.outbox();
        Box::new(match connection.protocol() {
            Protocol::V4 => Client::new(&self.0, outbox, handshake),
            Protocol::V3 => Client::new_v2(&self.0, outbox, handshake, connection.sid()),
        })
    }
}

impl Session for Client {
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

    fn expel(&mut self) {
        Self::expel(self);
    }

    fn upgraded(&mut self) {
        Self::upgraded(self);
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

    fn is_joined(&self) -> bool {
        Self::is_joined(self)
    }

    fn close(&mut self, reason: CloseReason) {
        Self::close(self, reason.into());
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll_closed(self, cx)
    }
}

pub(crate) fn rejected(error: &ProtocolError) -> Rejected {
    Rejected {
        reason: error.to_string(),
    }
}
