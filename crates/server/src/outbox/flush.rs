//! Writing out what waits: by whoever sends, as far as the kernel takes it, and by the driver for the rest.

use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use gatewire_hub::meter::Stamp;
use gatewire_proto::engineio::CloseReason;

use super::lane::SocketLane;
use super::{Lane, Outbox, State};
use crate::queue::{MAX_SLICES, WriteQueue};
use crate::stream::Stream;

/// Bytes that are written for one client in a row: the thread and the lock are wanted for others, and a client that takes
/// up what it has missed may take it as fast as it is written.
const FAIR_SHARE: usize = 2 << 20;

impl Outbox {
    /// Writes what waits, as far as it is taken; what is not makes the driver wait for writability.
    pub(crate) fn flush(&self) {
        self.flush_locked(&mut self.lock());
    }

    pub(super) fn flush_locked(&self, state: &mut State) {
        match &mut state.lane {
            Lane::Polling(lane) => {
                lane.corked = false;
                lane.flush();
            }
            Lane::WebSocket(lane) => {
                lane.corked = false;
                if lane.blocked {
                    return;
                }
                if let Err(reason) = self.write_queue(lane) {
                    lane.queue.clear();
                    self.begin_close_locked(state, reason);
                }
            }
            Lane::Body(_) | Lane::Closed => return,
        }
        self.note_taken(state);
    }

    /// Offers the client what a cork holds back, before it is too much for that: false if there is nothing of the kind. So a
    /// handler may send any amount to who takes it, and finds out in time that somebody does not.
    pub(super) fn spill(&self, state: &mut State) -> bool {
        match &mut state.lane {
            Lane::Polling(lane) if lane.corked => lane.flush(),
            Lane::WebSocket(lane) if lane.corked && !lane.blocked => {
                if let Err(reason) = self.write_queue(lane) {
                    lane.queue.clear();
                    self.begin_close_locked(state, reason);
                }
            }
            _ => return false,
        }
        true
    }

    fn write_queue(&self, lane: &mut SocketLane) -> Result<(), CloseReason> {
        let mut share = FAIR_SHARE;
        while !lane.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let (count, offered) = lane.queue.slices(&mut slices, share);
            let written = self.try_write(&slices[..count])?;
            lane.queue.advance(written);
            share -= written;
            if written < offered || (share == 0 && !lane.queue.is_empty()) {
                self.set_blocked(lane);
                break;
            }
        }
        if !lane.blocked && self.is_unflushed() {
            self.set_blocked(lane);
        }
        Ok(())
    }

    pub(super) fn is_unflushed(&self) -> bool {
        self.stream.get().is_some_and(Stream::is_unflushed)
    }

    /// The time of the wait begins once, however often it is found out that the kernel takes nothing.
    pub(super) fn set_blocked(&self, lane: &mut SocketLane) {
        if !lane.blocked {
            lane.blocked = true;
            lane.blocked_since = self.rules.meter.get().map(|_| Stamp::now());
        }
        self.blocked.store(true, Ordering::Release);
        self.driver.wake();
    }

    /// Bytes taken at once; 0 if the kernel takes none.
    pub(super) fn try_write(&self, slices: &[IoSlice<'_>]) -> Result<usize, CloseReason> {
        let Some(stream) = self.stream.get() else {
            return Err(CloseReason::TransportError);
        };
        loop {
            match stream.try_write(slices) {
                Ok(written) => return Ok(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::debug!(sid = %self.sid, %error, "writing to the client failed");
                    return Err(CloseReason::TransportClose);
                }
            }
        }
    }

    /// For the driver: goes on writing what was not taken. Ready when nothing waits any more.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.blocked.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        let mut state = self.lock();
        let Lane::WebSocket(lane) = &mut state.lane else {
            return Poll::Ready(());
        };
        let Some(stream) = self.stream.get() else {
            return Poll::Ready(());
        };
        let written_out = poll_write_out(stream, &mut lane.queue, cx);
        if written_out.is_ready() {
            lane.blocked = false;
            if let (Some(since), Some(meter)) = (lane.blocked_since.take(), self.rules.meter.get()) {
                meter.waited(since);
            }
        }
        if let Poll::Ready(Err(error)) = &written_out {
            tracing::debug!(sid = %self.sid, %error, "writing to the client failed");
            lane.queue.clear();
            self.begin_close_locked(&mut state, CloseReason::TransportClose);
        }
        self.note_taken(&mut state);
        if written_out.is_pending() {
            return Poll::Pending;
        }
        self.blocked.store(false, Ordering::Release);
        Poll::Ready(())
    }
}

/// Writes all of `queue`, and has it leave; not more than [`FAIR_SHARE`] before others get their turn.
fn poll_write_out(stream: &Stream, queue: &mut WriteQueue, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut share = FAIR_SHARE;
    while !queue.is_empty() {
        if share == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let (count, _) = queue.slices(&mut slices, share);
        let written = ready!(stream.poll_write(cx, &slices[..count]))?;
        queue.advance(written);
        share -= written;
    }
    stream.poll_flush(cx)
}
