//! One socket of a connection as its driver sees it: what of it runs at present, and the events that wait meanwhile.
//! Calls into handlers are made here, so that a panic in one ends nothing but itself.

use std::collections::VecDeque;
use std::future::ready;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use gatewire_proto::socketio::{self, DecodeError, Limits, Packet};
use tracing::{Instrument, Level};

use crate::client::ProtocolError;
use crate::guard::{All, guarded, poll_guarded};
use crate::meter::Stamp;
use crate::socket::{self, Beside, State};
use crate::{AckSender, ConnectError, DisconnectReason, Event, HubConfig, OwnedEvent, Socket};

/// Waiting events that are handed over at a time, before other tasks get their turn.
const BUDGET: usize = 64;

/// Bytes of an event's name that a span has.
const MAX_NAME: usize = 64;

/// A socket of the connection.
pub(crate) struct Entry {
    pub(crate) socket: Socket,
    pub(crate) is_root: bool,
    pub(crate) stage: Stage,
    pub(crate) beside: Beside,
    /// Bytes of the events in the mailbox, as far as they can be counted.
    mailbox_bytes: u32,
    /// Without memory while nothing waits.
    mailbox: VecDeque<Mail>,
}

/// An event that waits for its turn.
struct Mail {
    event: OwnedEvent,
    /// If anybody wants to know how long.
    since: Option<Stamp>,
}

/// What of a socket's runs at present.
pub(crate) enum Stage {
    Connecting(BoxFuture<'static, Result<(), ConnectError>>),
    Idle,
    Running(BoxFuture<'static, ()>),
}

/// What is left of a socket that has left.
pub(crate) struct Leaving {
    pub(crate) socket: Socket,
    stage: Stage,
    beside: Beside,
    /// What the client sent before it left, if that is still handled.
    mailbox: VecDeque<Mail>,
    hook: Hook,
}

/// The call of the handler's `disconnect`.
enum Hook {
    /// To be made when nothing else runs.
    Due,
    /// To be made if the socket is let in after all.
    Unsure,
    Running(BoxFuture<'static, ()>),
    Ended,
}

impl Entry {
    pub(crate) fn new(
        socket: Socket,
        is_root: bool,
        connect: BoxFuture<'static, Result<(), ConnectError>>,
    ) -> Self {
        Self {
            socket,
            is_root,
            stage: Stage::Connecting(connect),
            beside: Beside::default(),
            mailbox_bytes: 0,
            mailbox: VecDeque::new(),
        }
    }

    /// Whether further events may be handed over to it.
    pub(crate) fn wants_input(&self, config: &HubConfig) -> bool {
        if self.mailbox.is_empty() {
            return true;
        }
        if self.mailbox_bytes as usize >= config.mailbox_bytes {
            return false;
        }
        match self.stage {
            // Early events are counted by themselves.
            Stage::Connecting(_) => true,
            _ if self.mailbox.len() < config.mailbox => true,
            _ => self.mailbox.len() < config.mailbox_while_asked && self.socket.is_asked_while_stalled(),
        }
    }

    pub(crate) fn has_mail(&self) -> bool {
        !self.mailbox.is_empty()
    }

    /// Keeps an event until it is its turn.
    pub(crate) fn keep(&mut self, event: OwnedEvent) {
        self.mailbox_bytes = self.mailbox_bytes.saturating_add(size(&event));
        let since = self.socket.namespace().io().metered().map(|_| Stamp::now());
        self.mailbox.push_back(Mail { event, since });
    }

    /// Whether nothing of it runs or waits.
    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self.stage, Stage::Idle) && self.mailbox.is_empty() && self.beside.is_empty()
    }

    fn take(&mut self) -> Option<OwnedEvent> {
        let event = self.mailbox.pop_front()?.take(&self.socket);
        self.mailbox_bytes = self.mailbox_bytes.saturating_sub(size(&event));
        if self.mailbox.is_empty() {
            self.mailbox = VecDeque::new();
            self.mailbox_bytes = 0;
        }
        Some(event)
    }

    /// Answers CONNECT, and tells the handler and those who listen to connections. Whether the socket stays.
    pub(crate) fn complete_connect(&mut self) -> bool {
        self.stage = Stage::Idle;
        let socket = &self.socket;
        if !socket.complete_connect() {
            return false;
        }
        let namespace = socket.namespace();
        namespace.tell_own_room(socket);
        let _ = guarded(socket, || socket.handler().connected(socket));
        if let Some(hooks) = namespace.hooks() {
            let listeners = hooks.connection.get();
            let calls = listeners
                .iter()
                .map(|listener| guarded(socket, || listener(socket)));
            let futures: Vec<_> = calls.flatten().flatten().collect();
            if !futures.is_empty() {
                let socket = socket.clone();
                self.stage = Stage::Running(Box::pin(All { socket, futures }));
            }
        }
        true
    }

    /// Hands an event over, or queues it if it is not its turn.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        event: Event<'_>,
        max_early: usize,
        cx: &mut Context<'_>,
    ) -> Result<(), ProtocolError> {
        match self.stage {
            Stage::Idle if self.mailbox.is_empty() => {
                self.hand_over(event, cx);
                return Ok(());
            }
            Stage::Connecting(_) if self.mailbox.len() >= max_early => {
                return Err(ProtocolError::TooManyEarly { limit: max_early });
            }
            _ => {}
        }
        self.keep(event.to_owned());
        Ok(())
    }

    /// An event that could not be read. That it nests too deep is told to its sender, at once; anything else is an error
    /// of the protocol, and so is an event before CONNECT is answered.
    pub(crate) fn receive_unreadable(
        &self,
        packet: &Packet<'_>,
        error: DecodeError,
        limits: &Limits,
    ) -> Result<(), ProtocolError> {
        let name = match (&error, &self.stage) {
            (DecodeError::TooDeep, Stage::Idle | Stage::Running(_)) => {
                socketio::scan_name(packet.data, limits)
            }
            _ => None,
        };
        let Some(name) = name else {
            return Err(error.into());
        };
        let socket = &self.socket;
        let ack = packet.id.map(|id| AckSender::new(socket.clone(), id));
        // Nothing is left to do if it panicked: that is logged.
        let _ = guarded(socket, || socket.handler().too_deep(socket, &name, ack));
        Ok(())
    }

    #[inline]
    pub(crate) fn hand_over(&mut self, event: Event<'_>, cx: &mut Context<'_>) {
        // One that was put out by an event before gets no more.
        if self.socket.state() == State::Connected
            && let Some(future) = handle(&self.socket, event, cx)
        {
            self.stage = Stage::Running(future);
        }
    }

    /// Goes on with the handler that runs, then with the events that wait.
    pub(crate) fn work(&mut self, cx: &mut Context<'_>) {
        if let Stage::Running(future) = &mut self.stage {
            if poll_guarded(&self.socket, future, cx).is_pending() {
                return;
            }
            self.stage = Stage::Idle;
        }
        for _ in 0..BUDGET {
            let Some(event) = self.take() else {
                return;
            };
            self.hand_over(event.as_event(), cx);
            if matches!(self.stage, Stage::Running(_)) {
                return;
            }
        }
        if self.mailbox.is_empty() {
            return;
        }
        cx.waker().wake_by_ref();
    }
}

impl Mail {
    /// It is its turn.
    fn take(self, socket: &Socket) -> OwnedEvent {
        if let Some(since) = self.since
            && let Some(meter) = socket.namespace().io().metered()
        {
            let lane = meter.lanes.lane();
            lane.part(|counts| &counts.mailbox_wait).note(since.elapsed());
        }
        self.event
    }
}

fn size(event: &OwnedEvent) -> u32 {
    u32::try_from(event.size()).unwrap_or(u32::MAX)
}

/// Hands an event to whom it is for; what of it still runs.
#[inline]
fn handle(socket: &Socket, event: Event<'_>, cx: &mut Context<'_>) -> Option<BoxFuture<'static, ()>> {
    if !tracing::span_enabled!(target: "gatewire::message", Level::TRACE) {
        return call(socket, event, cx);
    }
    // Clients choose the names of events: what is too long for a line in a log is cut.
    let name = event.name();
    let span = tracing::trace_span!(
        target: "gatewire::message",
        "message",
        socket = %socket.id(),
        namespace = socket.namespace().name(),
        event = &name[..name.floor_char_boundary(MAX_NAME)],
        handler = tracing::field::Empty,
    );
    let future = span.in_scope(|| call(socket, event, cx))?;
    Some(Box::pin(future.instrument(span)))
}

fn call(socket: &Socket, event: Event<'_>, cx: &mut Context<'_>) -> Option<BoxFuture<'static, ()>> {
    let call = || {
        if socket.hears_events() {
            return socket::dispatch(socket, event);
        }
        socket.handler().event(socket, event)
    };
    let mut future = guarded(socket, call).flatten()?;
    poll_guarded(socket, &mut future, cx)
        .is_pending()
        .then_some(future)
}

impl Leaving {
    /// Of a socket that has begun to leave, and that its namespace has forgotten.
    pub(crate) fn new(entry: Entry) -> Self {
        let Entry {
            socket,
            stage,
            mut beside,
            mut mailbox,
            ..
        } = entry;
        beside.collect(&socket);
        // Something may want to end because the client has gone.
        beside.stir();
        let is_connecting = matches!(stage, Stage::Connecting(_));
        let waits = socket.handler().waits_for_handlers();
        let is_put_out = matches!(
            socket.reason(),
            DisconnectReason::ServerNamespaceDisconnect | DisconnectReason::ForcedServerClose
        );
        // Listeners, who may filter events, are asked for sockets that are there alone.
        if !waits || is_connecting || is_put_out || socket.hears_events() {
            mailbox = VecDeque::new();
        }
        let mut leaving = Self {
            socket,
            stage,
            beside,
            mailbox,
            hook: if is_connecting { Hook::Unsure } else { Hook::Due },
        };
        if matches!(leaving.hook, Hook::Due) && (!waits || leaving.is_quiet()) {
            leaving.start_hook();
        }
        leaving
    }

    fn start_hook(&mut self) {
        let socket = &self.socket;
        let call = || {
            if socket.hears_leaving() {
                return socket::leave(socket, socket.reason());
            }
            let handler = socket.handler();
            handler.disconnect(socket, socket.reason())
        };
        self.hook = guarded(socket, call).flatten().map_or(Hook::Ended, Hook::Running);
    }

    /// Whether nothing is left of what the client sent.
    fn is_quiet(&self) -> bool {
        matches!(self.stage, Stage::Idle) && self.mailbox.is_empty() && self.beside.is_empty()
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.hook, Hook::Ended) && self.is_quiet()
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.work(cx);
        // What of it still runs is asked below.
        let _ = self.beside.poll(cx);
        if matches!(self.hook, Hook::Due) && self.is_quiet() {
            self.start_hook();
        }
        if let Hook::Running(hook) = &mut self.hook
            && poll_guarded(&self.socket, hook, cx).is_ready()
        {
            self.hook = Hook::Ended;
        }
        if matches!(self.hook, Hook::Ended) {
            self.socket.clear_rooms();
        }
        if self.is_done() {
            self.socket.end_listeners();
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Goes on with the handler that runs, then with the events that wait.
    fn work(&mut self, cx: &mut Context<'_>) {
        for _ in 0..BUDGET {
            match &mut self.stage {
                Stage::Idle => {}
                Stage::Running(future) => {
                    if poll_guarded(&self.socket, future, cx).is_pending() {
                        return;
                    }
                }
                Stage::Connecting(future) => {
                    let Poll::Ready(outcome) = poll_guarded(&self.socket, future, cx) else {
                        return;
                    };
                    // It was let in, although too late: whoever did so hears that it has left.
                    self.hook = match outcome {
                        Some(Ok(())) => Hook::Due,
                        _ => Hook::Ended,
                    };
                }
            }
            self.stage = Stage::Idle;
            let Some(mail) = self.mailbox.pop_front() else {
                return;
            };
            let event = mail.take(&self.socket);
            if let Some(future) = handle(&self.socket, event.as_event(), cx) {
                self.stage = Stage::Running(future);
                return;
            }
        }
        cx.waker().wake_by_ref();
    }
}

/// Asks the namespace's middleware, then its handler.
pub(crate) fn begin_connect(socket: &Socket) -> BoxFuture<'static, Result<(), ConnectError>> {
    let namespace = socket.namespace();
    if let Some(recovery) = namespace.io().recovery()
        && recovery.options().skip_middlewares
        && socket.recovered()
    {
        return Box::pin(ready(Ok(())));
    }
    let middleware = namespace.hooks().map(|hooks| hooks.middleware.get());
    let Some(middleware) = middleware.filter(|list| !list.is_empty()) else {
        let future = guarded(socket, || socket.handler().connect(socket));
        return future.unwrap_or_else(|| Box::pin(ready(Err(internal_error()))));
    };
    let socket = socket.clone();
    Box::pin(async move {
        for check in &*middleware {
            check(socket.clone()).await?;
            if socket.state() == State::Gone {
                // Told to nobody: the client has gone, and no handler has heard of it.
                return Err(ConnectError::new("the client has disconnected"));
            }
        }
        let future = socket.handler().connect(&socket);
        future.await
    })
}

pub(crate) fn internal_error() -> ConnectError {
    ConnectError::new("Internal server error")
}
