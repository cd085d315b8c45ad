//! What guards, interceptors and filters know of the message or connection that they are asked about.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    call: Mutex<Call>,
}

/// The part of a message that changes.
#[derive(Default)]
struct Call {
    /// What has become of the acknowledgement; `None` as long as it is as the client asked for it. If it stays so, which is
    /// the work of a panic, dropping the message answers it.
    ack: Option<AckState>,
    /// What the handler has answered, where interceptors or filters wait for it.
    outcome: Option<Result<Answer, Exception>>,
}

impl ExecutionContext {
    /// A message.
    pub(crate) fn message(client: Socket, route: Arc<Route>, event: &Event<'_>) -> Self {
        Self(Arc::new(Inner {
            client,
            route,
            args: Some(event.to_payload()),
            ack_id: event.ack_id(),
            call: Mutex::default(),
        }))
    }

    /// A connection.
    pub(crate) fn connection(client: Socket, route: Arc<Route>) -> Self {
        Self(Arc::new(Inner {
            client,
            route,
            args: None,
            ack_id: None,
            call: Mutex::default(),
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

    /// Takes the acknowledgement out: whoever has it answers.
    pub(crate) fn take_ack(&self) -> AckState {
        let taken = self.call().ack.replace(AckState::NotAsked);
        taken.unwrap_or_else(|| self.0.asked())
    }

    /// Lets `change` have the acknowledgement.
    pub(crate) fn with_ack<T>(&self, change: impl FnOnce(&mut AckState) -> T) -> T {
        change(self.call().ack.get_or_insert_with(|| self.0.asked()))
    }

    /// The handler's answer, for those who wait for it.
    pub(crate) fn settle(&self, outcome: Result<Answer, Exception>) {
        self.call().outcome = Some(outcome);
    }

    pub(crate) fn take_outcome(&self) -> Option<Result<Answer, Exception>> {
        self.call().outcome.take()
    }

    fn call(&self) -> MutexGuard<'_, Call> {
        self.0.call.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn event(&self) -> Option<Event<'_>> {
        let args = self.args.as_ref()?;
        Some(args.as_event(self.route.pattern, self.ack_id))
    }

    /// The acknowledgement as the client asked for it.
    fn asked(&self) -> AckState {
        AckState::asked(self.event().and_then(|event| event.ack(&self.client)))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let call = self.call.get_mut().unwrap_or_else(PoisonError::into_inner);
        if call.ack.is_none() && self.ack_id.is_some() {
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
