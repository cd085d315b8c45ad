//! The way out for packets and frames: at once if nothing waits before them, else behind what waits. What is worth it is
//! compressed before the lock is taken.

use std::io::IoSlice;

use bytes::Bytes;
use gatewire_hub::Message;
use gatewire_proto::websocket::{self, Deflate, DeflateOptions, Opcode};

use super::lane::{Frame, SocketLane};
use super::{Lane, Outbox, State};
use crate::cork;

impl Outbox {
    /// Sends one Engine.IO text packet, type digit included.
    pub(crate) fn send_packet(&self, text: &[u8]) {
        if self.send_deflated(Opcode::Text, text) {
            return;
        }
        let mut state = self.lock();
        self.send_packet_locked(&mut state, text);
    }

    pub(super) fn send_packet_locked(&self, state: &mut State, text: &[u8]) {
        match &state.lane {
            Lane::WebSocket(_) => {
                let mut frame = Vec::with_capacity(text.len() + websocket::MAX_HEADER);
                websocket::put_frame(&mut frame, Opcode::Text, text);
                self.send_frame(state, &Frame::Own(&frame));
            }
            Lane::Polling(_) => self.send_poll(state, [Message::Text(Bytes::copy_from_slice(text))], true),
            Lane::Body(_) | Lane::Closed => {}
        }
    }

    /// Sends one binary message.
    pub(crate) fn send_binary(&self, data: &[u8]) {
        if self.dialect.has_bare_bytes() && self.send_deflated(Opcode::Binary, data) {
            return;
        }
        let mut state = self.lock();
        match &state.lane {
            Lane::WebSocket(_) => {
                let mut frame = Vec::new();
                self.dialect.put_binary_frame(&mut frame, data);
                self.send_frame(&mut state, &Frame::Own(&frame));
            }
            Lane::Polling(_) => {
                self.send_poll(&mut state, [Message::Binary(Bytes::copy_from_slice(data))], true);
            }
            Lane::Body(_) | Lane::Closed => {}
        }
    }

    /// What was agreed on about compression, if the session is on a WebSocket and `bytes` are worth it. If not, not even
    /// the lock is taken.
    #[inline]
    pub(super) fn deflate(&self, bytes: usize) -> Option<(&DeflateOptions, Deflate)> {
        let options = self.rules.per_message_deflate.as_ref()?;
        if bytes < options.threshold {
            return None;
        }
        match &self.lock().lane {
            Lane::WebSocket(lane) => Some((options, lane.deflate?)),
            Lane::Polling(_) | Lane::Body(_) | Lane::Closed => None,
        }
    }

    /// Sends a message for this connection alone compressed, if that was agreed on and is worth it; false if nothing was
    /// sent. The lock is not held meanwhile, so that no broadcast waits for it.
    #[inline]
    pub(super) fn send_deflated(&self, opcode: Opcode, message: &[u8]) -> bool {
        match self.deflate(message.len()) {
            Some((options, deflate)) => self.deflate_and_send(opcode, message, options, deflate),
            None => false,
        }
    }

    #[cold]
    fn deflate_and_send(
        &self,
        opcode: Opcode,
        message: &[u8],
        options: &DeflateOptions,
        deflate: Deflate,
    ) -> bool {
        let bits = deflate.server_window_bits();
        let mut frame = Vec::new();
        let is_shorter = websocket::put_deflated_frame(&mut frame, opcode, message, bits, options.level);
        if is_shorter {
            self.send_frame(&mut self.lock(), &Frame::Own(&frame));
        }
        is_shorter
    }

    /// Queues a control frame of the WebSocket layer (a pong).
    pub(crate) fn send_control(&self, frame: &[u8]) {
        self.send_frame(&mut self.lock(), &Frame::Own(frame));
    }

    /// Queues the Close frame behind what waits; what is sent later is dropped.
    pub(crate) fn seal(&self, close_frame: &[u8]) {
        self.seal_locked(&mut self.lock(), close_frame);
    }

    /// As [`seal`](Self::seal), of a client that has closed already: if nothing waits, the Close frame leaves when the stream
    /// is [shut](Self::shut), in one segment with its end.
    pub(crate) fn seal_at_end(&self, close_frame: Vec<u8>) {
        let mut state = self.lock();
        match &mut state.lane {
            Lane::WebSocket(lane) if lane.queue.is_empty() && !lane.blocked && !lane.sealed => {
                lane.last_words = close_frame;
                lane.sealed = true;
            }
            _ => self.seal_locked(&mut state, &close_frame),
        }
    }

    pub(super) fn seal_locked(&self, state: &mut State, close_frame: &[u8]) {
        if let Lane::WebSocket(lane) = &mut state.lane
            && !lane.sealed
        {
            lane.queue.push_copy(close_frame);
            lane.sealed = true;
            self.flush_locked(state);
        }
    }

    pub(super) fn send_frame(&self, state: &mut State, frame: &Frame<'_>) {
        if state.closing.is_some() {
            return;
        }
        let Lane::WebSocket(lane) = &mut state.lane else {
            return;
        };
        if cork::is_in() {
            frame.push_rest(0, &mut lane.queue);
            self.touch(lane);
        } else if lane.queue.is_empty() && !lane.blocked {
            let written = match self.try_write(&[IoSlice::new(frame.bytes())]) {
                Ok(written) => written,
                Err(reason) => return self.begin_close_locked(state, reason),
            };
            if written < frame.bytes().len() {
                frame.push_rest(written, &mut lane.queue);
                self.set_blocked(lane);
            } else if self.is_unflushed() {
                self.set_blocked(lane);
            }
        } else {
            frame.push_rest(0, &mut lane.queue);
        }
        self.check_bound(state);
    }

    /// Sends frames that lie in several pieces, which others may share.
    pub(super) fn send_pieces(&self, state: &mut State, pieces: &[Bytes]) {
        if state.closing.is_some() {
            return;
        }
        let Lane::WebSocket(lane) = &mut state.lane else {
            return;
        };
        for piece in pieces {
            lane.queue.push_shared(piece.clone());
        }
        if cork::is_in() {
            self.touch(lane);
        } else {
            self.flush_locked(state);
        }
        self.check_bound(state);
    }

    /// Has what is queued flushed when the cork of the thread comes out.
    fn touch(&self, lane: &mut SocketLane) {
        if !lane.corked
            && let Some(me) = self.me.upgrade()
        {
            lane.corked = true;
            cork::touch(me);
        }
    }

    /// Queues packets for the next poll, and answers a poll that waits unless a cork is in.
    pub(crate) fn send_poll(
        &self,
        state: &mut State,
        packets: impl IntoIterator<Item = Message>,
        is_compressible: bool,
    ) {
        if state.closing.is_some() {
            return;
        }
        let Lane::Polling(lane) = &mut state.lane else {
            return;
        };
        lane.push(packets);
        lane.is_compressible |= is_compressible;
        if !cork::is_in() {
            lane.flush();
        } else if !lane.corked
            && let Some(me) = self.me.upgrade()
        {
            lane.corked = true;
            cork::touch(me);
        }
        self.check_bound(state);
    }
}
