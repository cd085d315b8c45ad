//! What guards, interceptors and filters know of the message or connection that they are asked about.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gatewire_hub::{Event, Payload};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::route::Route;
use super::{Answer, Exception, WsException};
use crate::Socket;
use crate::controller::HttpCall;
use crate::gateway::{AckState, BodyRejection};

/// One message, or one connection, on its way through the pipeline. A clone is another handle of the same.
pub struct ExecutionContext {
    client: Socket,
    route: Arc<Route>,
    /// None for a connection.
    args: Option<Payload>,
    ack_id: Option<u64>,
    /// The acknowledgement is asked for, and nobody has touched it. If it stays so, which is the work of a panic, dropping the
    /// message answers it. Only the task of the message changes it.
    is_owed: AtomicBool,
    /// What clones share of it. Most messages have none, and are answered without.
    course: OnceLock<Arc<Course>>,
    /// None for what comes to a gateway.
    request: Option<Arc<Requested>>,
}

/// How far a message has come that others than its own task see to.
struct Course {
    /// The acknowledgement, until it is answered.
    ack: Mutex<AckState<'static>>,
    /// What an async handler has answered, where interceptors or filters wait for it.
    outcome: Mutex<Option<Outcome>>,
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
        let ack_id = event.ack_id();
        Self {
            client,
            route,
            args: Some(event.to_payload()),
            ack_id,
            is_owed: AtomicBool::new(ack_id.is_some()),
            course: OnceLock::new(),
            request: None,
        }
    }

    /// A connection.
    pub(crate) fn connection(client: Socket, route: Arc<Route>) -> Self {
        Self {
            client,
            route,
            args: None,
            ack_id: None,
            is_owed: AtomicBool::new(false),
            course: OnceLock::new(),
            request: None,
        }
    }

    /// A request to a controller; `client` stands for it.
    pub(crate) fn request_to(
        client: Socket,
        route: Arc<Route>,
        kind: ContextKind,
        parts: Parts,
        call: HttpCall,
    ) -> Self {
        let mut context = Self::connection(client, route);
        context.request = Some(Arc::new(Requested {
            kind,
            parts,
            call: Mutex::new(Some(call)),
        }));
        context
    }

    /// What this is about.
    pub fn kind(&self) -> ContextKind {
        let request = self.request.as_ref();
        request.map_or(ContextKind::Ws, |request| request.kind)
    }

    /// The head of the request, of one to a controller.
    pub fn request(&self) -> Option<&Parts> {
        self.request.as_ref().map(|request| &request.parts)
    }

    /// The handler of a request, or what it has answered.
    pub(crate) fn http_call(&self) -> Option<MutexGuard<'_, Option<HttpCall>>> {
        let request = self.request.as_ref()?;
        Some(lock(&request.call))
    }

    /// The client. Values kept with it (`client().set(user)`) are read by the extractor `Extension<User>`. Of a request to a
    /// controller it is one that stands for the request: it has the request as its handshake, the query as its `auth`, and
    /// values, but is in no namespace, and what is sent to it goes nowhere.
    pub fn client(&self) -> &Socket {
        &self.client
    }

    /// Whether this is about a client that connects, and not about a message, nor about a request to a controller.
    pub fn is_connection(&self) -> bool {
        self.args.is_none() && self.request.is_none()
    }

    /// The message's event as it stands in `#[subscribe_message(..)]`; `handle_connection` for a connection, and for a
    /// request the path as it stands in `#[get(..)]`.
    pub fn pattern(&self) -> &'static str {
        self.route.pattern
    }

    /// The name of the gateway's struct, or the controller's.
    pub fn gateway(&self) -> &'static str {
        self.route.gateway()
    }

    /// The name of the handler; `handle_connection` for a connection.
    pub fn handler(&self) -> &'static str {
        self.route.handler
    }

    /// What the client sent: the message's body, or for a connection the `auth` object of its CONNECT. Of a request it is
    /// the query, as an object: its body is the handler's to read.
    ///
    /// # Errors
    /// If it is no `T`; the client may read why.
    pub fn data<T: DeserializeOwned + 'static>(&self) -> Result<T, WsException> {
        let read = match &self.args {
            Some(args) => args.body().map_err(|error| BodyRejection::misfit(&error)),
            None => {
                let is_query = self.request.is_some() || self.client.is_plain();
                let part = if is_query { "query" } else { "auth" };
                let auth = self.client.auth();
                auth.map_err(|error| BodyRejection::handshake(part, &error))
            }
        };
        Ok(read?)
    }

    /// Every argument of the message as it came; `None` for a connection.
    pub fn args(&self) -> Option<&Payload> {
        self.args.as_ref()
    }

    /// The value of type `T` that `#[set_metadata(..)]` has put on the handler, or else on the gateway.
    pub fn metadata<T: Any>(&self) -> Option<&T> {
        self.all_metadata().next()
    }

    /// All values of type `T` that `#[set_metadata(..)]` has put on the handler and the gateway, the handler's first.
    pub fn all_metadata<T: Any>(&self) -> impl Iterator<Item = &T> {
        let metadata = self.route.metadata.iter();
        metadata.filter_map(|value| value.downcast_ref())
    }

    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    /// The message with these arguments.
    pub(crate) fn event_of<'a>(&'a self, args: &'a Payload) -> Event<'a> {
        args.as_event(self.route.pattern, self.ack_id)
    }

    fn event(&self) -> Option<Event<'_>> {
        Some(self.event_of(self.args.as_ref()?))
    }

    /// The message, if it asks for an acknowledgement that nobody has touched: whoever takes it answers.
    pub(crate) fn take_question(&self) -> Option<Event<'_>> {
        if self.take_owed() { self.event() } else { None }
    }

    /// Takes the acknowledgement out: whoever has it answers.
    pub(crate) fn take_ack(&self) -> AckState<'static> {
        if self.take_owed() {
            return self.asked();
        }
        let course = self.course.get();
        course.map_or_else(AckState::default, |course| std::mem::take(&mut lock(&course.ack)))
    }

    /// Lets `change` have the acknowledgement.
    pub(crate) fn with_ack<T>(&self, change: impl FnOnce(&mut AckState<'static>) -> T) -> T {
        change(&mut lock(&self.course().ack))
    }

    /// The answer of an async handler, for those who wait for it.
    pub(crate) fn settle(&self, outcome: Outcome) {
        *lock(&self.course().outcome) = Some(outcome);
    }

    pub(crate) fn take_outcome(&self) -> Option<Outcome> {
        lock(&self.course.get()?.outcome).take()
    }

    /// What others than the task of the message see of it, too, from now on.
    fn course(&self) -> &Arc<Course> {
        self.course.get_or_init(|| {
            let ack = if self.take_owed() {
                self.asked()
            } else {
                AckState::NotAsked
            };
            Arc::new(Course {
                ack: Mutex::new(ack),
                outcome: Mutex::default(),
            })
        })
    }

    /// Whether nobody has touched the acknowledgement before; now somebody has.
    fn take_owed(&self) -> bool {
        let is_owed = self.is_owed.load(Ordering::Relaxed);
        if is_owed {
            self.is_owed.store(false, Ordering::Relaxed);
        }
        is_owed
    }

    /// The acknowledgement as the client asked for it.
    fn asked(&self) -> AckState<'static> {
        AckState::asked(self.event().and_then(|event| event.ack(&self.client)))
    }
}

impl Clone for ExecutionContext {
    fn clone(&self) -> Self {
        let course = OnceLock::from(Arc::clone(self.course()));
        Self {
            client: self.client.clone(),
            route: Arc::clone(&self.route),
            args: self.args.clone(),
            ack_id: self.ack_id,
            // It is the course's now.
            is_owed: AtomicBool::new(false),
            course,
            request: self.request.clone(),
        }
    }
}

impl Drop for ExecutionContext {
    fn drop(&mut self) {
        if *self.is_owed.get_mut() {
            // Owed, and dropped as such.
            drop(self.asked());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ExecutionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutionContext")
            .field("client", &self.client)
            .field("gateway", &self.gateway())
            .field("handler", &self.handler())
            .field("pattern", &self.pattern())
            .finish_non_exhaustive()
    }
}
