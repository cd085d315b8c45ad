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
                self.tell_room(lane.len());
            }
            Lane::WebSocket(lane) => {
                lane.corked = false;
                if lane.blocked {
                    return;
                }
                match self.write_queue(lane) {
                    Ok(()) => self.tell_room(lane.queue.len()),
                    Err(reason) => {
                        lane.queue.clear();
                        self.begin_close_locked(state, reason);
                    }
                }
            }
            Lane::Body(_) | Lane::Closed => {}
        }
    }

    fn write_queue(&self, lane: &mut SocketLane) -> Result<(), CloseReason> {
        while !lane.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = lane.queue.slices(&mut slices);
            let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            let written = self.try_write(&slices[..count])?;
            lane.queue.advance(written);
            if written < offered {
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

    pub(super) fn set_blocked(&self, lane: &mut SocketLane) {
        lane.blocked = true;
        lane.blocked_since = self.rules.meter.get().map(|_| Stamp::now());
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
        if let Err(error) = ready!(poll_write_out(stream, &mut lane.queue, cx)) {
            tracing::debug!(sid = %self.sid, %error, "writing to the client failed");
            lane.queue.clear();
            self.begin_close_locked(&mut state, CloseReason::TransportClose);
        }
        if let Lane::WebSocket(lane) = &mut state.lane {
            lane.blocked = false;
            if let (Some(since), Some(meter)) = (lane.blocked_since.take(), self.rules.meter.get()) {
                meter.waited(since);
            }
        }
        self.blocked.store(false, Ordering::Release);
        self.tell_room(0);
        Poll::Ready(())
    }
}

/// Writes all of `queue`, and has it leave.
fn poll_write_out(stream: &Stream, queue: &mut WriteQueue, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    while !queue.is_empty() {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let count = queue.slices(&mut slices);
        let written = ready!(stream.poll_write(cx, &slices[..count]))?;
        queue.advance(written);
    }
    stream.poll_flush(cx)
}
