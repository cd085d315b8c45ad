//! What may wait for one client: when those who can send later are asked to, how much is too much, and what then.
//!
//! Each session may keep [`HIGH_WATER`] bytes. What is above is granted in steps, so that the common case is one
//! comparison, and a server that has a bound for all sessions together need not count each message.

use std::sync::atomic::Ordering;

use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket;

use super::{Lane, Outbox, State};
use crate::config::Limits;
use crate::dialect::Dialect;
use crate::faults::Fault;
use crate::slow_consumer::SlowConsumer;

/// Bytes that wait for a client before those who can send later are asked to.
pub(super) const HIGH_WATER: usize = 64 * 1024;

/// Bytes by which a session's grant grows.
const GRANT: usize = 64 * 1024;

/// What a Close frame says to a client that is too slow.
const TOO_SLOW: &str = "the client does not take its messages";

/// What a session has without being granted it.
pub(super) fn free_grant(limits: &Limits) -> usize {
    HIGH_WATER.min(limits.max_outbox)
}

impl Outbox {
    #[inline]
    pub(super) fn check_bound(&self, state: &mut State) {
        let waiting = state.lane.len();
        if waiting > state.granted {
            self.grow(state, waiting);
        }
    }

    #[cold]
    fn grow(&self, state: &mut State, waiting: usize) {
        let waiting = match self.spill(state) {
            true => state.lane.len(),
            false => waiting,
        };
        if waiting <= state.granted || state.closing.is_some() {
            return;
        }
        let limits = &self.rules.limits;
        if waiting > limits.max_outbox {
            return self.give_up(state, waiting, "max_outbox");
        }
        let granted = waiting.next_multiple_of(GRANT).min(limits.max_outbox);
        let total = limits.max_outbox_total.unwrap_or(usize::MAX);
        if !self.rules.budget.take(granted - state.granted, total) {
            return self.give_up(state, waiting, "max_outbox_total");
        }
        state.granted = granted;
    }

    /// Closes a connection for which too much waits: what has not begun to leave is dropped.
    fn give_up(&self, state: &mut State, waiting: usize, limit: &str) {
        if state.closing.is_some() {
            return;
        }
        self.fault(Fault::Unread);
        if let Some(meter) = self.rules.meter.get() {
            meter.dropped(waiting);
        }
        tracing::warn!(sid = %self.sid, waiting, limit, "the client does not take its messages: the connection is closed");
        match &mut state.lane {
            Lane::WebSocket(lane) => lane.queue.keep_begun(),
            Lane::Body(lane) => lane.clear(),
            Lane::Polling(lane) => drop(lane.drain()),
            Lane::Closed => {}
        }
        if self.dialect != Dialect::Sse {
            let code = self.rules.limits.slow_consumer.close_code();
            self.seal_locked(state, &websocket::close_frame(Some(code), TOO_SLOW));
        }
        self.begin_close_locked(state, CloseReason::TransportError);
        self.note_taken(state);
    }

    /// Bytes that wait for the client to take them.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().lane.len()
    }

    /// Notes that less may wait now: gives back what was granted, and wakes the driver if somebody waits for room.
    pub(crate) fn note_taken(&self, state: &mut State) {
        let waiting = state.lane.len();
        if waiting >= self.room() {
            return;
        }
        let free = free_grant(&self.rules.limits);
        if state.granted > free {
            self.rules.budget.give_back(state.granted - free);
            state.granted = free;
        }
        if state.dropped > 0 {
            let dropped = std::mem::take(&mut state.dropped);
            tracing::info!(sid = %self.sid, dropped, "the client takes its messages again");
        }
        if self.crowded.load(Ordering::Relaxed) && self.crowded.swap(false, Ordering::AcqRel) {
            self.driver.wake();
        }
    }

    /// Bytes that may wait before those who ask are told to send no more for now.
    pub(super) fn room(&self) -> usize {
        HIGH_WATER.min(self.rules.limits.max_outbox / 2).max(1)
    }

    pub(super) fn is_lossy(&self) -> bool {
        self.rules.limits.slow_consumer == SlowConsumer::DropEvents
    }

    /// Whether an event is to be dropped, of a connection that [is lossy](Self::is_lossy).
    pub(super) fn drops_event(&self) -> bool {
        let mut state = self.lock();
        let waiting = state.lane.len();
        if waiting <= self.rules.limits.max_outbox / 2 || state.closing.is_some() {
            return false;
        }
        self.fault(Fault::Dropped);
        if state.dropped == 0 {
            tracing::warn!(sid = %self.sid, waiting, "the client does not take its messages: events for it are dropped");
        }
        state.dropped = state.dropped.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests;
