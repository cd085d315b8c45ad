//! CONNECTs of one connection whose namespace does not exist yet, while somebody is asked whether it may: what the
//! client sends there meanwhile is kept, within the bound of early events.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use crate::client::ProtocolError;
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
    pub(crate) answer: BoxFuture<'static, Result<Namespace, Refused>>,
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
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Namespace, Refused>> {
        poll_guarded_in(&self.name, &mut self.answer, cx)
            .map(|answer| answer.unwrap_or(Err(Refused::Unknown)))
    }
}
