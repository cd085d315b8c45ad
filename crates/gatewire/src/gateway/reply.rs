//! The answer to one message. Every acknowledgement that was asked for is answered once: with the value, with
//! nothing, or with the error.

use std::any::Any;
use std::sync::Arc;

use gatewire_hub::{AckSender, EmitError, Payload};
use serde::Serialize;
use serde_json::value::RawValue;

use super::cause::{CauseSource, Kept};
use super::extract::AckSlot;
use crate::Socket;
use crate::pipeline::{
    Answer, AnswerKind, Cause, Exception, ExecutionContext, INTERNAL, Route, WsException, internal_json,
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
pub(crate) enum AckState {
    /// None was asked for.
    #[default]
    NotAsked,
    /// What the handler returns.
    Automatic(Owed),
    /// The handler, through the extractor `Ack`; none was asked for if there is no slot.
    Manual(Option<Arc<AckSlot>>),
}

/// An acknowledgement that has still to be sent. Dropped before that, by a panic of the application's code, it is
/// answered as an internal error.
pub(crate) struct Owed(Option<AckSender>);

impl Owed {
    pub(super) fn new(sender: AckSender) -> Self {
        Self(Some(sender))
    }

    /// Answers with `value`; if that fails another answer is still owed.
    pub(super) fn send<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EmitError> {
        if let Some(sender) = &self.0 {
            sender.try_send(value)?;
        }
        self.0 = None;
        Ok(())
    }

    /// The sender: from now on whoever has it answers.
    pub(super) fn take(mut self) -> Option<AckSender> {
        self.0.take()
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            sender.send(&*internal_json());
        }
    }
}

/// The right to answer one message.
#[doc(hidden)]
pub struct Reply<'a> {
    pub(super) socket: &'a Socket,
    pub(super) pattern: &'a str,
    pub(super) handler: HandlerName,
    pub(super) ack: AckState,
    pub(super) cause: CauseSource<'a>,
    /// Who waits for the answer, if it is not for the client alone.
    pub(super) route: Option<&'a ExecutionContext>,
}

/// The right to answer one message once its future is ready.
#[doc(hidden)]
pub struct PendingReply(pub(super) Pending);

pub(super) enum Pending {
    /// The answer is for the client.
    Direct {
        socket: Socket,
        pattern: &'static str,
        handler: HandlerName,
        ack: AckState,
        cause: Option<Kept>,
    },
    /// The answer is for whoever waits for it, who keeps the acknowledgement, too: the handler's future may be dropped
    /// before its end.
    Route(ExecutionContext),
}

impl PendingReply {
    /// The right to answer, now.
    pub fn reply(&mut self) -> Reply<'_> {
        match &mut self.0 {
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
            Pending::Route(route) => Reply::in_route(route),
        }
    }

    /// Answers for a handler that panicked.
    pub fn panicked(&mut self, panic: &(dyn Any + Send)) {
        self.reply().panicked(panic);
    }
}

impl<'a> Reply<'a> {
    /// The answer of a handler, for whoever waits for it.
    pub(super) fn in_route(route: &'a ExecutionContext) -> Self {
        Self {
            socket: route.client(),
            pattern: route.pattern(),
            handler: HandlerName::of(route.route()),
            ack: AckState::NotAsked,
            cause: route.args().map_or(CauseSource::Unknown, CauseSource::Payload),
            route: Some(route),
        }
    }

    /// The answer of a route that has come to its end.
    pub(crate) fn at_end(route: &'a ExecutionContext) -> Self {
        Self {
            ack: route.take_ack(),
            route: None,
            ..Self::in_route(route)
        }
    }
}

impl Reply<'_> {
    /// Gives the answer to those who wait for it, if somebody does.
    fn hand_in(&mut self, answer: impl FnOnce() -> Result<Answer, WsException>) -> bool {
        let Some(route) = self.route else {
            return false;
        };
        if route.route().has_interceptors() {
            route.settle(answer().map_err(Exception::from));
            return true;
        }
        // Only errors are waited for.
        self.ack = route.take_ack();
        self.route = None;
        false
    }

    /// What interceptors and filters have left of an answer.
    pub(crate) fn answer(self, answer: Answer) {
        match answer.0 {
            AnswerKind::Nothing => self.nothing(),
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
        if let AckState::Automatic(owed) = self.ack
            && let Some(sender) = owed.take()
        {
            sender.send(&());
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
            Some(route) => route.settle(Err(Exception::from(error))),
            None => self.raise(&error.into()),
        }
    }

    /// An error for the client: the event `exception`, and the same object as the acknowledgement if one was asked for
    /// and is not answered yet.
    pub(crate) fn raise(self, exception: &WsException) {
        if let Some(hidden) = exception.hidden() {
            self.log(format_args!("failed: {hidden}"));
        }
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
