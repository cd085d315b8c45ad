//! What runs on top of a connection, as two traits: an [`Application`] opens a [`Session`] for each Engine.IO session,
//! plain WebSocket or stream of events, and the driver feeds it by plain calls. Socket.IO is one application; a bare message echo is another.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use gatewire_hub::{Handshake, Id};
use gatewire_proto::engineio::{CloseReason, Protocol, TransportKind};
use gatewire_proto::sse::SseEvent;
use gatewire_proto::websocket::{CloseCode, CloseFrame, Opcode};
use http::HeaderMap;

use crate::outbox::{Lane, Outbox};

/// The layer above Engine.IO, or above a plain WebSocket.
pub trait Application: Send + Sync + 'static {
    /// Opens the upper layer of one new session. What is sent here goes out first, after Engine.IO's open packet.
    fn open(&self, connection: Connection, handshake: Arc<Handshake>) -> Box<dyn Session>;
}

/// The upper layer of one session, owned by the task that drives the connection. No call may block.
pub trait Session: Send + 'static {
    /// A text message, without the Engine.IO type digit. Without an implementation none is accepted: a client of a stream
    /// of events sends none.
    ///
    /// # Errors
    /// [`Rejected`] closes the connection with the reason "forced close", as the Node server does for a bad packet. A
    /// plain WebSocket is closed with the code 1008.
    fn receive_text(&mut self, text: &str, cx: &mut Context<'_>) -> Result<(), Rejected> {
        let _ = (text, cx);
        Err(Rejected::unexpected())
    }

    /// A binary message.
    ///
    /// # Errors
    /// As [`receive_text`](Self::receive_text).
    fn receive_binary(&mut self, data: &[u8], cx: &mut Context<'_>) -> Result<(), Rejected> {
        let _ = (data, cx);
        Err(Rejected::unexpected())
    }

    /// A text message that is one too many for its client's limits: it is dropped. It is shown only so that the client can
    /// be told, and for the sake of a protocol whose messages belong together.
    ///
    /// # Errors
    /// As [`receive_text`](Self::receive_text).
    fn refuse_text(
        &mut self,
        text: &str,
        retry_after: Duration,
        cx: &mut Context<'_>,
    ) -> Result<(), Rejected> {
        let _ = (text, retry_after, cx);
        Ok(())
    }

    /// As [`refuse_text`](Self::refuse_text), for a binary message.
    ///
    /// # Errors
    /// As [`receive_text`](Self::receive_text).
    fn refuse_binary(
        &mut self,
        data: &[u8],
        retry_after: Duration,
        cx: &mut Context<'_>,
    ) -> Result<(), Rejected> {
        let _ = (data, retry_after, cx);
        Ok(())
    }

    /// The connection is about to be closed because its client sends too much: the last moment to tell it.
    fn expel(&mut self) {}

    /// The session has gone over to another transport, which [`Connection::transport`] tells.
    fn upgraded(&mut self) {}

    /// Goes on with what runs; called whenever the task of the connection is polled.
    fn poll(&mut self, _cx: &mut Context<'_>) {}

    /// Whether more messages may be handed over; while false the connection is not read.
    fn wants_input(&self) -> bool {
        true
    }

    /// Whether nothing runs that may still have something to tell the client. A server that drains closes the connection
    /// then.
    fn is_quiet(&self) -> bool {
        true
    }

    /// Whether the client has done what the connect timeout waits for.
    fn is_joined(&self) -> bool {
        true
    }

    /// The client closes its WebSocket, and says why or not; [`close`](Self::close) follows.
    fn receive_close(&mut self, _frame: Option<CloseFrame<'_>>) {}

    /// The connection has ended, or is about to. Called once.
    fn close(&mut self, reason: CloseReason);

    /// Ready when everything that the end has set going is done.
    fn poll_closed(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// A message that the upper layer does not accept. The reason is for the log only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Rejected {
    /// What was wrong.
    pub reason: String,
}

impl Rejected {
    fn unexpected() -> Self {
        Self {
            reason: "no message is expected".to_owned(),
        }
    }
}

/// The way out of one session, for an [`Application`]: cheap to clone, usable from any thread, never blocking.
#[derive(Clone)]
pub struct Connection(Arc<Outbox>);

impl Connection {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Self {
        Self(outbox)
    }

    /// The session id: the key to the session, not to be shown to other clients.
    #[must_use]
    pub fn sid(&self) -> Id {
        self.0.sid
    }

    /// The version of Engine.IO that the client speaks; of a plain WebSocket, the one whose heartbeat is like its own.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.0.dialect.protocol()
    }

    /// The transport that the session uses now.
    #[must_use]
    pub fn transport(&self) -> TransportKind {
        self.0.transport()
    }

    /// The headers of the POST whose packets are being worked off; `None` on WebSocket, and between two POSTs.
    #[must_use]
    pub fn post_headers(&self) -> Option<HeaderMap> {
        match &self.0.lock().lane {
            Lane::Polling(lane) => lane.post_headers().cloned(),
            Lane::WebSocket(_) | Lane::Body(_) | Lane::Closed => None,
        }
    }

    /// The subprotocol that was agreed on, of those that the [`WebSocketServer`](crate::WebSocketServer) speaks.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.0.subprotocol()
    }

    /// Sends a text message.
    pub fn send_text(&self, text: &str) {
        let packet_type = usize::from(self.0.dialect.has_packets());
        self.0.count_sent(|| (1, text.len() + packet_type));
        if self.0.dialect.is_plain() {
            return self.0.send_message(Opcode::Text, text.as_bytes());
        }
        let mut packet = Vec::with_capacity(text.len() + 1);
        packet.push(b'4');
        packet.extend_from_slice(text.as_bytes());
        self.0.send_packet(&packet);
    }

    /// Sends a binary message.
    pub fn send_binary(&self, data: &[u8]) {
        self.0.count_sent(|| (1, data.len()));
        self.0.send_binary(data);
    }

    /// Sends an event, on a connection of an [`SseServer`](crate::SseServer).
    pub fn send_event(&self, event: &SseEvent) {
        self.0.send_event(event);
    }

    /// Whether so little waits to be written that more may be sent without haste. After a `false` the session is
    /// [polled](Session::poll) once there is room again.
    #[must_use]
    pub fn has_room(&self) -> bool {
        gatewire_hub::Outbox::has_room(&*self.0)
    }

    /// Has the session [polled](Session::poll) soon.
    pub fn wake(&self) {
        self.0.driver.wake();
    }

    /// Ends the session after what has been sent.
    pub fn close(&self) {
        self.0.begin_close(CloseReason::ForcedClose);
    }

    /// Ends the session after what has been sent, with a code and words for the client: on a WebSocket, where a `reason`
    /// above 123 bytes is cut. On polling it is [`close`](Self::close).
    pub fn close_with(&self, code: CloseCode, reason: &str) {
        self.0.close_with(code, reason);
    }

    /// The same way out in the form that the hub uses.
    #[must_use]
    pub fn outbox(&self) -> Arc<dyn gatewire_hub::Outbox> {
        self.0.clone()
    }
}
