//! The deadlines of a session, as the timer wheel asks for them: heartbeat, connect timeout, idle timeout.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gatewire_proto::engineio::{self, CloseReason, Protocol, Timeout};
use gatewire_proto::websocket::CloseCode;

use super::Outbox;
use crate::dialect::Dialect;
use crate::faults::Fault;
use crate::timer::Timed;

impl Timed for Outbox {
    fn on_time(&self, now: Instant, lapse: Option<Duration>) -> Option<Instant> {
        let mut state = self.lock();
        if state.closing.is_some() {
            return None;
        }
        if let Some(lapse) = lapse {
            state.session.resume(now);
            state.deadline += lapse;
        }
        if !self.is_joined() && state.deadline <= now {
            tracing::debug!(sid = %self.sid, "the client joined no namespace within the connect timeout");
            self.fault(Fault::NotJoined);
            self.begin_close_locked(&mut state, CloseReason::ForcedClose);
            return None;
        }
        if self.stalled.load(Ordering::Relaxed) {
            // The client's heartbeat may lie unread in the kernel: it is the server that keeps the client waiting. An
            // error would be a closed session, which was ruled out above.
            match self.dialect.protocol() {
                Protocol::V4 if !state.session.is_awaiting_pong() => {}
                Protocol::V4 => drop(state.session.receive(engineio::Packet::Pong(""), now)),
                Protocol::V3 => drop(state.session.receive(engineio::Packet::Ping(""), now)),
            }
        }
        match state.session.handle_timeout(now) {
            Some(Timeout::SendPing) if self.dialect == Dialect::Sse => self.beat_locked(&mut state, now),
            Some(Timeout::SendPing) if self.dialect.is_plain() => self.send_ping_locked(&mut state),
            Some(Timeout::SendPing) => self.send_packet_locked(&mut state, b"2"),
            Some(Timeout::PingTimeout) if self.dialect.is_plain() => {
                let reason = "no pong came within the ping timeout";
                self.close_locked(&mut state, CloseReason::PingTimeout, CloseCode::INTERNAL, reason);
                return None;
            }
            Some(Timeout::PingTimeout) => {
                self.begin_close_locked(&mut state, CloseReason::PingTimeout);
                return None;
            }
            // The probing task has the stream and gives up by the same timeout.
            Some(_) | None => {}
        }
        self.awaiting_pong
            .store(state.session.is_awaiting_pong(), Ordering::Relaxed);
        let heartbeat = state.session.poll_timeout();
        let connect = (!self.is_joined()).then_some(state.deadline);
        let idle = self.idle_deadline(&mut state, now);
        heartbeat.into_iter().chain(connect).chain(idle).min()
    }
}
