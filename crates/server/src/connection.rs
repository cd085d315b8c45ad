//! The driver: one task a session, no split halves. Each time it is polled it takes what the client has sent, lets the
//! upper layer go on, and writes what the kernel did not take before. Nothing is held between two polls but an
//! unfinished message.

use std::future::Future;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use gatewire_proto::engineio::v3::{self, Form};
use gatewire_proto::engineio::{CloseReason, Packet, PacketError, payload};
use gatewire_proto::websocket::{self, CloseCode, Decoder, Event, Opcode, Received};
use tokio::time::{Instant, Sleep};

use crate::application::Session;
use crate::cork;
use crate::dialect::Dialect;
use crate::faults::Fault;
use crate::outbox::{Lane, Outbox};
use crate::quota::Quota;
use crate::registry::Registration;
use crate::scratch;
use crate::transport::polling::Inbox;

/// Reads from the kernel in one poll; then other tasks get their turn.
const READS_PER_POLL: usize = 8;

/// Events that are worked off in one poll: what they send waits in the cork meanwhile, which must not grow with what one
/// client sends.
const EVENTS_PER_POLL: usize = 256;

/// Drives one session from its open packet to its end.
pub(crate) struct Driver {
    session: Box<dyn Session>,
    input: Input,
    /// As long as it lasts nothing is read: the client has sent too much.
    wait: Option<Pin<Box<Sleep>>>,
    phase: Phase,
    /// Dropped last: nobody else may have the outbox then, whose stream is closed with it.
    registration: Registration,
}

/// Where packets of the client come from.
pub(crate) enum Input {
    /// POST bodies, put into the lane by the requests; the one that is being worked off.
    Polling(Option<Inbox>),
    /// Nowhere yet: the handshake of the WebSocket is being answered, and what is sent waits for its stream.
    Opening,
    /// The stream of the outbox.
    Socket(SocketInput),
    /// Nowhere: the client of a stream of events only listens.
    Listener,
}

pub(crate) struct SocketInput {
    decoder: Decoder,
    /// Bytes that are read but not decoded, since the upper layer took no more.
    unread: Vec<u8>,
    /// What the Close frame will say.
    farewell: Option<CloseCode>,
    /// The client has closed, or is gone: its answer is not waited for.
    ended: bool,
    /// The client broke the WebSocket protocol: the connection is failed (RFC 6455 §7.1.7), no Close frame is awaited.
    failed: bool,
}

enum Phase {
    Open,
    Closing(Closing),
}

struct Closing {
    deadline: Pin<Box<Sleep>>,
    transport_done: bool,
    session_done: bool,
}

impl SocketInput {
    pub(crate) fn new(decoder: Decoder, unread: Vec<u8>) -> Self {
        Self {
            decoder,
            unread,
            farewell: None,
            ended: false,
            failed: false,
        }
    }
}

impl Driver {
    pub(crate) fn new(registration: Registration, session: Box<dyn Session>, input: Input) -> Self {
        Self {
            session,
            input,
            wait: None,
            phase: Phase::Open,
            registration,
        }
    }

    fn outbox(&self) -> &Outbox {
        self.registration.outbox()
    }

    /// One round of an open session.
    fn run(&mut self, cx: &mut Context<'_>) {
        let corked = cork::enter();
        let more = !self.is_waiting(cx) && self.read(cx);
        let stalled = !self.session.wants_input();
        self.session.poll(cx);
        if !self.outbox().is_joined() && self.session.is_joined() {
            self.outbox().set_joined();
        }
        drop(corked);
        // Pending has registered this task; an error has asked for the end.
        let _ = self.outbox().poll_flush(cx);
        if self.outbox().is_draining() && self.session.is_quiet() {
            self.outbox().begin_close(CloseReason::ServerShuttingDown);
            return;
        }
        let is_waiting = self.is_waiting(cx);
        let wants_input = self.session.wants_input() && !is_waiting;
        self.outbox().set_stalled(!wants_input);
        if (more && !is_waiting) || (stalled && wants_input) {
            cx.waker().wake_by_ref();
        }
    }

    /// Whether nothing is to be read for now; the task is then woken when it is over.
    fn is_waiting(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(wait) = &mut self.wait else {
            return false;
        };
        let is_waiting = wait.as_mut().poll(cx).is_pending();
        if !is_waiting {
            self.wait = None;
        }
        is_waiting
    }

    /// Takes input until there is none, or the upper layer is full; whether there may be more.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        let more = self.read_posts(cx);
        self.take_stream();
        let input = match &mut self.input {
            Input::Socket(input) if self.wait.is_none() => input,
            Input::Socket(_) | Input::Polling(_) | Input::Opening => return more,
            Input::Listener => return listen(self.registration.outbox(), cx),
        };
        let mut reader = Reader {
            outbox: self.registration.outbox(),
            session: &mut *self.session,
            input,
            budget: EVENTS_PER_POLL,
            quota: Quota::of(self.registration.seat()),
        };
        let more = reader.read(cx);
        self.wait = reader.quota.into_wait();
        more
    }

    /// Works off the body of a POST, and goes over to the WebSocket when nothing is left of it; whether there is more
    /// that the upper layer would take.
    fn read_posts(&mut self, cx: &mut Context<'_>) -> bool {
        let outbox = self.registration.outbox();
        let Input::Polling(inbox) = &mut self.input else {
            return false;
        };
        if inbox.is_none() {
            *inbox = outbox.lock().take_inbox();
        }
        if let Some(body) = inbox {
            let mut quota = Quota::of(self.registration.seat());
            let read = read_body(outbox, &mut *self.session, body, &mut quota, cx);
            self.wait = quota.into_wait();
            match read {
                Ok(true) => *inbox = None,
                Ok(false) => return self.session.wants_input(),
                Err(reason) => {
                    *inbox = None;
                    outbox.begin_close(reason);
                }
            }
        }
        let mut state = outbox.lock();
        match &mut state.handover {
            Some(handover) if handover.inbox.is_some() => return true,
            _ => {}
        }
        if let Some(handover) = state.handover.take() {
            drop(state);
            self.input = Input::Socket(SocketInput::new(handover.decoder, handover.unread));
            if let Some(meter) = outbox.rules.meter.get() {
                meter.upgraded();
            }
            tracing::debug!(sid = %outbox.sid, "a session has gone over to a WebSocket");
            self.session.upgraded();
        }
        false
    }

    /// Goes on with the stream of a WebSocket that was being opened, if it is there.
    fn take_stream(&mut self) {
        if matches!(self.input, Input::Opening)
            && let Some(handover) = self.outbox().take_handover()
        {
            self.input = Input::Socket(SocketInput::new(handover.decoder, handover.unread));
        }
    }

    fn begin_closing(&mut self, reason: CloseReason) -> Closing {
        tracing::debug!(sid = %self.outbox().sid, reason = reason.as_str(), "a session ends");
        if let Some(meter) = self.outbox().rules.meter.get() {
            meter.closed(self.outbox().transport(), reason);
        }
        let corked = cork::enter();
        self.session.close(reason);
        drop(corked);
        match &mut self.input {
            // Its POST is answered.
            Input::Polling(inbox) => *inbox = None,
            Input::Listener => self.outbox().end_events(reason),
            Input::Socket(_) | Input::Opening => {}
        }
        let limits = &self.outbox().rules.limits;
        let mut patience = limits.close_timeout;
        let mut transport_done = false;
        let mut state = self.outbox().lock();
        match &mut state.lane {
            Lane::Polling(lane) => {
                let graceful = matches!(reason, CloseReason::ForcedClose | CloseReason::ServerShuttingDown);
                if reason == CloseReason::TransportClose {
                    // The client has closed: its open poll is released, there is nothing more to tell.
                    lane.release();
                } else {
                    lane.say_goodbye();
                }
                transport_done = lane.len() == 0 || !graceful;
                // A server that shuts down waits for the next GET no longer than for the answer of a WebSocket: a client
                // that is there comes at once.
                if reason != CloseReason::ServerShuttingDown {
                    patience = limits.polling_close_timeout;
                }
                drop(state);
            }
            Lane::WebSocket(_) => {
                drop(state);
                let end = match &self.input {
                    Input::Socket(input) => Some((input.farewell, input.ended)),
                    Input::Opening => Some((None, false)),
                    Input::Polling(_) | Input::Listener => None,
                };
                if let Some((farewell, ended)) = end {
                    let code = match reason {
                        CloseReason::ServerShuttingDown => Some(CloseCode::AWAY),
                        CloseReason::ForcedClose if self.outbox().dialect.is_plain() => {
                            farewell.or(Some(CloseCode::NORMAL))
                        }
                        _ => farewell,
                    };
                    let frame = websocket::close_frame(code, "");
                    if ended {
                        self.outbox().seal_at_end(frame);
                    } else {
                        self.outbox().seal(&frame);
                    }
                }
            }
            Lane::Body(_) => {}
            Lane::Closed => transport_done = true,
        }
        let deadline = Box::pin(tokio::time::sleep_until(Instant::now() + patience));
        Closing {
            deadline,
            transport_done,
            session_done: false,
        }
    }

    /// One round of a session that ends; ready when the transport and the upper layer are done.
    fn finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.take_stream();
        let corked = cork::enter();
        let Phase::Closing(closing) = &mut self.phase else {
            return Poll::Ready(());
        };
        closing.session_done = closing.session_done || self.session.poll_closed(cx).is_ready();
        drop(corked);
        if !closing.transport_done {
            let outbox = self.registration.outbox();
            closing.transport_done = poll_goodbye(outbox, &mut self.input, cx).is_ready()
                || closing.deadline.as_mut().poll(cx).is_ready();
        }
        if !closing.transport_done {
            return Poll::Pending;
        }
        if closing.session_done {
            return Poll::Ready(());
        }
        self.registration.remove();
        Poll::Pending
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.outbox().driver.register(cx.waker());
        if matches!(this.phase, Phase::Open) {
            this.run(cx);
            if !this.outbox().is_closing() {
                return Poll::Pending;
            }
            let reason = this
                .outbox()
                .lock()
                .closing
                .unwrap_or(CloseReason::TransportClose);
            this.phase = Phase::Closing(this.begin_closing(reason));
        }
        this.finish(cx)
    }
}

/// Reads and decodes one WebSocket for the upper layer.
struct Reader<'a> {
    outbox: &'a Outbox,
    session: &'a mut dyn Session,
    input: &'a mut SocketInput,
    /// Events that may still be worked off in this poll.
    budget: usize,
    quota: Quota<'a>,
}

impl Reader<'_> {
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.input.unread.is_empty() {
            let mut unread = std::mem::take(&mut self.input.unread);
            self.decode(&mut unread, cx);
        }
        let Some(stream) = self.outbox.stream() else {
            return false;
        };
        scratch::with(|buffer| {
            for _ in 0..READS_PER_POLL {
                if self.input.ended || self.outbox.is_closing() || !self.session.wants_input() {
                    return false;
                }
                if self.budget == 0 || self.quota.is_used_up() || !self.input.unread.is_empty() {
                    return true;
                }
                match stream.poll_read(cx, buffer) {
                    Poll::Pending => return false,
                    Poll::Ready(Ok(0)) => {
                        self.end(CloseReason::TransportClose);
                        return false;
                    }
                    Poll::Ready(Ok(read)) => self.decode(&mut buffer[..read], cx),
                    Poll::Ready(Err(error)) => {
                        tracing::debug!(sid = %self.outbox.sid, %error, "reading from the client failed");
                        self.end(CloseReason::TransportError);
                        return false;
                    }
                }
            }
            true
        })
    }

    fn end(&mut self, reason: CloseReason) {
        self.input.ended = true;
        self.outbox.begin_close(reason);
    }

    /// Works off the frames in `input`; what the upper layer does not take for now, or this poll, is kept.
    fn decode(&mut self, input: &mut [u8], cx: &mut Context<'_>) {
        let mut at = 0;
        // The decoder gives a big message's buffer back when it is asked for the next one, so it is asked to the end.
        loop {
            if at < input.len()
                && (self.budget == 0 || self.quota.is_used_up() || !self.session.wants_input())
            {
                self.input.unread = input[at..].to_vec();
                return;
            }
            let Received { consumed, event } = match self.input.decoder.receive(&mut input[at..]) {
                Ok(received) => received,
                Err(violation) => {
                    tracing::debug!(sid = %self.outbox.sid, %violation, "the client broke the WebSocket protocol");
                    let code = violation.close_code();
                    self.outbox.fault(match code {
                        CloseCode::TOO_BIG => Fault::TooLarge,
                        _ => Fault::WebSocket,
                    });
                    self.input.farewell = Some(code);
                    self.input.failed = true;
                    self.outbox.begin_close(CloseReason::TransportError);
                    return;
                }
            };
            at += consumed;
            let Some(event) = event else { return };
            self.budget = self.budget.saturating_sub(1);
            let admitted = self.quota.admit(size(&event), self.outbox, self.session);
            let outcome = admitted.and_then(|refusal| match event {
                Event::Text(text) => on_text(self.outbox, self.session, text, refusal, cx),
                Event::Binary(data) => on_binary(self.outbox, self.session, data, refusal, cx),
                Event::Ping(_) if refusal.is_some() => Ok(()),
                Event::Ping(data) => {
                    let mut pong = Vec::with_capacity(data.len() + websocket::MAX_HEADER);
                    websocket::put_frame(&mut pong, Opcode::Pong, data);
                    self.outbox.send_control(&pong);
                    Ok(())
                }
                Event::Pong(_) => on_pong(self.outbox),
                Event::Close(frame) => {
                    self.session.receive_close(frame);
                    self.input.farewell = frame.map(|frame| frame.code);
                    self.input.ended = true;
                    Err(CloseReason::TransportClose)
                }
            });
            if let Err(reason) = outcome {
                if reason == CloseReason::ForcedClose && self.outbox.dialect.is_plain() {
                    self.input.farewell = Some(CloseCode::POLICY);
                }
                self.outbox.begin_close(reason);
                return;
            }
        }
    }
}

/// Bytes that the client has sent for it.
fn size(event: &Event<'_>) -> usize {
    match event {
        Event::Text(text) => text.len(),
        Event::Binary(data) | Event::Ping(data) | Event::Pong(data) => data.len(),
        Event::Close(_) => 0,
    }
}

/// Hears of the end of a connection that only listens; whether there may be more to hear.
fn listen(outbox: &Outbox, cx: &mut Context<'_>) -> bool {
    let Some(stream) = outbox.stream() else {
        return false;
    };
    scratch::with(|buffer| {
        for _ in 0..READS_PER_POLL {
            let reason = match stream.poll_read(cx, buffer) {
                Poll::Pending => return false,
                // Whatever it sends, a request behind the one that is being answered, is not looked at.
                Poll::Ready(Ok(read)) if read > 0 => continue,
                Poll::Ready(Ok(_)) => CloseReason::TransportClose,
                Poll::Ready(Err(_)) => CloseReason::TransportError,
            };
            outbox.begin_close(reason);
            return false;
        }
        true
    })
}

/// One Engine.IO text packet, or a plain message. A message, which nearly all are, goes straight on.
fn on_text(
    outbox: &Outbox,
    session: &mut dyn Session,
    text: &str,
    refusal: Option<Duration>,
    cx: &mut Context<'_>,
) -> Result<(), CloseReason> {
    if outbox.dialect.is_plain() {
        outbox.hear()?;
        return deliver_text(outbox, session, text, refusal, cx);
    }
    if let Some(message) = text.strip_prefix('4')
        && !outbox.is_awaiting_pong()
    {
        return deliver_text(outbox, session, message, refusal, cx);
    }
    let packet = outbox
        .dialect
        .decode_text(text)
        .map_err(|error| no_packet(outbox, &error))?;
    on_packet(outbox, session, packet, refusal, cx)
}

/// One binary frame: a message, which old clients begin with its type.
fn on_binary(
    outbox: &Outbox,
    session: &mut dyn Session,
    data: &[u8],
    refusal: Option<Duration>,
    cx: &mut Context<'_>,
) -> Result<(), CloseReason> {
    let packet = match outbox.dialect {
        Dialect::V4 if outbox.is_awaiting_pong() => Packet::Binary(data.into()),
        Dialect::V4 | Dialect::Sse => return deliver_binary(outbox, session, data, refusal, cx),
        Dialect::V3 { .. } => v3::decode_binary(data).map_err(|error| no_packet(outbox, &error))?,
        Dialect::Plain { .. } => {
            outbox.hear()?;
            return deliver_binary(outbox, session, data, refusal, cx);
        }
    };
    on_packet(outbox, session, packet, refusal, cx)
}

/// A pong of the WebSocket layer: Engine.IO has its own.
fn on_pong(outbox: &Outbox) -> Result<(), CloseReason> {
    if outbox.dialect.is_plain() {
        outbox.receive(Packet::Pong(""))?;
    }
    Ok(())
}

fn no_packet(outbox: &Outbox, error: &PacketError) -> CloseReason {
    tracing::debug!(sid = %outbox.sid, %error, "the client sent no Engine.IO packet");
    outbox.fault(Fault::Packet);
    CloseReason::ParseError
}

fn on_packet(
    outbox: &Outbox,
    session: &mut dyn Session,
    packet: Packet<'_>,
    refusal: Option<Duration>,
    cx: &mut Context<'_>,
) -> Result<(), CloseReason> {
    let received = outbox.receive(packet);
    if received == Err(CloseReason::TransportError) {
        tracing::debug!(sid = %outbox.sid, "the client sent a packet that is the server's to send");
        outbox.fault(Fault::Packet);
    }
    match received? {
        Some(Packet::Message(text)) => deliver_text(outbox, session, text, refusal, cx),
        Some(Packet::Binary(data)) => deliver_binary(outbox, session, &data, refusal, cx),
        Some(Packet::Ping(_)) => {
            outbox.send_packet(b"3");
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

fn deliver_text(
    outbox: &Outbox,
    session: &mut dyn Session,
    text: &str,
    refusal: Option<Duration>,
    cx: &mut Context<'_>,
) -> Result<(), CloseReason> {
    outbox.count_received(text.len());
    match refusal {
        None => session.receive_text(text, cx),
        Some(retry_after) => session.refuse_text(text, retry_after, cx),
    }
    .map_err(|rejected| forced(outbox, &rejected))
}

fn deliver_binary(
    outbox: &Outbox,
    session: &mut dyn Session,
    data: &[u8],
    refusal: Option<Duration>,
    cx: &mut Context<'_>,
) -> Result<(), CloseReason> {
    outbox.count_received(data.len());
    match refusal {
        None => session.receive_binary(data, cx),
        Some(retry_after) => session.refuse_binary(data, retry_after, cx),
    }
    .map_err(|rejected| forced(outbox, &rejected))
}

fn forced(outbox: &Outbox, rejected: &crate::application::Rejected) -> CloseReason {
    tracing::debug!(sid = %outbox.sid, %rejected, "a message of the client is not accepted: the session is closed");
    outbox.fault(Fault::Message);
    CloseReason::ForcedClose
}

/// Works off a POST body; false if the upper layer took no more before the end, or this poll took enough.
fn read_body(
    outbox: &Outbox,
    session: &mut dyn Session,
    inbox: &mut Inbox,
    quota: &mut Quota<'_>,
    cx: &mut Context<'_>,
) -> Result<bool, CloseReason> {
    let malformed = |what: &dyn std::fmt::Display| {
        tracing::debug!(sid = %outbox.sid, %what, "a POST is no Engine.IO payload");
        outbox.fault(Fault::Packet);
        CloseReason::ParseError
    };
    let limits = payload::Limits {
        max_packets: outbox
            .rules
            .limits
            .max_packets_per_payload
            .saturating_sub(inbox.packets),
    };
    let mut budget = EVENTS_PER_POLL;
    let rest = &inbox.body[inbox.offset..];
    if outbox.dialect != Dialect::V4 {
        let mut packets = match inbox.form {
            Form::Text => {
                let text = std::str::from_utf8(rest).map_err(|error| malformed(&error))?;
                v3::payload::decode(text, &limits)
            }
            Form::Binary => v3::payload::decode_bytes(rest, &limits),
        };
        loop {
            if budget == 0 || quota.is_used_up() || !session.wants_input() {
                inbox.offset += packets.position();
                inbox.packets += EVENTS_PER_POLL - budget;
                return Ok(inbox.offset == inbox.body.len());
            }
            match packets.next() {
                None => return Ok(true),
                Some(Err(error)) => return Err(malformed(&error)),
                Some(Ok(packet)) => {
                    let refusal = quota.admit(packet_size(&packet), outbox, session)?;
                    on_packet(outbox, session, packet, refusal, cx)?;
                }
            }
            budget -= 1;
        }
    }
    let body = std::str::from_utf8(rest).map_err(|error| malformed(&error))?;
    let mut packets = payload::decode(body, &limits);
    loop {
        if budget == 0 || quota.is_used_up() || !session.wants_input() {
            let Some(rest) = packets.remainder() else {
                return Ok(true);
            };
            inbox.packets += EVENTS_PER_POLL - budget;
            inbox.offset = inbox.body.len() - rest.len();
            return Ok(false);
        }
        match packets.next() {
            None => return Ok(true),
            Some(Err(error)) => return Err(malformed(&error)),
            Some(Ok(packet)) => {
                let refusal = quota.admit(packet_size(&packet), outbox, session)?;
                on_packet(outbox, session, packet, refusal, cx)?;
            }
        }
        budget -= 1;
    }
}

/// As [`size`], of a packet of long-polling.
fn packet_size(packet: &Packet<'_>) -> usize {
    match packet {
        Packet::Message(text) => text.len(),
        Packet::Binary(data) => data.len(),
        _ => 0,
    }
}

/// Ready when the client has what was to be told to it, or is gone.
fn poll_goodbye(outbox: &Outbox, input: &mut Input, cx: &mut Context<'_>) -> Poll<()> {
    let is_opening = matches!(input, Input::Opening);
    let Input::Socket(input) = input else {
        let told = match &outbox.lock().lane {
            Lane::Polling(lane) => lane.len() == 0,
            Lane::Body(lane) => lane.len() == 0,
            Lane::WebSocket(_) => !is_opening,
            Lane::Closed => true,
        };
        return if told {
            outbox.poll_flush(cx)
        } else {
            Poll::Pending
        };
    };
    if outbox.poll_flush(cx).is_pending() {
        return Poll::Pending;
    }
    let Some(stream) = outbox.stream() else {
        return Poll::Ready(());
    };
    if input.failed {
        // What the client still sends is read all the same: closing over unread bytes would reset the connection, and
        // the client might lose the Close frame.
        stream.shutdown(Shutdown::Write);
    }
    scratch::with(|buffer| {
        while !input.ended {
            match stream.poll_read(cx, buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(read)) if read > 0 => {
                    input.ended = !input.failed && holds_close(&mut input.decoder, &mut buffer[..read]);
                }
                Poll::Ready(_) => input.ended = true,
            }
        }
        Poll::Ready(())
    })
}

/// Whether the client's Close frame, or something that is no frame at all, is among these bytes.
fn holds_close(decoder: &mut Decoder, input: &mut [u8]) -> bool {
    let mut at = 0;
    while at < input.len() {
        match decoder.receive(&mut input[at..]) {
            Ok(Received {
                consumed,
                event: Some(event),
            }) => {
                if matches!(event, Event::Close(_)) {
                    return true;
                }
                at += consumed;
            }
            Ok(Received { event: None, .. }) => return false,
            Err(_) => return true,
        }
    }
    false
}
