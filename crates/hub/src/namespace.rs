//! A namespace: its sockets and rooms, its handler, and broadcasts to all of it. Who may enter, and what is done with the
//! events, is the handler's decision.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::FutureExt;
use serde::Serialize;

use crate::dynamic::{Accepts, Parent};
use crate::fanout::Fanout;
use crate::guard::guarded_in;
use crate::handler::Silent;
use crate::hooks::{Hooks, OnRoom};
use crate::presence::Watcher;
use crate::room::{Changes, Members, Receivers, TooManyRooms};
use crate::selection::{IntoRooms, Room, Selection};
use crate::{
    Broadcast, BroadcastAckRequest, ConnectError, EmitError, Id, Io, NamespaceHandler, Payload, RemoteSocket,
    RoomEvent, Socket, lock,
};

/// A namespace of a Socket.IO server. A clone is another handle of the same one.
#[derive(Clone)]
pub struct Namespace {
    shared: Arc<Shared>,
    io: Io,
}

/// The namespace itself.
pub(crate) struct Shared {
    name: Arc<str>,
    members: Mutex<Members>,
    pub(crate) fanout: Fanout,
    ack_ids: AtomicU64,
    /// Read when a socket comes, which keeps it: no event looks here.
    handler: RwLock<Option<Arc<dyn NamespaceHandler>>>,
    hooks: OnceLock<Box<Hooks>>,
    /// Made when somebody asks who is in a room, here or on another node.
    watcher: OnceLock<Arc<Watcher>>,
    /// Whose child it is.
    parent: Option<Arc<Parent>>,
}

impl Shared {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            members: Mutex::default(),
            fanout: Fanout::default(),
            ack_ids: AtomicU64::new(0),
            handler: RwLock::default(),
            hooks: OnceLock::new(),
            watcher: OnceLock::new(),
            parent: None,
        }
    }

    pub(crate) fn child(
        name: &str,
        parent: Arc<Parent>,
        handler: Option<Arc<dyn NamespaceHandler>>,
        hooks: Box<Hooks>,
    ) -> Self {
        Self {
            handler: RwLock::new(handler),
            hooks: hooks.into(),
            parent: Some(parent),
            ..Self::new(name)
        }
    }

    pub(crate) fn release(&self) {
        let handler = self
            .handler
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // What it holds may end with it, and hold this namespace.
        drop(handler);
    }

    pub(crate) fn close_if_empty(&self) -> bool {
        lock(&self.members).close_if_empty()
    }
}

impl Namespace {
    pub(crate) fn new(shared: Arc<Shared>, io: Io) -> Self {
        Self { shared, io }
    }

    /// The name, with its leading `/`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What stands for each parameter of the pattern that the namespace came into being by, in order: `("id", "12")` for
    /// `:id` in `/room-:id`.
    #[must_use]
    pub fn params(&self) -> Vec<(&str, &str)> {
        let Some(Accepts::Pattern(pattern)) = self.parent().map(|parent| &parent.accepts) else {
            return Vec::new();
        };
        pattern.params(self.name()).unwrap_or_default()
    }

    /// What stands for a parameter of the pattern that the namespace came into being by, `12` for `:id` in `/room-:id`.
    #[must_use]
    pub fn param(&self, param: &str) -> Option<&str> {
        self.params()
            .into_iter()
            .find_map(|(name, value)| (name == param).then_some(value))
    }

    /// The server that the namespace belongs to.
    #[must_use]
    pub fn io(&self) -> &Io {
        &self.io
    }

    /// Another namespace of the same server, if it exists.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<Self> {
        self.io.get(name)
    }

    /// Sets who decides on connections and handles events. To be called once, before clients come: a socket keeps the
    /// handler that it finds. A second handler is not taken, and the answer is false.
    pub fn set_handler(&self, handler: Arc<dyn NamespaceHandler>) -> bool {
        let mut slot = self
            .shared
            .handler
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let is_free = slot.is_none();
        if is_free {
            *slot = Some(handler);
        }
        is_free
    }

    /// Asks `middleware` about each CONNECT, before the handler is asked and after the middleware that was added before.
    /// An error is the client's `connect_error`. The socket is in its namespace already: it may join rooms and emit, and
    /// the client gets that right after the confirmation. A client that goes meanwhile is dropped: what is behind the
    /// middleware does not hear of it.
    ///
    /// ```
    /// # use gatewire_hub::{ConnectError, Io, Socket};
    /// # let io = Io::default();
    /// #[derive(serde::Deserialize)]
    /// struct Auth {
    ///     token: String,
    /// }
    ///
    /// async fn authenticate(socket: Socket) -> Result<(), ConnectError> {
    ///     let auth: Auth = socket.auth().map_err(|_| ConnectError::new("no token"))?;
    ///     if auth.token != "sesame" {
    ///         return Err(ConnectError::new("bad token").with_data(serde_json::json!({"code": 7})));
    ///     }
    ///     socket.join("members");
    ///     Ok(())
    /// }
    ///
    /// io.of("/chat").use_middleware(authenticate);
    /// ```
    pub fn use_middleware<F, Fut>(&self, middleware: F)
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), ConnectError>> + Send + 'static,
    {
        let middleware = Arc::new(move |socket| middleware(socket).boxed());
        self.make_hooks().middleware.push(middleware);
    }

    /// Calls `listener` for each socket that is connected: its CONNECT is answered, and none of its events was handled
    /// yet, so that this is the place to add the socket's own listeners. With a handler, that hears of the socket first.
    ///
    /// ```
    /// # use gatewire_hub::Io;
    /// # let io = Io::default();
    /// io.of("/chat").on_connection(|socket| {
    ///     socket.on("say", |socket, event| {
    ///         socket.broadcast().emit_payload("said", &event.to_payload());
    ///     });
    ///     socket.on_disconnect(|socket, reason| println!("{} left: {reason}", socket.id()));
    /// });
    /// ```
    pub fn on_connection(&self, listener: impl Fn(&Socket) + Send + Sync + 'static) {
        self.make_hooks().add_connection(listener);
    }

    /// As [`on_connection`](Self::on_connection) with a future: the first event of the socket waits for its end.
    ///
    /// ```
    /// # use gatewire_hub::Io;
    /// # let io = Io::default();
    /// # async fn history() -> Vec<String> { Vec::new() }
    /// io.of("/chat").on_connection_async(async |socket| {
    ///     socket.emit("history", &history().await);
    /// });
    /// ```
    pub fn on_connection_async<F, Fut>(&self, listener: F)
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.make_hooks().add_async_connection(listener);
    }

    /// Calls `listener` for whatever happens to the namespace's rooms in this process, from now on: right after it has
    /// happened, by whoever did it. A socket's own room is told when its CONNECT is answered.
    ///
    /// ```
    /// # use gatewire_hub::{Io, RoomEvent};
    /// # let io = Io::default();
    /// io.of("/").on_room_event(|namespace, event| {
    ///     if let RoomEvent::Joined { room, id } = event {
    ///         namespace.to("admins").emit("room_joined", &(room, id));
    ///     }
    /// });
    /// ```
    pub fn on_room_event(&self, listener: impl Fn(&Self, RoomEvent<'_>) + Send + Sync + 'static) {
        self.make_hooks().rooms.push(Arc::new(listener));
    }

    /// Sends an event with one argument (none if `data` is `()`) to everyone. What cannot be encoded is logged.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) {
        self.everyone().emit(event, data);
    }

    /// As [`emit`](Self::emit).
    ///
    /// # Errors
    /// If the data cannot be JSON, or the name is reserved.
    pub fn try_emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), EmitError> {
        self.everyone().try_emit(event, data)
    }

    /// Sends an event whose arguments are the elements of a tuple, array or list to everyone. What cannot be encoded is
    /// logged.
    pub fn emit_args<T: Serialize + ?Sized>(&self, event: &str, args: &T) {
        self.everyone().emit_args(event, args);
    }

    /// Sends an event with arguments that came in elsewhere to everyone.
    pub fn emit_payload(&self, event: &str, payload: &Payload) {
        self.everyone().emit_payload(event, payload);
    }

    /// Sends an event to everyone and asks for answers: await what is returned.
    pub fn emit_with_ack<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> BroadcastAckRequest {
        self.everyone().emit_with_ack(event, data)
    }

    /// As [`emit_with_ack`](Self::emit_with_ack) with the elements of a tuple, array or list as arguments.
    pub fn emit_args_with_ack<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> BroadcastAckRequest {
        self.everyone().emit_args_with_ack(event, args)
    }

    /// A broadcast to everyone, as a start for operators.
    pub fn everyone(&self) -> Broadcast {
        Broadcast::new(self.clone(), Selection::default())
    }

    /// A broadcast to the rooms.
    pub fn to(&self, rooms: impl IntoRooms) -> Broadcast {
        self.everyone().to(rooms)
    }

    /// The same as [`to`](Self::to).
    pub fn in_room(&self, rooms: impl IntoRooms) -> Broadcast {
        self.to(rooms)
    }

    /// A broadcast to everyone who is not in the rooms.
    pub fn except(&self, rooms: impl IntoRooms) -> Broadcast {
        self.everyone().except(rooms)
    }

    /// A broadcast that is dropped for receivers that cannot take it at once.
    pub fn volatile(&self) -> Broadcast {
        self.everyone().volatile()
    }

    /// A broadcast that may, or may not, be compressed.
    pub fn compress(&self, compress: bool) -> Broadcast {
        self.everyone().compress(compress)
    }

    /// A broadcast to the sockets of this process alone.
    pub fn local(&self) -> Broadcast {
        self.everyone().local()
    }

    /// Waits until everyone has room for more; see [`Broadcast::writable`].
    pub async fn writable(&self) -> Vec<Socket> {
        self.everyone().writable().await
    }

    /// A broadcast whose answers are waited for so long.
    pub fn timeout(&self, timeout: Duration) -> Broadcast {
        self.everyone().timeout(timeout)
    }

    /// The sockets of this process; those whose CONNECT is not answered yet included.
    #[must_use]
    pub fn sockets(&self) -> Vec<Socket> {
        self.everyone().sockets()
    }

    /// The socket of this process with that id.
    #[must_use]
    pub fn socket(&self, id: &str) -> Option<Socket> {
        lock(&self.shared.members).get(&Id::parse(id)?).cloned()
    }

    /// How many sockets of this process are in the namespace.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.shared.members).len()
    }

    /// Whether no socket of this process is in the namespace.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rooms that have a socket of this process in them, without the sockets' own rooms.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        lock(&self.shared.members).rooms()
    }

    /// How many sockets and rooms of this process there are, without the sockets' own rooms.
    pub(crate) fn size(&self) -> (usize, usize) {
        let members = lock(&self.shared.members);
        (members.len(), members.rooms_len())
    }

    /// Answers that the clients of this process owe: of `emit_with_ack` to one of them, and to each of many. Each socket is
    /// looked at.
    #[must_use]
    pub fn pending_acks(&self) -> usize {
        self.sockets().iter().map(Socket::pending_acks).sum()
    }

    /// Whether a socket of this process is in the room, which may be the room of a socket alone.
    #[must_use]
    pub fn has_room(&self, room: &str) -> bool {
        lock(&self.shared.members).has_room(room)
    }

    /// The sockets of the whole cluster, as they are now.
    pub async fn fetch_sockets(&self) -> Vec<RemoteSocket> {
        self.everyone().fetch_sockets().await
    }

    /// Everyone enters rooms.
    pub fn sockets_join(&self, rooms: impl IntoRooms) {
        self.everyone().sockets_join(rooms);
    }

    /// Everyone leaves rooms.
    pub fn sockets_leave(&self, rooms: impl IntoRooms) {
        self.everyone().sockets_leave(rooms);
    }

    /// Everyone is put out of the namespace; with `close` their connections end.
    pub fn disconnect_sockets(&self, close: bool) {
        self.everyone().disconnect_sockets(close);
    }

    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.shared.name
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// For a new socket.
    pub(crate) fn handler(&self) -> Arc<dyn NamespaceHandler> {
        let handler = self.shared.handler.read().unwrap_or_else(PoisonError::into_inner);
        handler.clone().unwrap_or_else(|| Arc::new(Silent))
    }

    pub(crate) fn hooks(&self) -> Option<&Hooks> {
        self.shared.hooks.get().map(|hooks| &**hooks)
    }

    pub(crate) fn make_hooks(&self) -> &Hooks {
        self.shared.hooks.get_or_init(Box::default)
    }

    pub(crate) fn watcher(&self) -> Arc<Watcher> {
        self.shared.watcher.get_or_init(|| Watcher::new(self)).clone()
    }

    /// `None` if nobody has asked who is in a room.
    pub(crate) fn watcher_if_any(&self) -> Option<&Arc<Watcher>> {
        self.shared.watcher.get()
    }

    pub(crate) fn next_ack_id(&self) -> u64 {
        self.shared.ack_ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn select(&self, selection: &Selection) -> Receivers {
        lock(&self.shared.members).select(selection)
    }

    pub(crate) fn parent(&self) -> Option<&Arc<Parent>> {
        self.shared.parent.as_ref()
    }

    /// False if the namespace has ended.
    #[must_use]
    pub(crate) fn add(&self, socket: &Socket) -> bool {
        lock(&self.shared.members).add(socket)
    }

    pub(crate) fn remove(&self, socket: &Socket) {
        let listeners = self.room_listeners();
        let changes = lock(&self.shared.members).remove(socket, listeners.is_some());
        self.tell_left(socket, &changes, listeners.as_deref());
        if let Some(listeners) = listeners {
            self.tell_own_room_left(socket, &listeners);
        }
        if self.parent().is_some() && self.io.config().cleanup_empty_child_namespaces && self.is_empty() {
            self.io.close_child(self);
        }
    }

    /// Those of the rooms that do not fit are left out, which is logged.
    pub(crate) fn join(&self, socket: &Socket, rooms: Vec<Room>) {
        if let Err(error) = self.try_join(socket, rooms) {
            tracing::warn!(namespace = self.name(), socket = socket.id_str(), %error, "a room was not entered");
        }
    }

    pub(crate) fn try_join(&self, socket: &Socket, rooms: Vec<Room>) -> Result<(), TooManyRooms> {
        let changes = self.join_untold(socket, rooms);
        self.tell_joined(socket, &changes);
        if changes.is_full {
            return Err(TooManyRooms {
                limit: self.io.config().max_rooms_per_socket,
            });
        }
        Ok(())
    }

    /// Calls nobody: [`tell_joined`](Self::tell_joined) is to follow.
    pub(crate) fn join_untold(&self, socket: &Socket, rooms: Vec<Room>) -> Changes {
        let is_heard = self.room_listeners().is_some();
        let max = self.io.config().max_rooms_per_socket;
        lock(&self.shared.members).join(socket, rooms, max, is_heard)
    }

    pub(crate) fn tell_joined(&self, socket: &Socket, changes: &Changes) {
        let listeners = self.room_listeners();
        if let Some(cluster) = self.io.cluster() {
            for room in &changes.rooms {
                cluster.room_created(self.name(), room);
            }
        }
        let Some(listeners) = listeners else {
            return;
        };
        for room in &changes.memberships {
            if **room == *socket.id_str() {
                self.tell_own_room(socket);
                continue;
            }
            if changes.rooms.contains(room) {
                self.tell(&listeners, RoomEvent::Created { room });
            }
            let id = socket.id();
            self.tell(&listeners, RoomEvent::Joined { room, id });
        }
    }

    pub(crate) fn leave(&self, socket: &Socket, rooms: &[Room]) {
        let listeners = self.room_listeners();
        let changes = lock(&self.shared.members).leave(socket, rooms, listeners.is_some());
        self.tell_left(socket, &changes, listeners.as_deref());
    }

    /// Tells that a socket is in its own room, as soon as it is connected.
    pub(crate) fn tell_own_room(&self, socket: &Socket) {
        if let Some(listeners) = self.room_listeners()
            && socket.connected()
            && socket.is_in_own_room()
            && !socket.mark_own_room_told(true)
        {
            let (room, id) = (socket.id_str(), socket.id());
            self.tell(&listeners, RoomEvent::Created { room });
            self.tell(&listeners, RoomEvent::Joined { room, id });
        }
    }

    fn tell_own_room_left(&self, socket: &Socket, listeners: &[OnRoom]) {
        if socket.mark_own_room_told(false) {
            let (room, id) = (socket.id_str(), socket.id());
            self.tell(listeners, RoomEvent::Left { room, id });
            self.tell(listeners, RoomEvent::Deleted { room });
        }
    }

    fn tell_left(&self, socket: &Socket, changes: &Changes, listeners: Option<&[OnRoom]>) {
        if let Some(cluster) = self.io.cluster() {
            for room in &changes.rooms {
                cluster.room_deleted(self.name(), room);
            }
        }
        let Some(listeners) = listeners else {
            return;
        };
        for room in &changes.memberships {
            if **room == *socket.id_str() {
                self.tell_own_room_left(socket, listeners);
                continue;
            }
            let id = socket.id();
            self.tell(listeners, RoomEvent::Left { room, id });
            if changes.rooms.contains(room) {
                self.tell(listeners, RoomEvent::Deleted { room });
            }
        }
    }

    fn tell(&self, listeners: &[OnRoom], event: RoomEvent<'_>) {
        for listener in listeners {
            guarded_in(self.name(), || listener(self, event));
        }
    }

    /// `None` if there are none.
    fn room_listeners(&self) -> Option<Arc<[OnRoom]>> {
        let listeners = self.hooks()?.rooms.get();
        (!listeners.is_empty()).then_some(listeners)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Namespace").field(&self.name()).finish()
    }
}
