//! One message as its handler's extractors see it, and what it takes to answer it.

use std::cell::RefCell;

use gatewire_hub::{AckSender, Event};

use super::extract::Ack;
use super::reply::{AckState, CauseSource, HandlerName, Owed, PendingReply, Reply};
use crate::Socket;
use crate::pipeline::{Capture, ExecutionContext};

/// One message on its way to its handler; what [`FromMessage`](super::FromMessage) reads from.
pub struct MessageContext<'a> {
    socket: &'a Socket,
    event: &'a Event<'a>,
    pattern: &'static str,
    handler: HandlerName,
    ack: RefCell<AckState>,
    /// Who waits for the answer, if it is not for the client alone.
    route: Option<&'a ExecutionContext>,
}

impl<'a> MessageContext<'a> {
    pub(crate) fn new(
        socket: &'a Socket,
        event: &'a Event<'a>,
        pattern: &'static str,
        handler: HandlerName,
    ) -> Self {
        let ack = AckState::asked(event.ack(socket));
        Self {
            socket,
            event,
            pattern,
            handler,
            ack: RefCell::new(ack),
            route: None,
        }
    }

    /// A message that has come through the guards of its handler; `event` is the context's.
    pub(crate) fn in_route(route: &'a ExecutionContext, event: &'a Event<'a>) -> Self {
        Self {
            socket: route.client(),
            event,
            pattern: route.pattern(),
            handler: HandlerName::of(route.route()),
            ack: RefCell::new(route.take_ack()),
            route: (route.route().capture() != Capture::Nothing).then_some(route),
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
        let mut state = self.ack.borrow_mut();
        let (next, ack) = match std::mem::replace(&mut *state, AckState::NotAsked) {
            AckState::Automatic(owed) => {
                let ack = owed.take().map_or_else(Ack::not_asked, Ack::asked);
                (AckState::Manual(ack.clone_slot()), ack)
            }
            AckState::NotAsked => (AckState::Manual(None), Ack::not_asked()),
            // A second `Ack` parameter: both stand for the one acknowledgement.
            AckState::Manual(slot) => (AckState::Manual(slot.clone()), Ack::from_slot(slot)),
        };
        *state = next;
        ack
    }

    /// The right to answer, once; a second one answers as if no acknowledgement had been asked for.
    #[doc(hidden)]
    pub fn reply(&self) -> Reply<'a> {
        Reply {
            socket: self.socket,
            pattern: self.pattern,
            handler: self.handler,
            ack: self.ack.take(),
            cause: CauseSource::Event(self.event),
            route: self.route,
        }
    }

    /// The right to answer later. `may_fail` keeps a copy of the message for the error's cause.
    #[doc(hidden)]
    pub fn detach(&self, may_fail: bool) -> PendingReply {
        let mut ack = self.ack.take();
        if let Some(route) = self.route {
            // The handler's future may be dropped before its end: the answer is then up to those who dropped it.
            route.keep_ack(std::mem::take(&mut ack));
        }
        PendingReply {
            socket: self.socket.clone(),
            pattern: self.pattern,
            handler: self.handler,
            ack,
            cause: (may_fail && self.route.is_none()).then(|| self.event.to_payload()),
            route: self.route.cloned(),
        }
    }
}

impl AckState {
    /// The acknowledgement of a message whose handler has not been called yet.
    pub(super) fn asked(sender: Option<AckSender>) -> Self {
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
