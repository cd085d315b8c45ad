//! A WebSocket whose handshake is being answered: its session is there already, and what is sent to it waits for the stream.

use std::net::Shutdown;
use std::sync::Arc;
use std::time::Instant;

use gatewire_hub::Id;
use gatewire_proto::engineio::{CloseReason, TransportKind};
use gatewire_proto::websocket::Deflate;

use super::lane::SocketLane;
use super::{Lane, Outbox};
use crate::dialect::Dialect;
use crate::rules::Rules;
use crate::takeover::Taken;
use crate::transport::websocket::Handover;

/// The stream that an outbox waits for: if it is dropped, there will be none, and the session ends.
pub(crate) struct Opening(Arc<Outbox>);

impl Outbox {
    /// The outbox of a WebSocket that is being opened, with what was agreed on about compression.
    pub(crate) fn opening(
        sid: Id,
        dialect: Dialect,
        rules: &Arc<Rules>,
        deflate: Option<Deflate>,
        now: Instant,
    ) -> (Arc<Self>, Opening) {
        let mut lane = SocketLane::new(deflate);
        lane.blocked = true;
        let outbox = Self::new(
            sid,
            dialect,
            rules,
            TransportKind::WebSocket,
            Lane::WebSocket(lane),
            now,
        );
        (outbox.clone(), Opening(outbox))
    }

    /// With what the driver is to go on, once.
    pub(crate) fn take_handover(&self) -> Option<Box<Handover>> {
        self.lock().handover.take()
    }
}

impl Opening {
    /// The stream is there: the rest of the handshake goes to it, then what waits.
    pub(crate) fn finish(self, taken: Taken) {
        let Taken { stream, unread, head } = taken;
        let outbox = &self.0;
        let mut state = outbox.lock();
        let Lane::WebSocket(lane) = &mut state.lane else {
            // The session has ended meanwhile.
            return stream.shutdown(Shutdown::Both);
        };
        lane.blocked = false;
        lane.queue.push_front(head);
        let decoder = outbox.rules.decoder(lane.deflate);
        // It has none yet.
        let _ = outbox.stream.set(stream);
        state.handover = Some(Box::new(Handover {
            decoder,
            unread,
            inbox: None,
        }));
        outbox.flush_locked(&mut state);
        drop(state);
        outbox.driver.wake();
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if self.0.stream().is_none() {
            let mut state = self.0.lock();
            state.lane = Lane::Closed;
            self.0.begin_close_locked(&mut state, CloseReason::TransportClose);
            drop(state);
            self.0.driver.wake();
        }
    }
}
