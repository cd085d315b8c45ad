//! What only a plain WebSocket has: pings of its own layer, silence that ends it, and Close frames with a code of the
//! application's choice.

use std::sync::atomic::Ordering;
use std::time::Instant;

use gatewire_proto::engineio::{CloseReason, Packet};
use gatewire_proto::websocket::{self, CloseCode, Opcode};

use super::lane::Frame;
use super::{Outbox, State};
use crate::dialect::Dialect;

impl Outbox {
    /// Which of the server's subprotocols was agreed on.
    pub(crate) fn subprotocol(&self) -> Option<&str> {
        match self.dialect {
            Dialect::Plain { protocol } => Some(self.rules.protocols.get(usize::from(protocol?))?),
            _ => None,
        }
    }

    /// Sends one message as it is.
    pub(crate) fn send_message(&self, opcode: Opcode, message: &[u8]) {
        if self.send_deflated(opcode, message) {
            return;
        }
        let mut frame = Vec::new();
        websocket::put_frame(&mut frame, opcode, message);
        self.send_frame(&mut self.lock(), &Frame::Own(&frame));
    }

    /// Notes a message of the client.
    pub(crate) fn hear(&self) -> Result<(), CloseReason> {
        if self.rules.idle_timeout.is_some() {
            self.heard.store(true, Ordering::Relaxed);
        }
        if self.is_awaiting_pong() {
            self.receive(Packet::Message(""))?;
        }
        Ok(())
    }

    /// Ends the session after what has been sent; the client is told `code` and `reason`.
    pub(crate) fn close_with(&self, code: CloseCode, reason: &str) {
        let mut state = self.lock();
        self.close_locked(&mut state, CloseReason::ForcedClose, code, reason);
    }

    pub(super) fn close_locked(&self, state: &mut State, why: CloseReason, code: CloseCode, reason: &str) {
        if state.closing.is_none() {
            self.seal_locked(state, &websocket::close_frame(Some(code), reason));
            self.begin_close_locked(state, why);
        }
    }

    pub(super) fn send_ping_locked(&self, state: &mut State) {
        let ping = websocket::header(Opcode::Ping, 0);
        self.send_frame(state, &Frame::Own(ping.as_ref()));
    }

    /// When the client must have sent something; `None` if it may be silent, or has been for too long and is told so.
    pub(super) fn idle_deadline(&self, state: &mut State, now: Instant) -> Option<Instant> {
        let idle_timeout = self.rules.idle_timeout?;
        // What the server does not read, it cannot miss.
        if self.heard.swap(false, Ordering::Relaxed) || self.stalled.load(Ordering::Relaxed) {
            state.deadline = now + idle_timeout;
        } else if state.deadline <= now {
            tracing::debug!(sid = %self.sid, "the client sent no message within the idle timeout");
            let reason = "no message came within the idle timeout";
            self.close_locked(state, CloseReason::PingTimeout, CloseCode::AWAY, reason);
            return None;
        }
        Some(state.deadline)
    }
}
