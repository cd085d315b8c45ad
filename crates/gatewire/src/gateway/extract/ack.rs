//! The acknowledgement as a parameter, for a handler that answers it itself.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use gatewire_hub::AckSender;
use serde::Serialize;

use super::FromMessage;
use crate::Payload;
use crate::gateway::MessageContext;
use crate::gateway::reply::Owed;

/// Answers the message's acknowledgement by hand. A handler that takes it is not answered for: what it returns is
/// dropped, unless it is a `WsResponse` or an error. An `Ack` that is dropped without having been sent answers with no
/// value.
///
/// If the client asked for none, sending does nothing; [`is_asked`](Self::is_asked) tells. `Option<Ack>` is an
/// extractor too.
pub struct Ack(Option<Arc<AckSlot>>);

/// The acknowledgement, shared by the handler's [`Ack`] and the pipeline, which answers it if the handler fails.
pub(crate) struct AckSlot(Mutex<Option<AckSender>>);

impl Ack {
    /// Whether the client waits for an acknowledgement that has not been sent yet.
    pub fn is_asked(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|slot| slot.0.lock().unwrap_or_else(PoisonError::into_inner).is_some())
    }

    /// Answers with `value`; a value that cannot be encoded is logged, and answered as an internal error.
    pub fn send<T: Serialize + ?Sized>(self, value: &T) {
        if let Some(sender) = self.take()
            && let Err(error) = Owed::new(sender).send(value)
        {
            tracing::error!(target: "gatewire", context = "Ack", "an acknowledgement cannot be encoded: {error}");
        }
    }

    /// Answers with all arguments of `payload`.
    pub fn send_payload(self, payload: &Payload) {
        if let Some(sender) = self.take() {
            sender.send_payload(payload);
        }
    }

    pub(crate) fn asked(sender: AckSender) -> Self {
        Self(Some(Arc::new(AckSlot(Mutex::new(Some(sender))))))
    }

    pub(crate) fn not_asked() -> Self {
        Self(None)
    }

    pub(crate) fn from_slot(slot: Option<Arc<AckSlot>>) -> Self {
        Self(slot)
    }

    pub(crate) fn clone_slot(&self) -> Option<Arc<AckSlot>> {
        self.0.clone()
    }

    fn take(&self) -> Option<AckSender> {
        self.0.as_ref().and_then(|slot| slot.take())
    }
}

impl AckSlot {
    pub(crate) fn take(&self) -> Option<AckSender> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for AckSlot {
    fn drop(&mut self) {
        if let Some(sender) = self.take() {
            sender.send(&());
        }
    }
}

impl FromMessage for Ack {
    type Rejection = Infallible;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, Infallible> {
        Ok(message.take_ack())
    }
}

impl FromMessage for Option<Ack> {
    type Rejection = Infallible;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, Infallible> {
        let ack = message.take_ack();
        Ok(ack.0.is_some().then_some(ack))
    }
}
