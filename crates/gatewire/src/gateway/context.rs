//! One message as its handler's extractors see it, and what it takes to answer it.

use std::cell::{Cell, RefCell};

use gatewire_hub::{AckSender, Event};

use super::call::{Limits, Patience};
use super::cause::{CauseSource, Kept};
use super::extract::Ack;
use super::reply::{AckState, HandlerName, Owed, Pending, PendingReply, Reply};
use crate::Socket;
use crate::pipeline::{ExecutionContext, Outcome};

/// One message on its way to its handler; what [`FromMessage`](super::FromMessage) reads from.
pub struct MessageContext<'a> {
    socket: &'a Socket,
    event: &'a Event<'a>,
    pattern: &'static str,
    handler: HandlerName,
    ack: RefCell<AckState<'a>>,
    patience: Cell<Patience>,
    /// The route that it has come by; keeps the acknowledgement then.
    route: Option<&'a ExecutionContext>,
    /// What a handler that is done when it returns has answered, for that route.
    outcome: Cell<Option<Outcome>>,
}

impl<'a> MessageContext<'a> {
    #[inline]
    pub(crate) fn new(
        socket: &'a Socket,
        event: &'a Event<'a>,
        pattern: &'static str,
        handler: HandlerName,
    ) -> Self {
        Self {
            socket,
            event,
            pattern,
            handler,
            ack: RefCell::new(AckState::of(socket, event)),
            patience: Cell::default(),
            route: None,
            outcome: Cell::default(),
        }
    }

    /// A message that has come through the guards of its handler; `event` is the context's.
    pub(crate) fn in_route(route: &'a ExecutionContext, event: &'a Event<'a>) -> Self {
        Self {
            socket: route.client(),
            event,
            pattern: route.pattern(),
            handler: HandlerName::of(route.route()),
            ack: RefCell::default(),
            patience: Cell::default(),
            route: Some(route),
            outcome: Cell::default(),
        }
    }

    /// The client.
    pub fn socket(&self) -> &'a Socket {
        self.socket
    }

    /// The event with its arguments.
    pub fn event(&self) -> &'a Event<'a> {
        self.event
    }

    /// The event's name, as it stands in `#[subscribe_message(..)]`.
    pub fn pattern(&self) -> &'static str {
        self.pattern
    }

    /// Hands the acknowledgement over: from now on what the handler returns does not answer it.
    pub(crate) fn take_ack(&self) -> Ack {
        match self.route {
            Some(route) => route.with_ack(AckState::hand_over),
            None => self.ack.borrow_mut().hand_over(),
        }
    }

    /// The right to answer, once; a second one answers as if no acknowledgement had been asked for.
    #[doc(hidden)]
    pub fn reply(&self) -> Reply<'_> {
        match self.route {
            Some(route) => Reply::in_route(route, Some(&self.outcome)),
            None => Reply {
                socket: self.socket,
                pattern: self.pattern,
                handler: self.handler,
                ack: self.ack.take(),
                cause: CauseSource::Event(self.event),
                route: None,
            },
        }
    }

    /// The right to answer later, with a copy of the message for an error's cause.
    #[doc(hidden)]
    pub fn detach(&self) -> PendingReply {
        let pending = match self.route {
            Some(route) => Pending::Route(route.clone()),
            None => Pending::Direct {
                socket: self.socket.clone(),
                pattern: self.pattern,
                handler: self.handler,
                ack: self.ack.take().keep(),
                cause: self.handler.include_cause.then(|| Kept::new(self.event)),
            },
        };
        PendingReply {
            pending,
            limits: Limits::new(self.patience.get()),
        }
    }

    /// What a handler that was done when it returned has answered, if it has come by a route.
    pub(crate) fn take_outcome(&self) -> Option<Outcome> {
        self.outcome.take()
    }

    /// How long the handler may take.
    pub(super) fn set_patience(&self, patience: Patience) {
        self.patience.set(patience);
    }
}

impl<'a> AckState<'a> {
    /// That of a message whose handler has not been called yet.
    pub(super) fn of(socket: &'a Socket, event: &'a Event<'a>) -> Self {
        match event.ack_id() {
            Some(_) => Self::Automatic(Owed::of(socket, event)),
            None => Self::NotAsked,
        }
    }

    /// The same for longer than the message is there.
    fn keep(self) -> AckState<'static> {
        match self {
            Self::NotAsked => AckState::NotAsked,
            Self::Automatic(owed) => AckState::Automatic(owed.keep()),
            Self::Manual(slot) => AckState::Manual(slot),
        }
    }

    fn hand_over(&mut self) -> Ack {
        let (next, ack) = match std::mem::take(self) {
            Self::Automatic(owed) => {
                let ack = owed.take().map_or_else(Ack::not_asked, Ack::asked);
                (Self::Manual(ack.clone_slot()), ack)
            }
            Self::NotAsked => (Self::Manual(None), Ack::not_asked()),
            // A second `Ack` parameter: both stand for the one acknowledgement.
            Self::Manual(slot) => (Self::Manual(slot.clone()), Ack::from_slot(slot)),
        };
        *self = next;
        ack
    }

    /// The same by the right to answer.
    pub(crate) fn asked(sender: Option<AckSender>) -> Self {
        sender.map_or(Self::NotAsked, |sender| Self::Automatic(Owed::new(sender)))
    }

    pub(super) fn sender(self) -> Option<AckSender> {
        match self {
            Self::NotAsked => None,
            Self::Automatic(owed) => owed.take(),
            Self::Manual(slot) => slot.and_then(|slot| slot.take()),
        }
    }
}
