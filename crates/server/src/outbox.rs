//! The shared side of one session: the way out (straight to the socket, or a queue for the next poll), the heartbeat,
//! and the wish to close. Any thread may send; only what the kernel does not take at once waits, and only then is the
//! driver woken. The outbox reads nothing and runs no handler: that is the driver's work.

mod bound;
mod deadlines;
mod flush;
mod hub;
mod lane;
mod opening;
mod plain;
mod send;
mod sse;
#[cfg(test)]
mod tests;
mod upgrade;

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use atomic_waker::AtomicWaker;
use gatewire_hub::Id;
use gatewire_proto::engineio::{self, CloseReason, Protocol, TransportKind};
use gatewire_proto::websocket::Deflate;

use self::lane::{Frame, SocketLane};
use crate::clock;
use crate::dialect::Dialect;
use crate::faults::Fault;
use crate::rules::Rules;
use crate::stream::Stream;
use crate::transport::polling::PollLane;
use crate::transport::websocket::Handover;

pub(crate) use self::lane::Lane;

/// What the driver, the HTTP requests, the senders and the timer of one session share.
pub(crate) struct Outbox {
    me: Weak<Self>,
    pub(crate) sid: Id,
    pub(crate) dialect: Dialect,
    pub(crate) rules: Arc<Rules>,
    /// The driver's task.
    pub(crate) driver: AtomicWaker,
    /// Mirrors `State::closing.is_some()`, for a look without the lock.
    closing: AtomicBool,
    /// To be closed as soon as nothing runs that may still send something.
    draining: AtomicBool,
    /// The kernel did not take everything: the driver must wait for writability.
    blocked: AtomicBool,
    /// Somebody was told that there is no room: the driver must hear of it when there is.
    crowded: AtomicBool,
    /// A ping is unanswered: any packet of the client must be told to the heartbeat.
    awaiting_pong: AtomicBool,
    joined: AtomicBool,
    /// The upper layer takes no more for now, so the client's pongs are not read.
    stalled: AtomicBool,
    /// A message has come since the timer asked last. Kept only on a plain WebSocket with an idle timeout.
    heard: AtomicBool,
    /// Set when the session is on WebSocket, once and for all.
    stream: OnceLock<Stream>,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) session: engineio::Session,
    pub(crate) lane: Lane,
    pub(crate) closing: Option<CloseReason>,
    pub(crate) handover: Option<Box<Handover>>,
    /// Bytes that may wait before more is to be granted.
    granted: usize,
    /// Events that were dropped since the client takes too little.
    dropped: u32,
    /// When the client must have joined a namespace; on a plain WebSocket, when the next message must have come.
    deadline: Instant,
}

impl Outbox {
    pub(crate) fn polling(sid: Id, dialect: Dialect, rules: &Arc<Rules>, now: Instant) -> Arc<Self> {
        let lane = Lane::Polling(Box::new(PollLane::new(dialect)));
        Self::new(sid, dialect, rules, TransportKind::Polling, lane, now)
    }

    /// `head` goes before all frames: it is the rest of the handshake.
    pub(crate) fn websocket(
        sid: Id,
        dialect: Dialect,
        rules: &Arc<Rules>,
        stream: Stream,
        head: &[u8],
        deflate: Option<Deflate>,
        now: Instant,
    ) -> Arc<Self> {
        let lane = Lane::WebSocket(SocketLane::new(deflate));
        let outbox = Self::new(sid, dialect, rules, TransportKind::WebSocket, lane, now);
        // A fresh cell takes the first value it is given.
        let _ = outbox.stream.set(stream);
        if !head.is_empty() {
            outbox.send_frame(&mut outbox.lock(), &Frame::Own(head));
        }
        outbox
    }

    pub(crate) fn events(sid: Id, rules: &Arc<Rules>, now: Instant) -> Arc<Self> {
        // Of the heartbeat's kinds, a WebSocket's.
        let (lane, transport) = (Lane::Body(Box::default()), TransportKind::WebSocket);
        Self::new(sid, Dialect::Sse, rules, transport, lane, now)
    }

    fn new(
        sid: Id,
        dialect: Dialect,
        rules: &Arc<Rules>,
        transport: TransportKind,
        lane: Lane,
        now: Instant,
    ) -> Arc<Self> {
        let open = match dialect.protocol() {
            Protocol::V4 => engineio::Session::open,
            Protocol::V3 => engineio::Session::open_v3,
        };
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            sid,
            dialect,
            rules: rules.clone(),
            driver: AtomicWaker::new(),
            closing: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
            awaiting_pong: AtomicBool::new(false),
            // A plain WebSocket, or a stream of events, has no namespaces to join.
            joined: AtomicBool::new(!dialect.has_packets()),
            stalled: AtomicBool::new(false),
            heard: AtomicBool::new(false),
            stream: OnceLock::new(),
            state: Mutex::new(State {
                session: open(&rules.timing, transport, now),
                lane,
                closing: None,
                handover: None,
                granted: bound::free_grant(&rules.limits),
                dropped: 0,
                deadline: now + rules.idle_timeout.unwrap_or(rules.connect_timeout),
            }),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stream(&self) -> Option<&Stream> {
        self.stream.get()
    }

    pub(crate) fn transport(&self) -> TransportKind {
        if self.dialect == Dialect::Sse {
            TransportKind::Sse
        } else if self.stream.get().is_some() || self.dialect.is_plain() {
            TransportKind::WebSocket
        } else {
            TransportKind::Polling
        }
    }

    /// Whether the heartbeat must hear of every packet right now.
    pub(crate) fn is_awaiting_pong(&self) -> bool {
        self.awaiting_pong.load(Ordering::Relaxed)
    }

    /// Notes that the client has joined a namespace: the connect timeout no longer applies.
    pub(crate) fn set_joined(&self) {
        self.joined.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }

    /// Notes whether the client is being read. While it is not, no pong is missed.
    pub(crate) fn set_stalled(&self, stalled: bool) {
        if self.stalled.load(Ordering::Relaxed) != stalled {
            self.stalled.store(stalled, Ordering::Relaxed);
        }
    }

    /// Whether the session is to end; a look without the lock.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Hands a packet of the client to the heartbeat and the state machine. What is for the layer above comes back.
    pub(crate) fn receive<'a>(
        &self,
        packet: engineio::Packet<'a>,
    ) -> Result<Option<engineio::Packet<'a>>, CloseReason> {
        let mut state = self.lock();
        let received = state.session.receive(packet, clock::now());
        self.awaiting_pong
            .store(state.session.is_awaiting_pong(), Ordering::Relaxed);
        received
    }

    /// Asks for the end of the session as soon as its handlers have ended and their answers are out.
    pub(crate) fn begin_drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.driver.wake();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Counts what the client did wrong.
    pub(crate) fn fault(&self, fault: Fault) {
        self.rules.faults.count(fault);
    }

    /// Asks for the end of the session; the first reason stays. Nothing sent later goes out.
    pub(crate) fn begin_close(&self, reason: CloseReason) {
        self.begin_close_locked(&mut self.lock(), reason);
    }

    pub(crate) fn begin_close_locked(&self, state: &mut State, reason: CloseReason) {
        if state.closing.is_none() {
            state.closing = Some(reason);
            state.session.close();
            self.closing.store(true, Ordering::Release);
            self.driver.wake();
        }
    }

    /// Nothing goes out any more: open requests are answered, the stream is shut down. Later calls do nothing.
    pub(crate) fn shut(&self) {
        if let Some((stream, last_words)) = self.leave() {
            stream.write_last(&last_words);
            stream.shutdown(Shutdown::Both);
        }
    }

    /// As [`shut`](Self::shut), by the last who has the outbox: the stream is closed by being dropped next.
    pub(crate) fn shut_at_end(&self) {
        if let Some((stream, last_words)) = self.leave() {
            stream.write_last(&last_words);
            if !stream.is_closed_by_drop() {
                stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Lets go of what waits. The stream and what is to be written to it come back, if it is not shut down.
    fn leave(&self) -> Option<(&Stream, Vec<u8>)> {
        let mut state = self.lock();
        let lane = std::mem::replace(&mut state.lane, Lane::Closed);
        self.note_taken(&mut state);
        self.closing.store(true, Ordering::Release);
        let last_words = match lane {
            Lane::Closed => return None,
            Lane::WebSocket(lane) => lane.last_words,
            Lane::Polling(_) | Lane::Body(_) => Vec::new(),
        };
        Some((self.stream.get()?, last_words))
    }
}
