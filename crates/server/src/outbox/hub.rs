//! The outbox as the hub sees it: messages and packets by the lane that the session is on.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use gatewire_hub::{FramedText, Id, Message, Prepared};
use gatewire_proto::engineio::{CloseReason, TransportKind};
use gatewire_proto::websocket::{CloseCode, Deflate, DeflateOptions, Opcode};

use super::lane::Frame;
use super::{Lane, Outbox};
use crate::cork;

/// The frames of a packet in the form that was agreed on with the client.
fn frames<'a>(message: &'a Prepared, deflate: Option<(&DeflateOptions, Deflate)>) -> &'a [Bytes] {
    match deflate {
        Some((options, deflate)) => message.deflated(options, deflate.server_window_bits()),
        None => message.websocket(),
    }
}

impl gatewire_hub::Outbox for Outbox {
    fn send(&self, message: &Prepared) {
        self.count_sent(|| message.size());
        let frames = frames(message, self.deflate(message.websocket_len()));
        let mut state = self.lock();
        match &state.lane {
            Lane::WebSocket(_) if !self.dialect.has_bare_bytes() && message.has_binary() => {
                let frames = self.dialect.frames(message);
                self.send_frame(&mut state, &Frame::Own(&frames));
            }
            Lane::WebSocket(_) => match frames {
                [whole] => self.send_frame(&mut state, &Frame::Shared(whole)),
                pieces => self.send_pieces(&mut state, pieces),
            },
            Lane::Polling(_) => self.send_poll(&mut state, message.messages(), message.is_compressible()),
            Lane::Body(_) => {
                for piece in frames {
                    self.send_chunk(&mut state, piece.clone());
                }
            }
            Lane::Closed => {}
        }
    }

    fn send_all(&self, messages: &[Prepared]) {
        {
            let deflate = self.deflate(usize::MAX);
            if deflate.is_some() {
                // Before the lock is taken.
                for message in messages {
                    frames(message, deflate);
                }
            }
            let mut state = self.lock();
            let state = &mut *state;
            if let (Lane::WebSocket(lane), None) = (&mut state.lane, state.closing)
                && !cork::is_in()
                && self.dialect.has_bare_bytes()
            {
                for message in messages {
                    self.count_sent(|| message.size());
                    for piece in frames(message, deflate) {
                        lane.queue.push_shared(piece.clone());
                    }
                }
                self.flush_locked(state);
                self.check_bound(state);
                return;
            }
        }
        for message in messages {
            self.send(message);
        }
    }

    fn send_text(&self, text: &FramedText<'_>) {
        self.count_sent(|| (1, text.text().len()));
        if self.send_deflated(Opcode::Text, text.text()) {
            return;
        }
        let mut state = self.lock();
        match &state.lane {
            Lane::WebSocket(_) => self.send_frame(&mut state, &Frame::Own(text.frame())),
            Lane::Polling(_) => {
                self.send_poll(
                    &mut state,
                    [Message::Text(Bytes::copy_from_slice(text.text()))],
                    true,
                );
            }
            Lane::Body(_) | Lane::Closed => {}
        }
    }

    fn close(&self, reason: CloseReason) {
        self.begin_close(reason);
    }

    fn close_with(&self, code: u16, reason: &str) {
        match CloseCode::from_wire(code) {
            Some(code) if self.dialect.is_plain() => Self::close_with(self, code, reason),
            _ => self.begin_close(CloseReason::ForcedClose),
        }
    }

    fn wake(&self) {
        self.driver.wake();
    }

    fn is_writable(&self) -> bool {
        match &self.lock().lane {
            Lane::WebSocket(lane) => !lane.blocked,
            Lane::Polling(lane) => lane.is_polled(),
            Lane::Body(lane) => lane.is_writable(),
            Lane::Closed => false,
        }
    }

    fn has_room(&self) -> bool {
        let state = self.lock();
        let has_room = state.lane.len() < self.room() || state.closing.is_some();
        if !has_room {
            // Under the lock, so that whoever makes room sees it.
            self.crowded.store(true, Ordering::Release);
        }
        has_room
    }

    fn is_lossy(&self) -> bool {
        Self::is_lossy(self)
    }

    fn drops_event(&self) -> bool {
        Self::drops_event(self)
    }

    fn transport(&self) -> TransportKind {
        Self::transport(self)
    }

    fn sid(&self) -> Option<Id> {
        Some(self.sid)
    }

    fn subprotocol(&self) -> Option<&str> {
        Self::subprotocol(self)
    }
}
