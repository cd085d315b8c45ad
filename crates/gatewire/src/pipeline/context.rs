//! What guards, interceptors and filters know of the message or connection that they are asked about.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gatewire_hub::{Event, Payload};
use serde::de::DeserializeOwned;

use super::route::Route;
use super::{Answer, Exception, WsException};
use crate::Socket;
use crate::gateway::{AckState, BodyRejection};

/// One message, or one connection, on its way through the pipeline. A clone is another handle of the same.
#[derive(Clone)]
pub struct ExecutionContext(Arc<Inner>);

struct Inner {
    client: Socket,
    route: Arc<Route>,
    /// None for a connection.
    args: Option<Payload>,
    ack_id: Option<u64>,
    /// The acknowledgement is as the client asked for it, and `ack` says nothing yet: most messages never lock that. If it
    /// stays so, which is the work of a panic, dropping the message answers it. Only the task of the message changes it.
    is_untouched: AtomicBool,
    ack: Mutex<AckState>,
    /// What an async handler has answered, where interceptors or filters wait for it.
    outcome: Mutex<Option<Outcome>>,
}

/// What has become of a handler's call.
pub(crate) type Outcome = Result<Answer, Exception>;

impl ExecutionContext {
    /// A message.
    pub(crate) fn message(client: Socket, route: Arc<Route>, event: &Event<'_>) -> Self {
        Self(Arc::new(Inner {
            client,
            route,
            args: Some(event.to_payload()),
            ack_id: event.ack_id(),
            is_untouched: AtomicBool::new(true),
            ack: Mutex::default(),
            outcome: Mutex::default(),
        }))
    }

    /// A connection.
    pub(crate) fn connection(client: Socket, route: Arc<Route>) -> Self {
        Self(Arc::new(Inner {
            client,
            route,
            args: None,
            ack_id: None,
            is_untouched: AtomicBool::new(true),
            ack: Mutex::default(),
            outcome: Mutex::default(),
        }))
    }

    /// The client. Values kept with it (`client().set(user)`) are read by the extractor `Extension<User>`.
    pub fn client(&self) -> &Socket {
        &self.0.client
    }

    /// Whether this is about a client that connects, and not about a message.
    pub fn is_connection(&self) -> bool {
        self.0.args.is_none()
    }

    /// The message's event as it stands in `#[subscribe_message(..)]`; `handle_connection` for a connection.
    pub fn pattern(&self) -> &'static str {
        self.0.route.pattern
    }

    /// The name of the gateway's struct.
    pub fn gateway(&self) -> &'static str {
        self.0.route.gateway()
    }

    /// The name of the handler; `handle_connection` for a connection.
    pub fn handler(&self) -> &'static str {
        self.0.route.handler
    }

    /// What the client sent: the message's body, or for a connection the `auth` object of its CONNECT.
    ///
    /// # Errors
    /// If it is no `T`; the client may read why.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, WsException> {
        let data = match &self.0.args {
            Some(args) => args.body(),
            None => self.0.client.auth(),
        };
        data.map_err(|error| BodyRejection::misfit(&error).into())
    }

    /// Every argument of the message as it came; `None` for a connection.
    pub fn args(&self) -> Option<&Payload> {
        self.0.args.as_ref()
    }

    /// The value of type `T` that `#[set_metadata(..)]` has put on the handler, or else on the gateway.
    pub fn metadata<T: Any>(&self) -> Option<&T> {
        self.all_metadata().next()
    }

    /// All values of type `T` that `#[set_metadata(..)]` has put on the handler and the gateway, the handler's first.
    pub fn all_metadata<T: Any>(&self) -> impl Iterator<Item = &T> {
        let metadata = self.0.route.metadata.iter();
        metadata.filter_map(|value| value.downcast_ref())
    }

    pub(crate) fn route(&self) -> &Route {
        &self.0.route
    }

    /// The message with these arguments.
    pub(crate) fn event_of<'a>(&'a self, args: &'a Payload) -> Event<'a> {
        args.as_event(self.0.route.pattern, self.0.ack_id)
    }

    /// The message, if it asks for an acknowledgement that nobody has touched: whoever takes it answers.
    pub(crate) fn take_question(&self) -> Option<Event<'_>> {
        if self.0.ack_id.is_some() && self.0.touch() {
            self.0.event()
        } else {
            None
        }
    }

    /// Takes the acknowledgement out: whoever has it answers.
    pub(crate) fn take_ack(&self) -> AckState {
        if self.0.touch() {
            return self.0.asked();
        }
        std::mem::take(&mut self.0.ack.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets `change` have the acknowledgement.
    pub(crate) fn with_ack<T>(&self, change: impl FnOnce(&mut AckState) -> T) -> T {
        let mut ack = self.0.ack.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.touch() {
            *ack = self.0.asked();
        }
        change(&mut ack)
    }

    /// The answer of an async handler, for those who wait for it.
    pub(crate) fn settle(&self, outcome: Outcome) {
        *self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    pub(crate) fn take_outcome(&self) -> Option<Outcome> {
        let mut outcome = self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.take()
    }
}

impl Inner {
    fn event(&self) -> Option<Event<'_>> {
        let args = self.args.as_ref()?;
        Some(args.as_event(self.route.pattern, self.ack_id))
    }

    /// Whether nobody has touched the acknowledgement before; now somebody has.
    fn touch(&self) -> bool {
        let is_untouched = self.is_untouched.load(Ordering::Relaxed);
        self.is_untouched.store(false, Ordering::Relaxed);
        is_untouched
    }

    /// The acknowledgement as the client asked for it.
    fn asked(&self) -> AckState {
        AckState::asked(self.event().and_then(|event| event.ack(&self.client)))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if *self.is_untouched.get_mut() && self.ack_id.is_some() {
            // Owed, and dropped as such.
            drop(self.asked());
        }
    }
}

impl fmt::Debug for ExecutionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutionContext")
            .field("client", &self.0.client)
            .field("gateway", &self.gateway())
            .field("handler", &self.handler())
            .field("pattern", &self.pattern())
            .finish_non_exhaustive()
    }
}
