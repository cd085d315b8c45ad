//! What guards, interceptors and filters know of the message or connection that they are asked about.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gatewire_hub::{Event, Payload};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::route::Route;
use super::{Answer, Exception, WsException};
use crate::Socket;
use crate::controller::HttpCall;
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
    ack: Mutex<AckState<'static>>,
    /// What an async handler has answered, where interceptors or filters wait for it.
    outcome: Mutex<Option<Outcome>>,
    /// None for what comes to a gateway.
    request: Option<Box<Requested>>,
}

/// What a request to a controller adds.
struct Requested {
    kind: ContextKind,
    parts: Parts,
    /// Until it is called, and then with what it has answered.
    call: Mutex<Option<HttpCall>>,
}

/// What an [`ExecutionContext`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContextKind {
    /// A client of a gateway: that it connects, or a message of it.
    Ws,
    /// A request to a controller.
    Http,
    /// A request to a controller for a stream of events.
    Sse,
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
            request: None,
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
            request: None,
        }))
    }

    /// A request to a controller; `client` stands for it.
    pub(crate) fn request_to(
        client: Socket,
        route: Arc<Route>,
        kind: ContextKind,
        parts: Parts,
        call: HttpCall,
    ) -> Self {
        Self(Arc::new(Inner {
            client,
            route,
            args: None,
            ack_id: None,
            is_untouched: AtomicBool::new(false),
            ack: Mutex::default(),
            outcome: Mutex::default(),
            request: Some(Box::new(Requested {
                kind,
                parts,
                call: Mutex::new(Some(call)),
            })),
        }))
    }

    /// What this is about.
    pub fn kind(&self) -> ContextKind {
        self.0
            .request
            .as_ref()
            .map_or(ContextKind::Ws, |request| request.kind)
    }

    /// The head of the request, of one to a controller.
    pub fn request(&self) -> Option<&Parts> {
        self.0.request.as_ref().map(|request| &request.parts)
    }

    /// The handler of a request, or what it has answered.
    pub(crate) fn http_call(&self) -> Option<MutexGuard<'_, Option<HttpCall>>> {
        let request = self.0.request.as_ref()?;
        Some(request.call.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The client. Values kept with it (`client().set(user)`) are read by the extractor `Extension<User>`. Of a request to a
    /// controller it is one that stands for the request: it has the request as its handshake, the query as its `auth`, and
    /// values, but is in no namespace, and what is sent to it goes nowhere.
    pub fn client(&self) -> &Socket {
        &self.0.client
    }

    /// Whether this is about a client that connects, and not about a message.
    pub fn is_connection(&self) -> bool {
        self.0.args.is_none() && self.0.request.is_none()
    }

    /// The message's event as it stands in `#[subscribe_message(..)]`; `handle_connection` for a connection, and for a
    /// request the path as it stands in `#[get(..)]`.
    pub fn pattern(&self) -> &'static str {
        self.0.route.pattern
    }

    /// The name of the gateway's struct, or the controller's.
    pub fn gateway(&self) -> &'static str {
        self.0.route.gateway()
    }

    /// The name of the handler; `handle_connection` for a connection.
    pub fn handler(&self) -> &'static str {
        self.0.route.handler
    }

    /// What the client sent: the message's body, or for a connection the `auth` object of its CONNECT. Of a request it is
    /// the query, as an object: its body is the handler's to read.
    ///
    /// # Errors
    /// If it is no `T`; the client may read why.
    pub fn data<T: DeserializeOwned + 'static>(&self) -> Result<T, WsException> {
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
    pub(crate) fn take_ack(&self) -> AckState<'static> {
        if self.0.touch() {
            return self.0.asked();
        }
        std::mem::take(&mut self.0.ack.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets `change` have the acknowledgement.
    pub(crate) fn with_ack<T>(&self, change: impl FnOnce(&mut AckState<'static>) -> T) -> T {
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
    fn asked(&self) -> AckState<'static> {
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
