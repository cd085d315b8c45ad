//! From polling to a WebSocket: the session stays, and what waits for a poll becomes frames.

use gatewire_hub::Message;
use gatewire_proto::websocket::{self, Deflate, Opcode};

use super::lane::SocketLane;
use super::{Lane, Outbox, State};
use crate::stream::Stream;
use crate::transport::polling::Inbox;
use crate::transport::websocket::Handover;

impl State {
    /// The body of a POST that the driver has not begun with.
    pub(crate) fn take_inbox(&mut self) -> Option<Inbox> {
        match &mut self.lane {
            Lane::Polling(lane) => lane.take_inbox(),
            Lane::WebSocket(_) | Lane::Body(_) | Lane::Closed => self.handover.as_mut()?.inbox.take(),
        }
    }
}

impl Outbox {
    /// Moves the session from polling to `stream`: what waits for a poll becomes frames, in order.
    pub(crate) fn switch_to_websocket(
        &self,
        state: &mut State,
        stream: Stream,
        deflate: Option<Deflate>,
        mut handover: Handover,
    ) {
        if self.stream.set(stream).is_err() {
            return;
        }
        let mut socket = SocketLane::new(deflate);
        if let Lane::Polling(mut polling) = std::mem::replace(&mut state.lane, Lane::Closed) {
            polling.release();
            handover.inbox = polling.take_inbox();
            for packet in polling.drain() {
                let mut frame = Vec::new();
                match &packet {
                    Message::Text(text) => websocket::put_frame(&mut frame, Opcode::Text, text),
                    Message::Binary(data) => self.dialect.put_binary_frame(&mut frame, data),
                }
                socket.queue.push_copy(&frame);
            }
        }
        state.lane = Lane::WebSocket(socket);
        state.handover = Some(Box::new(handover));
        self.flush_locked(state);
        self.driver.wake();
    }
}
