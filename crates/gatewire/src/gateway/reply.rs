//! The answer to one message. Every acknowledgement that was asked for is answered once: with the value, with
//! nothing, or with the error.

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use gatewire_hub::{AckSender, EmitError, Event, Payload};
use serde::Serialize;
use serde_json::value::RawValue;

use super::call::{Limits, OnDisconnect, Run, Stopped};
use super::cause::{CauseSource, Kept};
use super::extract::{AckSlot, BodyRejection};
use crate::Socket;
use crate::pipeline::{
    Answer, AnswerKind, Argument, Cause, Exception, ExecutionContext, INTERNAL, Outcome, Route, TimedOut,
    WsException, internal_json,
};

/// A reply under an event of its own: emitted to the sender as `event` with `data`; an acknowledgement that was
/// asked for is answered with no value. Only this type means that; a value with a field `event` is a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WsResponse<T> {
    /// The event's name.
    pub event: std::borrow::Cow<'static, str>,
    /// Its argument.
    pub data: T,
}

impl<T> WsResponse<T> {
    /// `data` as the event `event`.
    pub fn new(event: impl Into<std::borrow::Cow<'static, str>>, data: T) -> Self {
        Self {
            event: event.into(),
            data,
        }
    }
}

/// A value for the acknowledgement alone: for a client that asked for none nothing is sent, as NestJS does with every plain
/// value. In a stream, where each item is emitted, it has no place: take [`Ack`](super::Ack) as a parameter there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckOnly<T>(pub T);

/// `Gateway::handler`, for the log, and whether its errors name their cause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandlerName {
    pub(crate) gateway: &'static str,
    pub(crate) handler: &'static str,
    pub(crate) include_cause: bool,
}

impl HandlerName {
    pub(super) fn of(route: &Route) -> Self {
        Self {
            gateway: route.gateway(),
            handler: route.handler,
            include_cause: route.include_cause,
        }
    }
}

/// Who answers the acknowledgement.
#[derive(Default)]
pub(crate) enum AckState<'a> {
    /// None was asked for.
    #[default]
    NotAsked,
    /// What the handler returns.
    Automatic(Owed<'a>),
    /// The handler, through the extractor `Ack`; none was asked for if there is no slot.
    Manual(Option<Arc<AckSlot>>),
}

/// An acknowledgement that has still to be sent. Dropped before that, by a panic of the application's code, it is
/// answered as an internal error.
pub(crate) struct Owed<'a>(Option<Right<'a>>);

/// The right to an acknowledgement.
enum Right<'a> {
    /// That of a message which is still there: most are answered before they are gone, and then nothing is counted for it.
    Lent(&'a Socket, &'a Event<'a>),
    Kept(AckSender),
}

impl<'a> Owed<'a> {
    pub(super) fn new(sender: AckSender) -> Self {
        Self(Some(Right::Kept(sender)))
    }

    /// The acknowledgement that a message asks for.
    pub(super) fn of(socket: &'a Socket, event: &'a Event<'a>) -> Self {
        Self(Some(Right::Lent(socket, event)))
    }

    /// Answers with `value`; if that fails another answer is still owed.
    pub(super) fn send<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EmitError> {
        match &self.0 {
            Some(Right::Lent(socket, event)) => event.try_answer(socket, value)?,
            Some(Right::Kept(sender)) => sender.try_send(value)?,
            None => {}
        }
        self.0 = None;
        Ok(())
    }

    /// The sender: from now on whoever has it answers.
    pub(super) fn take(mut self) -> Option<AckSender> {
        match self.0.take()? {
            Right::Lent(socket, event) => event.ack(socket),
            Right::Kept(sender) => Some(sender),
        }
    }

    /// The same for longer than the message is there.
    pub(super) fn keep(self) -> Owed<'static> {
        Owed(self.take().map(Right::Kept))
    }
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        if self.0.is_some() {
            // What was serialised before can be so again.
            let _ = self.send(&*internal_json());
        }
    }
}

/// The right to answer one message.
#[doc(hidden)]
pub struct Reply<'a> {
    pub(super) socket: &'a Socket,
    pub(super) pattern: &'a str,
    pub(super) handler: HandlerName,
    pub(super) ack: AckState<'a>,
    pub(super) cause: CauseSource<'a>,
    /// Who waits for the answer, if it is not for the client alone.
    pub(super) route: Option<Waiting<'a>>,
}

/// A route that waits for the answer of its handler.
#[derive(Clone, Copy)]
pub(super) struct Waiting<'a> {
    context: &'a ExecutionContext,
    /// Where it looks when the handler has returned; later on it asks the context.
    here: Option<&'a Cell<Option<Outcome>>>,
}

impl Waiting<'_> {
    fn settle(self, outcome: Outcome) {
        match self.here {
            Some(here) => here.set(Some(outcome)),
            None => self.context.settle(outcome),
        }
    }
}

/// The right to answer one message once its future is ready.
#[doc(hidden)]
pub struct PendingReply {
    pub(super) pending: Pending,
    pub(super) limits: Limits,
}

pub(super) enum Pending {
    /// The answer is for the client.
    Direct {
        socket: Socket,
        pattern: &'static str,
        handler: HandlerName,
        ack: AckState<'static>,
        cause: Option<Kept>,
    },
    /// The answer is for whoever waits for it, who keeps the acknowledgement, too: the handler's future may be dropped
    /// before its end.
    Route(ExecutionContext),
}

impl PendingReply {
    /// The right to answer, now.
    pub fn reply(&mut self) -> Reply<'_> {
        match &mut self.pending {
            Pending::Direct {
                socket,
                pattern,
                handler,
                ack,
                cause,
            } => Reply {
                socket,
                pattern,
                handler: *handler,
                ack: std::mem::take(ack),
                cause: cause.as_ref().map_or(CauseSource::Unknown, CauseSource::Kept),
                route: None,
            },
            Pending::Route(route) => Reply::in_route(route, None),
        }
    }

    /// Runs a part of the handler within the limits of the call.
    pub fn run<F: Future>(&mut self, future: F) -> Run<'_, F> {
        let Self { pending, limits } = self;
        limits.run(pending.socket(), future)
    }

    /// Answers for a handler that did not come to its end.
    pub fn stopped(&mut self, stopped: Stopped) {
        match stopped {
            Stopped::Panicked(panic) => self.reply().panicked(&*panic),
            Stopped::Late(timeout) => {
                let reply = self.reply();
                reply.log(format_args!("was given up after {timeout:?}"));
                reply.exception(TimedOut { limit: timeout });
            }
            // There is nobody to answer.
            Stopped::Left => drop(self.reply()),
        }
    }

    /// The place of an argument that goes through pipes.
    pub fn argument(&self, key: Option<&'static str>) -> Argument {
        Argument {
            key,
            pattern: self.pending.pattern(),
            client: self.socket().clone(),
        }
    }

    pub(super) fn socket(&self) -> &Socket {
        self.pending.socket()
    }

    pub(super) fn set_on_disconnect(&mut self, on_disconnect: OnDisconnect) {
        self.limits.patience.on_disconnect = on_disconnect;
    }

    /// One item of a stream: an event of the message's name.
    pub(super) fn emit<T: Serialize + ?Sized>(&self, item: &T) -> Result<(), Exception> {
        self.emit_as(self.pending.pattern(), item)
    }

    /// One item of a stream as an event of its own.
    pub(super) fn emit_as<T: Serialize + ?Sized>(&self, event: &str, item: &T) -> Result<(), Exception> {
        let emitted = self.socket().try_emit(event, item);
        emitted.map_err(|error| WsException::internal(error).into())
    }

    /// One item of a stream, untouched.
    pub(super) fn emit_payload(&self, item: &Payload) {
        self.socket().emit_payload(self.pending.pattern(), item);
    }
}

impl Pending {
    fn socket(&self) -> &Socket {
        match self {
            Self::Direct { socket, .. } => socket,
            Self::Route(route) => route.client(),
        }
    }

    fn pattern(&self) -> &'static str {
        match self {
            Self::Direct { pattern, .. } => pattern,
            Self::Route(route) => route.pattern(),
        }
    }
}

impl<'a> Reply<'a> {
    /// The answer of a handler, for whoever waits for it: `here` if it has only just been called.
    pub(super) fn in_route(route: &'a ExecutionContext, here: Option<&'a Cell<Option<Outcome>>>) -> Self {
        Self {
            socket: route.client(),
            pattern: route.pattern(),
            handler: HandlerName::of(route.route()),
            ack: AckState::NotAsked,
            cause: route.args().map_or(CauseSource::Unknown, CauseSource::Payload),
            route: Some(Waiting { context: route, here }),
        }
    }

    /// The answer of a route that has come to its end.
    pub(crate) fn at_end(route: &'a ExecutionContext) -> Self {
        Self {
            ack: route.take_ack(),
            route: None,
            ..Self::in_route(route, None)
        }
    }
}

impl Reply<'_> {
    /// Gives the answer to those who wait for it, if somebody does.
    fn hand_in(&mut self, answer: impl FnOnce() -> Result<Answer, WsException>) -> bool {
        let Some(waiting) = self.route else {
            return false;
        };
        if waiting.context.route().has_interceptors() {
            waiting.settle(answer().map_err(Exception::from));
            return true;
        }
        // Only errors are waited for.
        self.ack = waiting.context.take_ack();
        self.route = None;
        false
    }

    /// What interceptors and filters have left of an answer.
    pub(crate) fn answer(self, answer: Answer) {
        match answer.0 {
            AnswerKind::Nothing | AnswerKind::Kept => self.nothing(),
            AnswerKind::Value(data) => self.payload(&data),
            AnswerKind::Event(event) => {
                let (event, data) = &*event;
                self.socket.emit_payload(event, data);
                self.nothing();
            }
        }
    }

    /// A plain value: the acknowledgement, or where none was asked for an event of the same name to the sender.
    pub fn value<T: Serialize + ?Sized>(mut self, value: &T) {
        if self.hand_in(|| Answer::value(value)) {
            return;
        }
        match std::mem::take(&mut self.ack) {
            AckState::Automatic(mut owed) => {
                if let Err(error) = owed.send(value) {
                    self.ack = AckState::Automatic(owed);
                    self.unencodable(&error);
                }
            }
            AckState::NotAsked => {
                if let Err(error) = self.socket.try_emit(self.pattern, value) {
                    self.unencodable(&error);
                }
            }
            AckState::Manual(_) => {}
        }
    }

    /// `()` or `None`: an acknowledgement with no value, if one was asked for.
    pub fn nothing(mut self) {
        if self.hand_in(|| Ok(Answer::nothing())) {
            return;
        }
        if let AckState::Automatic(mut owed) = self.ack {
            // Nothing is always JSON.
            let _ = owed.send(&());
        }
    }

    /// A [`WsResponse`].
    pub fn response<T: Serialize>(mut self, response: &WsResponse<T>) {
        if self.hand_in(|| Answer::event(response.event.clone(), &response.data)) {
            return;
        }
        match self.socket.try_emit(&response.event, &response.data) {
            Ok(()) => self.nothing(),
            Err(error) => self.unencodable(&error),
        }
    }

    /// An [`AckOnly`].
    pub fn ack_only<T: Serialize>(self, value: &T) {
        let is_asked = |ack: &AckState<'_>| !matches!(ack, AckState::NotAsked);
        let is_asked = match self.route {
            Some(waiting) => waiting.context.with_ack(|ack| is_asked(ack)),
            None => is_asked(&self.ack),
        };
        if is_asked {
            self.value(value)
        } else {
            self.nothing()
        }
    }

    /// All arguments of a [`Payload`], untouched.
    pub fn payload(mut self, payload: &Payload) {
        if self.hand_in(|| Ok(Answer::payload(payload.clone()))) {
            return;
        }
        match self.ack {
            AckState::Automatic(owed) => {
                if let Some(sender) = owed.take() {
                    sender.send_payload(payload);
                }
            }
            AckState::NotAsked => self.socket.emit_payload(self.pattern, payload),
            AckState::Manual(_) => {}
        }
    }

    /// An error, for the filters if there are some, or else for the client.
    pub fn exception<E: Into<WsException> + Send + Sync + 'static>(self, error: E) {
        match self.route {
            Some(waiting) => waiting.settle(Err(Exception::from(error))),
            None => {
                let (socket, is_fault) = (self.socket, (&error as &dyn Any).is::<BodyRejection>());
                self.raise(&error.into());
                if is_fault {
                    socket.note_fault();
                }
            }
        }
    }

    /// As [`exception`](Self::exception), for an error of any type.
    pub fn thrown(self, exception: Exception) {
        match self.route {
            Some(waiting) => waiting.settle(Err(exception)),
            None => {
                let (socket, is_fault) = (self.socket, exception.is::<BodyRejection>());
                self.raise(&exception.into_ws());
                if is_fault {
                    socket.note_fault();
                }
            }
        }
    }

    /// An error for the client: the event `exception`, and the same object as the acknowledgement if one was asked for
    /// and is not answered yet.
    pub(crate) fn raise(self, exception: &WsException) {
        if let Some(hidden) = exception.hidden() {
            self.log(format_args!("failed: {hidden}"));
        } else if !exception.is_logged() {
            let HandlerName { gateway, handler, .. } = self.handler;
            let (pattern, client) = (self.pattern, self.socket.id());
            tracing::debug!(target: "gatewire", context = gateway, "{handler} ({pattern:?}) refuses {client}: {exception}");
        }
        self.tell(exception);
    }

    /// As [`raise`](Self::raise), of what is logged already.
    pub(super) fn tell(self, exception: &WsException) {
        let json = self.json(exception);
        self.socket.emit("exception", &*json);
        if let Some(sender) = self.ack.sender() {
            sender.send(&*json);
        }
    }

    /// An error as the acknowledgement alone.
    pub(super) fn refuse(self, exception: &WsException) {
        let json = self.json(exception);
        if let Some(sender) = self.ack.sender() {
            sender.send(&*json);
        }
    }

    /// A panic of the handler: its text stays here.
    pub fn panicked(self, panic: &(dyn Any + Send)) {
        self.log(format_args!("panicked: {}", panic_text(panic)));
        self.exception(WsException::new(INTERNAL));
    }

    fn unencodable(self, error: &dyn std::fmt::Display) {
        self.log(format_args!("gave a reply that cannot be encoded: {error}"));
        self.exception(WsException::new(INTERNAL));
    }

    fn json(&self, exception: &WsException) -> Box<RawValue> {
        if !self.handler.include_cause {
            return exception.to_json(None);
        }
        let data = self.cause.data();
        exception.to_json(Some(&Cause {
            pattern: self.pattern,
            data: data.as_deref(),
        }))
    }

    fn log(&self, what: std::fmt::Arguments<'_>) {
        let HandlerName { gateway, handler, .. } = self.handler;
        tracing::error!(target: "gatewire", context = gateway, "{handler} ({:?}) {what}", self.pattern);
    }
}

/// What `panic!` was given, if it was text.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no text)")
}
