//! CONNECTs of one connection that wait for an answer: whether the namespace, which does not exist yet, may be, or what
//! the cluster kept for a client that comes back. What the client sends there meanwhile is kept, within the bound of early
//! events.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use crate::client::ProtocolError;
use crate::cluster::SavedSession;
use crate::dynamic::Refused;
use crate::guard::poll_guarded_in;
use crate::{Event, Namespace, OwnedEvent};

/// The CONNECTs that wait.
#[derive(Default)]
pub(crate) struct Lobby {
    pub(crate) waiting: Vec<Waiting>,
}

/// One of them.
pub(crate) struct Waiting {
    pub(crate) name: Box<str>,
    pub(crate) auth: Option<Box<RawValue>>,
    pub(crate) early: Vec<OwnedEvent>,
    pub(crate) answer: BoxFuture<'static, Result<Admitted, Refused>>,
}

/// Where a client is let in.
pub(crate) struct Admitted {
    pub(crate) namespace: Namespace,
    pub(crate) claim: Asked,
}

/// What of a session before was asked for.
pub(crate) enum Asked {
    /// Nobody was asked.
    NotYet,
    /// It is not kept any more.
    Nothing,
    /// The session, and the last message that the client got.
    Session(SavedSession, String),
}

impl Lobby {
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.waiting.iter().position(|waiting| *waiting.name == *name)
    }

    /// Bytes of the events that are kept, about.
    pub(crate) fn size(&self) -> usize {
        self.waiting.iter().map(Waiting::size).sum()
    }
}

impl Waiting {
    fn size(&self) -> usize {
        self.early.iter().map(OwnedEvent::size).sum()
    }

    pub(crate) fn receive(&mut self, event: &Event<'_>, max_early: usize) -> Result<(), ProtocolError> {
        if self.early.len() >= max_early {
            return Err(ProtocolError::TooManyEarly { limit: max_early });
        }
        self.early.push(event.to_owned());
        Ok(())
    }

    /// Whether the namespace may be; who panics says no.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Admitted, Refused>> {
        poll_guarded_in(&self.name, &mut self.answer, cx)
            .map(|answer| answer.unwrap_or(Err(Refused::Unknown)))
    }
}
