//! The shared side of one session: the way out (straight to the socket, or a queue for the next poll), the heartbeat,
//! and the wish to close. Any thread may send; only what the kernel does not take at once waits, and only then is the
//! driver woken. The outbox reads nothing and runs no handler: that is the driver's work.

mod deadlines;
mod hub;
mod plain;
mod sse;
#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use gatewire_hub::meter::Stamp;
use gatewire_hub::{Id, Message};
use gatewire_proto::engineio::{self, CloseReason, Protocol, TransportKind};
use gatewire_proto::websocket::{self, Deflate, DeflateOptions, Opcode};

use crate::clock;
use crate::cork;
use crate::dialect::Dialect;
use crate::faults::Fault;
use crate::queue::{MAX_SLICES, WriteQueue};
use crate::rules::Rules;
use crate::stream::Stream;
use crate::transport::polling::{Inbox, PollLane};
use crate::transport::sse::BodyLane;
use crate::transport::websocket::Handover;

/// Bytes that wait for a client before those who can send later are asked to.
const HIGH_WATER: usize = 64 * 1024;

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
    /// When the client must have joined a namespace; on a plain WebSocket, when the next message must have come.
    deadline: Instant,
}

impl State {
    /// The body of a POST that the driver has not begun with.
    pub(crate) fn take_inbox(&mut self) -> Option<Inbox> {
        match &mut self.lane {
            Lane::Polling(lane) => lane.take_inbox(),
            Lane::WebSocket(_) | Lane::Body(_) | Lane::Closed => self.handover.as_mut()?.inbox.take(),
        }
    }
}

/// Where packets of the server go.
pub(crate) enum Lane {
    Polling(Box<PollLane>),
    /// A WebSocket, or a connection that carries a stream of events: bytes go out as they are.
    WebSocket(SocketLane),
    /// A stream of events in a body that an HTTP server carries.
    Body(Box<BodyLane>),
    Closed,
}

impl Lane {
    /// Bytes that wait for the client to take them.
    fn len(&self) -> usize {
        match self {
            Self::WebSocket(lane) => lane.queue.len(),
            Self::Polling(lane) => lane.len(),
            Self::Body(lane) => lane.len(),
            Self::Closed => 0,
        }
    }
}

#[derive(Default)]
pub(crate) struct SocketLane {
    queue: WriteQueue,
    /// Noted in some thread's cork, which will flush it.
    corked: bool,
    /// The last write was not taken whole.
    blocked: bool,
    /// Since when, if anybody wants figures.
    blocked_since: Option<Stamp>,
    /// The Close frame is queued: nothing may follow it.
    sealed: bool,
    /// What was agreed on with the client about compression.
    deflate: Option<Deflate>,
}

impl SocketLane {
    fn new(deflate: Option<Deflate>) -> Self {
        Self {
            deflate,
            ..Self::default()
        }
    }
}

/// A WebSocket frame to be sent: one that others share, or one for this socket alone.
enum Frame<'a> {
    Shared(&'a Bytes),
    Own(&'a [u8]),
}

impl Frame<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }

    fn push_rest(&self, written: usize, queue: &mut WriteQueue) {
        match self {
            Self::Shared(bytes) => queue.push_shared(bytes.slice(written..)),
            Self::Own(bytes) => queue.push_copy(&bytes[written..]),
        }
    }
}

impl Outbox {
    pub(crate) fn polling(sid: Id, dialect: Dialect, rules: &Arc<Rules>, now: Instant) -> Arc<Self> {
        let lane = Lane::Polling(Box::new(PollLane::new(dialect)));
        Self::new(sid, dialect, rules, TransportKind::Polling, lane, now)
    }

    pub(crate) fn websocket(
        sid: Id,
        dialect: Dialect,
        rules: &Arc<Rules>,
        stream: Stream,
        deflate: Option<Deflate>,
        now: Instant,
    ) -> Arc<Self> {
        let lane = Lane::WebSocket(SocketLane::new(deflate));
        let outbox = Self::new(sid, dialect, rules, TransportKind::WebSocket, lane, now);
        // A fresh cell takes the first value it is given.
        let _ = outbox.stream.set(stream);
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
        } else if self.stream.get().is_some() {
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

    /// Sends one Engine.IO text packet, type digit included.
    pub(crate) fn send_packet(&self, text: &[u8]) {
        if self.send_deflated(Opcode::Text, text) {
            return;
        }
        let mut state = self.lock();
        self.send_packet_locked(&mut state, text);
    }

    fn send_packet_locked(&self, state: &mut State, text: &[u8]) {
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
    fn deflate(&self, bytes: usize) -> Option<(&DeflateOptions, Deflate)> {
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
    fn send_deflated(&self, opcode: Opcode, message: &[u8]) -> bool {
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

    fn seal_locked(&self, state: &mut State, close_frame: &[u8]) {
        if let Lane::WebSocket(lane) = &mut state.lane
            && !lane.sealed
        {
            lane.queue.push_copy(close_frame);
            lane.sealed = true;
            self.flush_locked(state);
        }
    }

    fn send_frame(&self, state: &mut State, frame: &Frame<'_>) {
        if state.closing.is_some() {
            return;
        }
        let Lane::WebSocket(lane) = &mut state.lane else {
            return;
        };
        if cork::is_in() {
            frame.push_rest(0, &mut lane.queue);
            if !lane.corked
                && let Some(me) = self.me.upgrade()
            {
                lane.corked = true;
                cork::touch(me);
            }
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

    #[inline]
    fn check_bound(&self, state: &mut State) {
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
    fn room(&self) -> usize {
        HIGH_WATER.min(self.rules.limits.max_outbox / 2).max(1)
    }

    /// Writes what waits, as far as it is taken; what is not makes the driver wait for writability.
    pub(crate) fn flush(&self) {
        self.flush_locked(&mut self.lock());
    }

    fn flush_locked(&self, state: &mut State) {
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

    fn is_unflushed(&self) -> bool {
        self.stream.get().is_some_and(Stream::is_unflushed)
    }

    fn set_blocked(&self, lane: &mut SocketLane) {
        lane.blocked = true;
        lane.blocked_since = self.rules.meter.get().map(|_| Stamp::now());
        self.blocked.store(true, Ordering::Release);
        self.driver.wake();
    }

    /// Bytes taken at once; 0 if the kernel takes none.
    fn try_write(&self, slices: &[IoSlice<'_>]) -> Result<usize, CloseReason> {
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

    /// Nothing goes out any more: open requests are answered, the stream is shut down.
    pub(crate) fn shut(&self) {
        let mut state = self.lock();
        state.lane = Lane::Closed;
        self.closing.store(true, Ordering::Release);
        if let Some(stream) = self.stream.get() {
            stream.shutdown(Shutdown::Both);
        }
    }

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
