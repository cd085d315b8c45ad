//! What may wait for one client: how much is too much, and when those who can send later are asked to.

use std::sync::atomic::Ordering;

use gatewire_proto::engineio::CloseReason;

use super::{Lane, Outbox, State};
use crate::faults::Fault;

/// Bytes that wait for a client before those who can send later are asked to.
pub(super) const HIGH_WATER: usize = 64 * 1024;

impl Outbox {
    #[inline]
    pub(super) fn check_bound(&self, state: &mut State) {
        let waiting = state.lane.len();
        if waiting > self.rules.limits.max_outbox {
            self.give_up(state, waiting);
        }
    }

    #[cold]
    fn give_up(&self, state: &mut State, waiting: usize) {
        self.fault(Fault::Unread);
        if let Some(meter) = self.rules.meter.get() {
            meter.dropped(waiting);
        }
        tracing::warn!(sid = %self.sid, waiting, "the client does not take its messages: more than max_outbox bytes wait, the connection is closed");
        match &mut state.lane {
            Lane::WebSocket(lane) => lane.queue.clear(),
            Lane::Body(lane) => lane.clear(),
            Lane::Polling(_) | Lane::Closed => {}
        }
        self.begin_close_locked(state, CloseReason::TransportError);
    }

    /// Bytes that wait for the client to take them.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().lane.len()
    }

    /// Wakes the driver if `waiting` bytes leave the room that somebody waits for.
    pub(crate) fn tell_room(&self, waiting: usize) {
        if self.crowded.load(Ordering::Relaxed)
            && waiting < self.room()
            && self.crowded.swap(false, Ordering::AcqRel)
        {
            self.driver.wake();
        }
    }

    /// Bytes that may wait before those who ask are told to send no more for now.
    pub(super) fn room(&self) -> usize {
        HIGH_WATER.min(self.rules.limits.max_outbox / 2).max(1)
    }
}
