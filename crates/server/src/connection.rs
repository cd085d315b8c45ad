//! The driver: one task a session, no split halves. Each time it is polled it takes what the client has sent, lets the
//! upper layer go on, and writes what the kernel did not take before. Nothing is held between two polls but an
//! unfinished message.

mod body;
mod deliver;
mod goodbye;
mod socket;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::{self, CloseCode};
use tokio::time::{Instant, Sleep};

use self::body::read_body;
use self::goodbye::poll_goodbye;
pub(crate) use self::socket::SocketInput;
use self::socket::{Reader, listen};
use crate::application::Session;
use crate::cork;
use crate::outbox::{Lane, Outbox};
use crate::quota::Quota;
use crate::registry::Registration;
use crate::transport::polling::Inbox;

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

enum Phase {
    Open,
    Closing(Closing),
}

struct Closing {
    deadline: Pin<Box<Sleep>>,
    transport_done: bool,
    session_done: bool,
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
