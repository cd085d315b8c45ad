//! Listeners of one socket: events by name or all of them, middleware, what is sent, and the leaving. A socket without
//! listeners has none of this: it then costs a look at one byte.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, FutureExt};
use gatewire_proto::socketio::{self, Limits};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::Socket;
use super::changes::{OnDataChange, OnUpgrade};
use crate::guard::guarded;
use crate::{DisconnectReason, Event, OwnedEvent, Prepared, lock};

/// There are listeners of events, or middleware.
const EVENTS: u8 = 1;
/// There are listeners of what is sent.
const OUTGOING: u8 = 2;
/// There are listeners of the leaving.
const LEAVING: u8 = 4;
/// The socket has left: no listener is taken any more.
const ENDED: u8 = 8;
/// The namespace's listeners were told that the socket is in its own room.
const OWN_ROOM_TOLD: u8 = 16;
/// Some messages were sent already, from a cluster's log.
const SEEN: u8 = 32;
/// There are listeners of upgrades, or of the data.
pub(super) const CHANGES: u8 = 64;
/// Events that the client does not take are dropped.
pub(super) const LOSSY: u8 = 128;
/// There are listeners of some kind.
const LISTENERS: u8 = EVENTS | OUTGOING | LEAVING | CHANGES;

pub(super) type OnEvent = Arc<dyn Fn(&Socket, &Event<'_>) -> Option<BoxFuture<'static, ()>> + Send + Sync>;
pub(super) type OnOutgoing = Arc<dyn Fn(&Socket, &Event<'_>) + Send + Sync>;
pub(super) type OnLeave =
    Arc<dyn Fn(&Socket, DisconnectReason) -> Option<BoxFuture<'static, ()>> + Send + Sync>;
pub(super) type Filter = Arc<dyn Fn(&Socket, &Event<'_>) -> Verdict + Send + Sync>;

/// What a middleware says.
pub(super) enum Verdict {
    Now(Result<(), EventError>),
    Later(BoxFuture<'static, Result<(), EventError>>),
}

/// Why a middleware drops an event. If the client wants an acknowledgement, it gets
/// `{"status":"error","message":…,"data":…}`.
#[derive(Debug, Clone, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct EventError {
    /// What is wrong.
    pub message: String,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl EventError {
    /// An error without data.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }

    /// The error with `data` for the client.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }
}

/// Names one listener of a socket, to take it away again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// All listeners of a socket, in the order in which they came. Copied when changed, if somebody reads at the time.
#[derive(Clone, Default)]
pub(super) struct Listeners {
    last: u64,
    pub(super) any: Vec<(ListenerId, OnEvent)>,
    pub(super) middleware: Vec<(ListenerId, Filter)>,
    pub(super) named: Vec<Named>,
    outgoing: Vec<(ListenerId, OnOutgoing)>,
    pub(super) disconnecting: Vec<(ListenerId, OnLeave)>,
    pub(super) disconnect: Vec<(ListenerId, OnLeave)>,
    pub(super) upgrade: Vec<(ListenerId, OnUpgrade)>,
    pub(super) data_change: Vec<(ListenerId, OnDataChange)>,
}

#[derive(Clone)]
pub(super) struct Named {
    pub(super) id: ListenerId,
    pub(super) name: Arc<str>,
    pub(super) call: OnEvent,
    pub(super) is_once: bool,
}

impl Listeners {
    fn uses(&self) -> u8 {
        let is_leaving = !self.disconnecting.is_empty() || !self.disconnect.is_empty();
        let is_event = !self.any.is_empty() || !self.middleware.is_empty() || !self.named.is_empty();
        let is_change = !self.upgrade.is_empty() || !self.data_change.is_empty();
        u8::from(is_event) * EVENTS
            + u8::from(is_change) * CHANGES
            + u8::from(!self.outgoing.is_empty()) * OUTGOING
            + u8::from(is_leaving) * LEAVING
    }

    fn keep(&mut self, mut is_kept: impl FnMut(ListenerId) -> bool) {
        self.any.retain(|(id, _)| is_kept(*id));
        self.middleware.retain(|(id, _)| is_kept(*id));
        self.named.retain(|named| is_kept(named.id));
        self.outgoing.retain(|(id, _)| is_kept(*id));
        self.disconnecting.retain(|(id, _)| is_kept(*id));
        self.disconnect.retain(|(id, _)| is_kept(*id));
        self.upgrade.retain(|(id, _)| is_kept(*id));
        self.data_change.retain(|(id, _)| is_kept(*id));
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners")
            .field(
                "named",
                &self.named.iter().map(|named| &named.name).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

/// Listeners: the events of this socket without a [`NamespaceHandler`](crate::NamespaceHandler), or beside one.
///
/// For each event of the client, this is the order: the listeners of [`on_any`](Self::on_any), the middleware, the
/// namespace's handler, the listeners of the event's name. Each is called in the order in which it was added. Those
/// that are async run side by side; the next event of the socket is handled when all of them have ended. A listener
/// that is added or taken away meanwhile counts from the next event on.
///
/// All listeners are dropped when the socket has left; one that is added then is not kept.
impl Socket {
    /// Calls `listener` for each event of that name that the client sends.
    ///
    /// ```
    /// # use gatewire_hub::Io;
    /// # let io = Io::default();
    /// io.of("/chat").on_connection(|socket| {
    ///     socket.on("say", |socket, event| {
    ///         match event.body::<String>() {
    ///             Ok(words) => socket.broadcast().emit("said", &words),
    ///             Err(error) => socket.emit("error", &error.to_string()),
    ///         }
    ///         if let Some(ack) = event.ack(socket) {
    ///             ack.send("ok");
    ///         }
    ///     });
    /// });
    /// ```
    pub fn on(
        &self,
        event: &str,
        listener: impl Fn(&Self, &Event<'_>) + Send + Sync + 'static,
    ) -> ListenerId {
        self.add_named(event, false, now(listener))
    }

    /// As [`on`](Self::on) with a future: the socket's next event waits for its end.
    ///
    /// ```
    /// # use gatewire_hub::Io;
    /// # let io = Io::default();
    /// io.of("/").on_connection(|socket| {
    ///     socket.on_async("quote", async |socket, event| {
    ///         let price = async { 42 }.await; // ask somebody
    ///         if let Some(ack) = event.ack(&socket) {
    ///             ack.send(&price);
    ///         }
    ///     });
    /// });
    /// ```
    pub fn on_async<F, Fut>(&self, event: &str, listener: F) -> ListenerId
    where
        F: Fn(Self, OwnedEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.add_named(event, false, later(listener))
    }

    /// Calls `listener` for the next event of that name, and no other.
    pub fn once(&self, event: &str, listener: impl FnOnce(&Self, &Event<'_>) + Send + 'static) -> ListenerId {
        let listener = Mutex::new(Some(listener));
        let call = now(move |socket, event| {
            let listener = lock(&listener).take();
            if let Some(listener) = listener {
                listener(socket, event);
            }
        });
        self.add_named(event, true, call)
    }

    /// As [`once`](Self::once) with a future.
    pub fn once_async<F, Fut>(&self, event: &str, listener: F) -> ListenerId
    where
        F: FnOnce(Self, OwnedEvent) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = Mutex::new(Some(listener));
        let call: OnEvent = Arc::new(move |socket, event| {
            let listener = lock(&listener).take()?;
            Some(listener(socket.clone(), event.to_owned()).boxed())
        });
        self.add_named(event, true, call)
    }

    /// Takes away all listeners of the events of that name.
    pub fn off(&self, event: &str) {
        self.change(|listeners| listeners.named.retain(|named| *named.name != *event));
    }

    /// Takes away one listener or middleware, of whatever kind. False if it was not there.
    pub fn off_listener(&self, id: ListenerId) -> bool {
        let mut is_found = false;
        self.change(|listeners| {
            listeners.keep(|other| {
                is_found |= other == id;
                other != id
            });
        });
        is_found
    }

    /// Calls `listener` for every event that the client sends, before all others.
    pub fn on_any(&self, listener: impl Fn(&Self, &Event<'_>) + Send + Sync + 'static) -> ListenerId {
        let call = now(listener);
        self.add(|listeners, id| listeners.any.push((id, call)))
    }

    /// As [`on_any`](Self::on_any), before those that are there already.
    pub fn prepend_any(&self, listener: impl Fn(&Self, &Event<'_>) + Send + Sync + 'static) -> ListenerId {
        let call = now(listener);
        self.add(|listeners, id| listeners.any.insert(0, (id, call)))
    }

    /// As [`on_any`](Self::on_any) with a future: the socket's next event waits for its end.
    pub fn on_any_async<F, Fut>(&self, listener: F) -> ListenerId
    where
        F: Fn(Self, OwnedEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let call = later(listener);
        self.add(|listeners, id| listeners.any.push((id, call)))
    }

    /// The listeners of every event, in the order of their calls.
    #[must_use]
    pub fn listeners_any(&self) -> Vec<ListenerId> {
        let listeners = self.listeners().unwrap_or_default();
        listeners.any.iter().map(|(id, _)| *id).collect()
    }

    /// Takes away the listeners of every event.
    pub fn off_any(&self) {
        self.change(|listeners| listeners.any.clear());
    }

    /// Calls `listener` for every event that is sent to the client, broadcasts included, acknowledgements not. It is
    /// called by whoever sends; what it sends to the same socket is heard by it again.
    pub fn on_any_outgoing(
        &self,
        listener: impl Fn(&Self, &Event<'_>) + Send + Sync + 'static,
    ) -> ListenerId {
        let call: OnOutgoing = Arc::new(listener);
        self.add(|listeners, id| listeners.outgoing.push((id, call)))
    }

    /// As [`on_any_outgoing`](Self::on_any_outgoing) with a future, which runs as those of [`spawn`](Self::spawn) do: who
    /// sends does not wait for it, and several run side by side. While 1,024 of one listener run, further events are not
    /// told to it.
    pub fn on_any_outgoing_async<F, Fut>(&self, listener: F) -> ListenerId
    where
        F: Fn(Self, OwnedEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let call = spawned(listener);
        self.add(|listeners, id| listeners.outgoing.push((id, call)))
    }

    /// As [`on_any_outgoing`](Self::on_any_outgoing), before those that are there already.
    pub fn prepend_any_outgoing(
        &self,
        listener: impl Fn(&Self, &Event<'_>) + Send + Sync + 'static,
    ) -> ListenerId {
        let call: OnOutgoing = Arc::new(listener);
        self.add(|listeners, id| listeners.outgoing.insert(0, (id, call)))
    }

    /// The listeners of every event that is sent, in the order of their calls.
    #[must_use]
    pub fn listeners_any_outgoing(&self) -> Vec<ListenerId> {
        let listeners = self.listeners().unwrap_or_default();
        listeners.outgoing.iter().map(|(id, _)| *id).collect()
    }

    /// Takes away the listeners of what is sent.
    pub fn off_any_outgoing(&self) {
        self.change(|listeners| listeners.outgoing.clear());
    }

    /// Asks `middleware` about each event of the client before it is handled. An error drops the event, and is the
    /// answer if the client wants one; the connection stays.
    ///
    /// ```
    /// # use gatewire_hub::{EventError, Io};
    /// # let io = Io::default();
    /// io.of("/").on_connection(|socket| {
    ///     socket.use_middleware(|_socket, event| match event.name() {
    ///         "shutdown" => Err(EventError::new("not you")),
    ///         _ => Ok(()),
    ///     });
    /// });
    /// ```
    pub fn use_middleware(
        &self,
        middleware: impl Fn(&Self, &Event<'_>) -> Result<(), EventError> + Send + Sync + 'static,
    ) -> ListenerId {
        let filter: Filter = Arc::new(move |socket, event| Verdict::Now(middleware(socket, event)));
        self.add(|listeners, id| listeners.middleware.push((id, filter)))
    }

    /// As [`use_middleware`](Self::use_middleware) with a future.
    pub fn use_middleware_async<F, Fut>(&self, middleware: F) -> ListenerId
    where
        F: Fn(Self, OwnedEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), EventError>> + Send + 'static,
    {
        let filter: Filter = Arc::new(move |socket, event| {
            Verdict::Later(middleware(socket.clone(), event.to_owned()).boxed())
        });
        self.add(|listeners, id| listeners.middleware.push((id, filter)))
    }

    /// Calls `listener` when the socket leaves, while [`rooms`](Self::rooms) still tells where it was. Messages no
    /// longer reach the client.
    pub fn on_disconnecting(
        &self,
        listener: impl Fn(&Self, DisconnectReason) + Send + Sync + 'static,
    ) -> ListenerId {
        let call = now_leaving(listener);
        self.add(|listeners, id| listeners.disconnecting.push((id, call)))
    }

    /// As [`on_disconnecting`](Self::on_disconnecting) with a future: the rooms are known until its end.
    pub fn on_disconnecting_async<F, Fut>(&self, listener: F) -> ListenerId
    where
        F: Fn(Self, DisconnectReason) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let call = later_leaving(listener);
        self.add(|listeners, id| listeners.disconnecting.push((id, call)))
    }

    /// Calls `listener` when the socket has left, and is in no room any more.
    pub fn on_disconnect(
        &self,
        listener: impl Fn(&Self, DisconnectReason) + Send + Sync + 'static,
    ) -> ListenerId {
        let call = now_leaving(listener);
        self.add(|listeners, id| listeners.disconnect.push((id, call)))
    }

    /// As [`on_disconnect`](Self::on_disconnect) with a future.
    pub fn on_disconnect_async<F, Fut>(&self, listener: F) -> ListenerId
    where
        F: Fn(Self, DisconnectReason) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let call = later_leaving(listener);
        self.add(|listeners, id| listeners.disconnect.push((id, call)))
    }

    fn add_named(&self, event: &str, is_once: bool, call: OnEvent) -> ListenerId {
        let name = event.into();
        self.add(|listeners, id| {
            listeners.named.push(Named {
                id,
                name,
                call,
                is_once,
            });
        })
    }

    pub(super) fn add(&self, add: impl FnOnce(&mut Listeners, ListenerId)) -> ListenerId {
        let mut local = self.locked();
        if self.uses(ENDED) {
            // What is not taken is the user's: it goes when the lock has gone.
            drop(local);
            return ListenerId(0);
        }
        let listeners = Arc::make_mut(local.rare().listeners.get_or_insert_default());
        listeners.last += 1;
        let id = ListenerId(listeners.last);
        add(listeners, id);
        let uses = listeners.uses();
        self.0.uses.fetch_or(uses, Ordering::Release);
        id
    }

    fn change(&self, change: impl FnOnce(&mut Listeners)) {
        let mut local = self.locked();
        let Some(rare) = &mut local.rare else {
            return;
        };
        let Some(listeners) = &mut rare.listeners else {
            return;
        };
        // What is taken away is dropped when the lock is gone: it may be the user's.
        let before = listeners.clone();
        let listeners = Arc::make_mut(listeners);
        change(listeners);
        let uses = listeners.uses();
        self.0.uses.fetch_and(!LISTENERS | uses, Ordering::Release);
        drop(local);
        drop(before);
    }

    pub(super) fn uses(&self, what: u8) -> bool {
        self.0.uses.load(Ordering::Acquire) & what != 0
    }

    pub(super) fn listeners(&self) -> Option<Arc<Listeners>> {
        self.locked().rare.as_ref()?.listeners.clone()
    }

    /// Whether events go to more than the namespace's handler.
    pub(crate) fn hears_events(&self) -> bool {
        self.uses(EVENTS)
    }

    /// Whether the leaving is told to more than the namespace's handler.
    pub(crate) fn hears_leaving(&self) -> bool {
        self.uses(LEAVING)
    }

    /// Whether what is sent is to be looked at before.
    pub(super) fn looks_at_outgoing(&self) -> bool {
        self.uses(OUTGOING | SEEN | LOSSY)
    }

    pub(super) fn mark_seen(&self, has_seen: bool) {
        if has_seen {
            self.0.uses.fetch_or(SEEN, Ordering::Release);
        } else {
            self.0.uses.fetch_and(!SEEN, Ordering::Release);
        }
    }

    /// Tells the listeners of what is sent. False if it must not be: the client has it already, or takes nothing at present.
    pub(super) fn look_at_outgoing(&self, message: &Prepared) -> bool {
        if self.uses(SEEN) && self.has_seen(message) {
            return false;
        }
        if self.uses(LOSSY) && self.outbox().drops_event() {
            return false;
        }
        if self.uses(OUTGOING) {
            self.tell_outgoing(message);
        }
        true
    }

    /// Drops the listeners, which may hold the socket itself.
    pub(crate) fn end_listeners(&self) {
        let mut local = self.locked();
        self.0.uses.fetch_or(ENDED, Ordering::Release);
        self.0.uses.fetch_and(!LISTENERS, Ordering::Release);
        let listeners = local.rare.as_mut().and_then(|rare| rare.listeners.take());
        local.trim();
        drop(local);
        drop(listeners);
    }

    /// Marks the own room as told, or not; what it was before.
    pub(crate) fn mark_own_room_told(&self, is_told: bool) -> bool {
        let before = if is_told {
            self.0.uses.fetch_or(OWN_ROOM_TOLD, Ordering::AcqRel)
        } else {
            self.0.uses.fetch_and(!OWN_ROOM_TOLD, Ordering::AcqRel)
        };
        before & OWN_ROOM_TOLD != 0
    }

    /// Takes a listener that is called once away: only who succeeds may call it.
    pub(super) fn take_once(&self, id: ListenerId) -> bool {
        let mut is_found = false;
        self.change(|listeners| {
            listeners.named.retain(|named| {
                is_found |= named.id == id;
                named.id != id
            });
        });
        is_found
    }

    fn tell_outgoing(&self, message: &Prepared) {
        let Some(listeners) = self.listeners() else {
            return;
        };
        let limits = Limits {
            max_depth: usize::MAX,
            ..Limits::default()
        };
        let Ok(body) = socketio::scan_event(message.data(), &limits) else {
            return;
        };
        let attachments = message.attachments();
        let event = Event::new(body, &attachments, None);
        for (_, call) in &listeners.outgoing {
            guarded(self, || call(self, &event));
        }
    }
}

fn now(listener: impl Fn(&Socket, &Event<'_>) + Send + Sync + 'static) -> OnEvent {
    Arc::new(move |socket, event| {
        listener(socket, event);
        None
    })
}

fn later<F, Fut>(listener: F) -> OnEvent
where
    F: Fn(Socket, OwnedEvent) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |socket, event| Some(listener(socket.clone(), event.to_owned()).boxed()))
}

/// The futures of one listener that may run at a time.
const MAX_SPAWNED: usize = 1_024;

fn spawned<F, Fut>(listener: F) -> OnOutgoing
where
    F: Fn(Socket, OwnedEvent) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MAX_SPAWNED));
    Arc::new(move |socket, event| {
        let Ok(place) = places.clone().try_acquire_owned() else {
            let (socket, event) = (socket.id(), event.name());
            tracing::warn!(%socket, event, "a listener of what is sent was not called: {MAX_SPAWNED} of its futures run");
            return;
        };
        let future = listener(socket.clone(), event.to_owned());
        socket.spawn(async move {
            future.await;
            drop(place);
        });
    })
}

fn now_leaving(listener: impl Fn(&Socket, DisconnectReason) + Send + Sync + 'static) -> OnLeave {
    Arc::new(move |socket, reason| {
        listener(socket, reason);
        None
    })
}

fn later_leaving<F, Fut>(listener: F) -> OnLeave
where
    F: Fn(Socket, DisconnectReason) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |socket, reason| Some(listener(socket.clone(), reason).boxed()))
}
