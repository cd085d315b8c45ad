//! What only a stream of events has: chunks, heartbeats that nobody answers, and the last words of a server that shuts
//! down.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gatewire_proto::engineio::{CloseReason, Packet};
use gatewire_proto::sse::{self, CHUNK_ROOM, PREAMBLE, SseEvent};

use super::lane::{Frame, SocketLane};
use super::{Lane, Outbox, State};
use crate::stream::Stream;

/// A comment without words.
const HEARTBEAT: &[u8] = b"3\r\n:\n\n\r\n";

impl Outbox {
    /// Commits the stream.
    pub(crate) fn begin_events(&self) {
        let mut chunk = Vec::new();
        sse::put_chunk(&mut chunk, PREAMBLE);
        self.send_chunk(&mut self.lock(), chunk.into());
    }

    /// Sends an event to this client alone.
    pub(crate) fn send_event(&self, event: &SseEvent) {
        let chunk = chunk(event);
        self.count_sent(|| (1, chunk.len()));
        let mut state = self.lock();
        match &state.lane {
            Lane::Body(_) => self.send_chunk(&mut state, chunk.into()),
            _ => self.send_frame(&mut state, &Frame::Own(&chunk)),
        }
    }

    pub(super) fn send_chunk(&self, state: &mut State, chunk: Bytes) {
        if state.closing.is_some() {
            return;
        }
        if let Lane::Body(lane) = &mut state.lane {
            lane.push(chunk);
            self.check_bound(state);
        }
    }

    /// Sends a heartbeat, and takes the answer for given.
    pub(super) fn beat_locked(&self, state: &mut State, now: Instant) {
        match &state.lane {
            Lane::Body(_) => self.send_chunk(state, Bytes::from_static(HEARTBEAT)),
            _ => self.send_frame(state, &Frame::Own(HEARTBEAT)),
        }
        // An error would be a session that is closed.
        let _ = state.session.receive(Packet::Pong(""), now);
    }

    /// Ends the body behind what waits. A client of a server that shuts down is told when to come back.
    pub(crate) fn end_events(&self, reason: CloseReason) {
        let mut last = Vec::new();
        if reason == CloseReason::ServerShuttingDown
            && let Some(wait) = self.retry_hint()
        {
            last = chunk(&SseEvent::new().retry(wait));
        }
        let mut state = self.lock();
        if let Lane::Body(lane) = &mut state.lane {
            lane.push(last.into());
            lane.end();
            return;
        }
        last.extend_from_slice(sse::LAST_CHUNK);
        self.seal_locked(&mut state, &last);
    }

    /// Somewhere between the shortest and the longest time, another for each client: they are not to come all at once.
    fn retry_hint(&self) -> Option<Duration> {
        let range = self.rules.retry.as_ref()?;
        let spread = range.end().saturating_sub(*range.start());
        // The id is random.
        let seed = self.sid.as_str().bytes().fold(0_u32, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u32::from(byte))
        });
        Some(*range.start() + spread.mul_f64(f64::from(seed) / f64::from(u32::MAX)))
    }

    /// From now on the stream of events goes to `stream`: the head of the response, what waits, and all that follows.
    pub(crate) fn attach(&self, stream: Stream, head: &[u8]) {
        let mut state = self.lock();
        if !matches!(state.lane, Lane::Body(_)) {
            return stream.shutdown(Shutdown::Both);
        }
        if let Err(stream) = self.stream.set(stream) {
            return stream.shutdown(Shutdown::Both);
        }
        let mut socket = SocketLane::default();
        socket.queue.push_copy(head);
        if let Lane::Body(lane) = std::mem::replace(&mut state.lane, Lane::Closed) {
            let (chunks, is_ended) = lane.into_parts();
            chunks
                .into_iter()
                .for_each(|chunk| socket.queue.push_shared(chunk));
            if is_ended {
                socket.queue.push_copy(sse::LAST_CHUNK);
                socket.sealed = true;
            }
        }
        state.lane = Lane::WebSocket(socket);
        self.flush_locked(&mut state);
        self.driver.wake();
    }
}

/// An event as one chunk.
fn chunk(event: &SseEvent) -> Vec<u8> {
    let mut buffer = vec![0; CHUNK_ROOM];
    event.encode(&mut buffer);
    let start = sse::seal_chunk(&mut buffer);
    buffer.drain(..start);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_a_chunk_with_a_comment() {
        assert_eq!(chunk(&SseEvent::only_comment("x")), b"5\r\n: x\n\n\r\n");
        assert_eq!(sse::unchunk(&Bytes::from_static(HEARTBEAT)), &b":\n\n"[..]);
    }
}
