//! Namespaces that come into being when a client asks for them: the parent that decides on the name and gives its
//! children their middleware, listeners and handler.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::guard::guarded_in;
use crate::hooks::Hooks;
use crate::namespace::Shared;
use crate::pattern::Pattern;
use crate::{ConnectError, Handshake, Io, Namespace, NamespaceHandler, RoomEvent, Socket, lock};

/// A CONNECT to a namespace that does not exist.
#[derive(Debug, Clone)]
pub struct NamespaceRequest {
    name: Box<str>,
    auth: Box<str>,
    handshake: Arc<Handshake>,
}

impl NamespaceRequest {
    pub(crate) fn new(name: &str, auth: &str, handshake: Arc<Handshake>) -> Self {
        Self {
            name: name.into(),
            auth: if auth.is_empty() { "{}" } else { auth }.into(),
            handshake,
        }
    }

    /// The name that the client asks for, with its leading `/`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The JSON object that the client sent with CONNECT; `{}` if it sent none.
    #[must_use]
    pub fn auth_json(&self) -> &str {
        &self.auth
    }

    /// What the client sent with CONNECT.
    ///
    /// # Errors
    /// If it is no `T`.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.auth)
    }

    /// The request that opened the connection.
    #[must_use]
    pub fn handshake(&self) -> &Arc<Handshake> {
        &self.handshake
    }
}

/// Namespaces that come into being when a client asks for them. A child has the middleware, connection listeners and
/// handler that its parent has at that moment. A clone is another handle of the same parent.
///
/// ```
/// # use gatewire_hub::{ConnectError, Io};
/// # let io = Io::default();
/// let rooms = io.of_pattern("/room-:id");
/// rooms.use_middleware(async |socket| match socket.namespace().param("id") {
///     Some("13") => Err(ConnectError::new("out of order")),
///     _ => Ok(()),
/// });
/// rooms.on_connection(|socket| socket.broadcast().emit("entered", &socket.id()));
/// rooms.emit("news", &"to every room");
/// ```
#[derive(Clone)]
pub struct ParentNamespace {
    parent: Arc<Parent>,
    io: Io,
}

impl ParentNamespace {
    pub(crate) fn new(parent: Arc<Parent>, io: Io) -> Self {
        Self { parent, io }
    }

    /// As [`Namespace::use_middleware`], for the children that come after.
    pub fn use_middleware<F, Fut>(&self, middleware: F)
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), ConnectError>> + Send + 'static,
    {
        let middleware = Arc::new(move |socket| middleware(socket).boxed());
        self.parent.hooks.middleware.push(middleware);
    }

    /// As [`Namespace::on_connection`], for the children that come after.
    pub fn on_connection(&self, listener: impl Fn(&Socket) + Send + Sync + 'static) {
        self.parent.hooks.add_connection(listener);
    }

    /// As [`Namespace::on_connection_async`], for the children that come after.
    pub fn on_connection_async<F, Fut>(&self, listener: F)
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.parent.hooks.add_async_connection(listener);
    }

    /// As [`Namespace::on_room_event`], for the children that come after.
    pub fn on_room_event(&self, listener: impl Fn(&Namespace, RoomEvent<'_>) + Send + Sync + 'static) {
        self.parent.hooks.rooms.push(Arc::new(listener));
    }

    /// As [`Namespace::set_handler`], for the children that come after.
    pub fn set_handler(&self, handler: Arc<dyn NamespaceHandler>) -> bool {
        let mut slot = lock(&self.parent.handler);
        let is_free = slot.is_none();
        if is_free {
            *slot = Some(handler);
        }
        is_free
    }

    /// The children that there are.
    #[must_use]
    pub fn children(&self) -> Vec<Namespace> {
        let mut namespaces = self.io.namespaces();
        namespaces.retain(|namespace| {
            namespace
                .parent()
                .is_some_and(|parent| Arc::ptr_eq(parent, &self.parent))
        });
        namespaces
    }

    /// Sends an event with one argument (none if `data` is `()`) to everyone in every child. What cannot be encoded is
    /// logged.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) {
        for namespace in self.children() {
            if let Err(error) = namespace.try_emit(event, data) {
                // It would be the same in every other child.
                return tracing::error!(%error, "an event was not sent");
            }
        }
    }
}

impl fmt::Debug for ParentNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParentNamespace")
            .field("accepts", &self.parent.accepts)
            .finish_non_exhaustive()
    }
}

/// What decides on a name.
pub(crate) enum Accepts {
    Pattern(Pattern),
    Predicate(Box<dyn Fn(&NamespaceRequest) -> bool + Send + Sync>),
    Async(Box<dyn Fn(NamespaceRequest) -> BoxFuture<'static, bool> + Send + Sync>),
}

impl fmt::Debug for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => pattern.fmt(f),
            Self::Predicate(_) => f.write_str("Predicate"),
            Self::Async(_) => f.write_str("Async"),
        }
    }
}

/// The parent itself.
pub(crate) struct Parent {
    pub(crate) accepts: Accepts,
    pub(crate) hooks: Hooks,
    handler: Mutex<Option<Arc<dyn NamespaceHandler>>>,
}

impl Parent {
    pub(crate) fn new(accepts: Accepts) -> Self {
        Self {
            accepts,
            hooks: Hooks::default(),
            handler: Mutex::default(),
        }
    }

    pub(crate) fn release(&self) {
        let handler = lock(&self.handler).take();
        // What it holds may end with it, and hold this parent's server.
        drop(handler);
    }

    /// A child of that name, which is in no table yet.
    pub(crate) fn child(self: &Arc<Self>, name: &str) -> Shared {
        Shared::child(
            name,
            self.clone(),
            lock(&self.handler).clone(),
            Box::new(self.hooks.copy()),
        )
    }

    /// Whether names that the server itself asks for may be this one's children.
    pub(crate) fn matches(&self, name: &str) -> bool {
        matches!(&self.accepts, Accepts::Pattern(pattern) if pattern.matches(name))
    }
}

/// Whether a client may have the namespace it asks for.
pub(crate) enum Admission {
    Open(Namespace),
    /// Who is to be asked is async: the future tells.
    Asked(BoxFuture<'static, Result<Namespace, Refused>>),
    Refused(Refused),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Unknown,
    TooMany,
}

impl Refused {
    pub(crate) fn error(self) -> ConnectError {
        ConnectError::new(match self {
            Self::Unknown => "Invalid namespace",
            Self::TooMany => "Too many namespaces",
        })
    }
}

impl Io {
    /// Namespaces by a pattern of their names, such as `/room-:id` or `/:tenant/chat`: a parameter stands for one
    /// character or more, none of them a `/`, and [`Namespace::param`] tells which. [`Io::of`] makes children of it, too.
    /// Parents are asked in the order in which they were made.
    pub fn of_pattern(&self, pattern: &str) -> ParentNamespace {
        self.add_parent(Accepts::Pattern(Pattern::new(pattern)))
    }

    /// Namespaces by a predicate: a client gets those that it answers with true.
    ///
    /// ```
    /// # let io = gatewire_hub::Io::default();
    /// io.of_predicate(|request| request.name().starts_with("/tenant/"));
    /// ```
    pub fn of_predicate(
        &self,
        predicate: impl Fn(&NamespaceRequest) -> bool + Send + Sync + 'static,
    ) -> ParentNamespace {
        self.add_parent(Accepts::Predicate(Box::new(predicate)))
    }

    /// As [`of_predicate`](Self::of_predicate) with a future; what the client sends meanwhile waits.
    ///
    /// ```
    /// # async fn is_customer(_: &str) -> bool { true }
    /// # let io = gatewire_hub::Io::default();
    /// io.of_predicate_async(async |request| is_customer(request.name()).await);
    /// ```
    pub fn of_predicate_async<F, Fut>(&self, predicate: F) -> ParentNamespace
    where
        F: Fn(NamespaceRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        self.add_parent(Accepts::Async(Box::new(move |request| {
            predicate(request).boxed()
        })))
    }

    fn add_parent(&self, accepts: Accepts) -> ParentNamespace {
        let parent = Arc::new(Parent::new(accepts));
        self.parents().push(parent.clone());
        ParentNamespace::new(parent, self.clone())
    }

    /// The namespace that a client asks for.
    pub(crate) fn admit(&self, name: &str, auth: &str, handshake: &Arc<Handshake>) -> Admission {
        if let Some(namespace) = self.get(name) {
            return Admission::Open(namespace);
        }
        let parents = self.parents().get();
        if parents.is_empty() {
            return Admission::Refused(Refused::Unknown);
        }
        let request = NamespaceRequest::new(name, auth, handshake.clone());
        for (at, parent) in parents.iter().enumerate() {
            let is_accepted = match &parent.accepts {
                Accepts::Pattern(pattern) => pattern.matches(name),
                Accepts::Predicate(predicate) => guarded_in(name, || predicate(&request)) == Some(true),
                Accepts::Async(_) => {
                    return Admission::Asked(ask(self.clone(), parents.clone(), at, request).boxed());
                }
            };
            if is_accepted {
                return match self.child_of(parent, name) {
                    Ok(namespace) => Admission::Open(namespace),
                    Err(refused) => Admission::Refused(refused),
                };
            }
        }
        Admission::Refused(Refused::Unknown)
    }

    /// Whether a client that asks for the namespace may get it: it is there, or a parent may make it.
    #[must_use]
    pub fn may_open(&self, name: &str) -> bool {
        self.get(name).is_some()
            || self.parents().get().iter().any(|parent| match &parent.accepts {
                Accepts::Pattern(pattern) => pattern.matches(name),
                Accepts::Predicate(_) | Accepts::Async(_) => true,
            })
    }

    /// The namespace of that name, made by the parent if need be and within the limit.
    pub(crate) fn child_of(&self, parent: &Arc<Parent>, name: &str) -> Result<Namespace, Refused> {
        let limit = self.config().max_dynamic_namespaces;
        let mut namespaces = self.table().write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = namespaces.by_name.get(name) {
            return Ok(Namespace::new(shared.clone(), self.clone()));
        }
        if namespaces.dynamic >= limit {
            tracing::warn!(
                namespace = name,
                limit,
                "a namespace was refused: max_dynamic_namespaces"
            );
            return Err(Refused::TooMany);
        }
        let opened = namespaces.insert(parent.child(name), self);
        drop(namespaces);
        self.opened(&opened);
        Ok(opened.namespace)
    }
}

/// Asks the parents from `at` on.
async fn ask(
    io: Io,
    parents: Arc<[Arc<Parent>]>,
    at: usize,
    request: NamespaceRequest,
) -> Result<Namespace, Refused> {
    for parent in &parents[at..] {
        let is_accepted = match &parent.accepts {
            Accepts::Pattern(pattern) => pattern.matches(&request.name),
            Accepts::Predicate(predicate) => predicate(&request),
            Accepts::Async(predicate) => predicate(request.clone()).await,
        };
        if is_accepted {
            return io.child_of(parent, &request.name);
        }
    }
    Err(Refused::Unknown)
}
