//! One client in one namespace: the handle that handlers get. Its events go from the connection's
//! [`Client`](crate::Client) to the namespace's handler, and to the socket's own listeners if it has some.

mod beside;
mod changes;
mod dispatch;
mod listen;
mod state;

use std::any::{Any, TypeId};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use gatewire_proto::engineio::TransportKind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::encode::{self, Arguments, Encoded, One, Spread};
use crate::fanout::{self, Job};
use crate::plain::Wire;
use crate::room::{Receivers, TooManyRooms};
use crate::selection::{Flags, IntoRooms, Room, Selection};
use crate::{
    AckRequest, Broadcast, DisconnectReason, EmitError, Handshake, Id, Namespace, NamespaceHandler, Outbox,
    Payload, Prepared,
};

pub(crate) use beside::Beside;
pub(crate) use dispatch::{dispatch, leave};
pub use listen::{EventError, ListenerId};
pub(crate) use state::{Connection, Local, State};

/// A client in a namespace. A clone is another handle of the same socket, to be used and kept anywhere.
#[derive(Clone)]
pub struct Socket(Arc<Inner>);

struct Inner {
    id: Id,
    /// A [`State`]. Changes only under the lock of `local`.
    state: AtomicU8,
    in_own_room: AtomicBool,
    /// Why the socket leaves, once it does.
    reason: AtomicU8,
    /// Which of its listeners there are, so that most sockets need not look. Changes only under the lock of `local`,
    /// but for the namespace's mark.
    uses: AtomicU8,
    namespace: Namespace,
    handler: Arc<dyn NamespaceHandler>,
    outbox: Arc<dyn Outbox>,
    connection: Arc<Connection>,
    auth: Option<Box<RawValue>>,
    local: Mutex<Local>,
}

impl Socket {
    pub(crate) fn new(
        id: Id,
        namespace: Namespace,
        outbox: Arc<dyn Outbox>,
        connection: Arc<Connection>,
        auth: Option<Box<RawValue>>,
    ) -> Self {
        Self(Arc::new(Inner {
            id,
            state: AtomicU8::new(State::Connecting as u8),
            in_own_room: AtomicBool::new(true),
            reason: AtomicU8::new(0),
            uses: AtomicU8::new(if outbox.is_lossy() { listen::LOSSY } else { 0 }),
            handler: namespace.handler(),
            namespace,
            outbox,
            connection,
            auth,
            local: Mutex::default(),
        }))
    }

    /// The same connection's socket in another namespace.
    pub(crate) fn moved_to(&self, namespace: Namespace) -> Self {
        let (outbox, connection) = (self.0.outbox.clone(), self.0.connection.clone());
        Self::new(self.0.id, namespace, outbox, connection, self.0.auth.clone())
    }

    /// The socket's id, which its client knows, too. It is not the id of the connection, but for a client of Socket.IO 2;
    /// such a one shows the id in other namespaces than `/` as `/namespace#id`.
    #[must_use]
    pub fn id(&self) -> Id {
        self.0.id
    }

    /// Who decides on it and handles its events: what its namespace had when it came.
    pub(crate) fn handler(&self) -> &dyn NamespaceHandler {
        &*self.0.handler
    }

    pub(crate) fn id_str(&self) -> &str {
        self.0.id.as_str()
    }

    /// The namespace that the socket is in.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// The request that opened the connection.
    #[must_use]
    pub fn handshake(&self) -> &Arc<Handshake> {
        &self.0.connection.handshake
    }

    /// The JSON object that the client sent with CONNECT; `{}` if it sent none.
    #[must_use]
    pub fn auth_json(&self) -> &str {
        self.0.auth.as_ref().map_or("{}", |auth| auth.get())
    }

    /// What the client sent with CONNECT.
    ///
    /// # Errors
    /// If it is no `T`.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.auth_json())
    }

    /// The handshake object of the Node server, this socket's `auth` included.
    #[must_use]
    pub fn handshake_json(&self) -> serde_json::Value {
        self.handshake().to_json(self.0.auth.as_deref())
    }

    /// What carries the packets at present.
    #[must_use]
    pub fn transport(&self) -> TransportKind {
        self.0.outbox.transport()
    }

    /// The subprotocol that was agreed on with a plain WebSocket client, `client.protocol` in Node; `None` if none was, and
    /// for clients of Socket.IO, which have none.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.0.outbox.subprotocol()
    }

    /// Whether the client is none of Socket.IO: a plain WebSocket client, or one that only listens (Server-Sent Events).
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.connection.is_plain
    }

    /// Notes that the client has sent what nobody can handle: no event that there is, or not what it takes. Too many of
    /// these end the connection of a plain client, as [`PlainFormat::max_faults`](crate::PlainFormat::max_faults) says.
    pub fn note_fault(&self) {
        self.0.outbox.note_fault();
    }

    /// The id of the connection, `socket.conn.id` in Node: all sockets of one connection have the same. It is the key to the
    /// session, not to be shown to other clients. `None` if what carries the connection knows none.
    #[must_use]
    pub fn connection_id(&self) -> Option<Id> {
        self.0.outbox.sid()
    }

    /// Whether the client has been told that it is connected, and has not left.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.state() == State::Connected
    }

    /// Whether the socket has come back: it has the id, the rooms and the values of a socket that lost its connection, by
    /// [connection state recovery](crate::HubConfig::connection_state_recovery), and its client gets what it missed.
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.locked().rare.as_ref().is_some_and(|rare| rare.is_recovered)
    }

    /// The rooms that the socket is in, its own included.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        let own = self.is_in_own_room().then(|| Room::from(self.id_str()));
        own.into_iter()
            .chain(self.locked().rooms.iter().cloned())
            .collect()
    }

    /// Whether it is in the room, its own included: `socket.rooms.has(room)` in Node.
    #[must_use]
    pub fn is_in(&self, room: &str) -> bool {
        (room == self.id_str() && self.is_in_own_room())
            || self.locked().rooms.iter().any(|own| **own == *room)
    }

    /// Enters rooms. Nothing happens if the socket has left its namespace. Rooms beyond
    /// [`max_rooms_per_socket`](crate::HubConfig::max_rooms_per_socket) are not entered, which is logged.
    pub fn join(&self, rooms: impl IntoRooms) {
        self.0.namespace.join(self, rooms.into_rooms());
    }

    /// As [`join`](Self::join), for rooms that clients choose.
    ///
    /// # Errors
    /// If the socket is in as many rooms as it may be in; those of `rooms` that came first and did fit are entered.
    pub fn try_join(&self, rooms: impl IntoRooms) -> Result<(), TooManyRooms> {
        self.0.namespace.try_join(self, rooms.into_rooms())
    }

    /// Leaves rooms; without those it is not in.
    pub fn leave(&self, rooms: impl IntoRooms) {
        self.0.namespace.leave(self, &rooms.into_rooms());
    }

    /// Sends an event with one argument (none if `data` is `()`) to this client. What cannot be encoded is logged.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) {
        log(self.try_emit(event, data));
    }

    /// As [`emit`](Self::emit).
    ///
    /// # Errors
    /// If the data cannot be JSON, or the name is reserved.
    pub fn try_emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), EmitError> {
        self.encode_and_send(event, &One(data), None)
    }

    /// Sends an event whose arguments are the elements of a tuple, array or list. What cannot be encoded is logged.
    pub fn emit_args<T: Serialize + ?Sized>(&self, event: &str, args: &T) {
        log(self.try_emit_args(event, args));
    }

    /// As [`emit_args`](Self::emit_args).
    ///
    /// # Errors
    /// If the arguments cannot be JSON, are no sequence, or the name is reserved.
    pub fn try_emit_args<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.encode_and_send(event, &Spread(args), None)
    }

    /// Sends an event with arguments that came in elsewhere.
    pub fn emit_payload(&self, event: &str, payload: &Payload) {
        log(self.encode_and_send(event, payload, None));
    }

    /// Sends an event and asks for an answer: await what is returned. The event leaves at once.
    ///
    /// The client sees the events that a handler of [`connect`](crate::NamespaceHandler::connect) sends only after that
    /// has ended: it would wait there for nothing.
    pub fn emit_with_ack<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> AckRequest {
        self.request_ack(event, &One(data))
    }

    /// As [`emit_with_ack`](Self::emit_with_ack) with the elements of a tuple, array or list as arguments.
    pub fn emit_args_with_ack<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> AckRequest {
        self.request_ack(event, &Spread(args))
    }

    /// A broadcast to the rooms, without this socket.
    pub fn to(&self, rooms: impl IntoRooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// The same as [`to`](Self::to).
    pub fn in_room(&self, rooms: impl IntoRooms) -> Broadcast {
        self.to(rooms)
    }

    /// A broadcast to everyone in the namespace, without this socket and those in the rooms.
    pub fn except(&self, rooms: impl IntoRooms) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// A broadcast to everyone in the namespace, without this socket.
    pub fn broadcast(&self) -> Broadcast {
        let selection = Selection {
            sender: Some(self.id()),
            ..Selection::default()
        };
        Broadcast::new(self.0.namespace.clone(), selection)
    }

    /// As [`broadcast`](Self::broadcast), to sockets of this process alone.
    pub fn local(&self) -> Broadcast {
        self.broadcast().local()
    }

    /// For messages to this client that are dropped unless they can be written at once; followed by `to`, for a
    /// broadcast of that kind.
    pub fn volatile(&self) -> Broadcast {
        Broadcast::direct(self.clone()).volatile()
    }

    /// For messages to this client that may, or may not, be compressed; followed by `to`, for a broadcast of that kind.
    pub fn compress(&self, compress: bool) -> Broadcast {
        Broadcast::direct(self.clone()).compress(compress)
    }

    /// Puts the socket out of its namespace: the client is told, and does not come back by itself. With `close` the
    /// whole connection ends, with all sockets that it has in other namespaces. While CONNECT is not answered yet, this
    /// happens right after the answer. What was sent before still goes out, in its turn; nothing of the client is
    /// handled any more.
    pub fn disconnect(&self, close: bool) {
        {
            let mut local = self.locked();
            if self.state() == State::Connecting {
                let leave = &mut local.rare().leave;
                *leave = Some(close || *leave == Some(true));
                return;
            }
            // What was sent before is not to be lost for that.
            if matches!(self.state(), State::Connected | State::Ending) && fanout::submit_end(self, close) {
                self.0.state.store(State::Ending as u8, Ordering::Release);
                return;
            }
        }
        self.end(close);
    }

    /// Puts the socket out of its namespace, as [`disconnect(false)`](Self::disconnect); a plain WebSocket is closed with this
    /// code (one of RFC 6455 §7.4, or from 3000 to 4999) and these words, at most 123 bytes. Socket.IO has no place for them.
    pub fn disconnect_with(&self, code: u16, reason: &str) {
        self.0.outbox.set_farewell(code, reason);
        self.disconnect(false);
    }

    /// Leaves now, and has the driver see to it.
    pub(crate) fn end(&self, close: bool) {
        self.send_disconnect(DisconnectReason::ServerNamespaceDisconnect);
        if close {
            self.0.connection.close.store(true, Ordering::Release);
        }
        self.0.connection.attention.store(true, Ordering::Release);
        self.0.outbox.wake();
    }

    /// Keeps a value with the socket, one of each type; the one that was there before is returned.
    pub fn set<T: Any + Send + Sync>(&self, value: T) -> Option<Arc<T>> {
        let value: Arc<dyn Any + Send + Sync> = Arc::new(value);
        let mut local = self.locked();
        let extensions = &mut local.rare().extensions;
        let before = match extensions.iter_mut().find(|(key, _)| *key == TypeId::of::<T>()) {
            Some((_, slot)) => Some(std::mem::replace(slot, value)),
            None => {
                extensions.push((TypeId::of::<T>(), value));
                None
            }
        };
        drop(local);
        self.tell_data_change::<T>();
        before.and_then(|before| before.downcast().ok())
    }

    /// The value of this type that is kept with the socket.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let local = self.locked();
        let mut extensions = local.rare.as_ref()?.extensions.iter();
        let (_, value) = extensions.find(|(key, _)| *key == TypeId::of::<T>())?;
        value.clone().downcast().ok()
    }

    /// Takes away the value of this type that is kept with the socket.
    pub fn remove<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let mut local = self.locked();
        let extensions = &mut local.rare.as_mut()?.extensions;
        let at = extensions.iter().position(|(key, _)| *key == TypeId::of::<T>())?;
        let (_, value) = extensions.swap_remove(at);
        local.trim();
        drop(local);
        self.tell_data_change::<T>();
        value.downcast().ok()
    }

    /// Keeps a value with the socket that other nodes see, too, when they fetch it; `socket.data` in Node. It is the value
    /// of type [`serde_json::Value`] of [`set`](Self::set) and [`get`](Self::get).
    ///
    /// # Errors
    /// If `data` cannot be JSON.
    pub fn set_data<T: Serialize + ?Sized>(&self, data: &T) -> Result<(), serde_json::Error> {
        self.set(serde_json::to_value(data)?);
        Ok(())
    }

    /// What [`set_data`](Self::set_data) keeps; `null` if there is nothing.
    #[must_use]
    pub fn data_json(&self) -> serde_json::Value {
        self.get::<serde_json::Value>()
            .map_or(serde_json::Value::Null, |data| (*data).clone())
    }

    fn request_ack(&self, event: &str, args: &dyn Arguments) -> AckRequest {
        AckRequest::new(self, |id| self.encode_and_send(event, args, Some(id)))
    }

    fn encode_and_send(&self, event: &str, args: &dyn Arguments, id: Option<u64>) -> Result<(), EmitError> {
        if let Some(recovery) = self.namespace().io().recovery()
            && id.is_none()
        {
            return Broadcast::direct(self.clone()).send_kept(recovery, event, args);
        }
        if let Some(wire) = self.wire()
            && !self.looks_at_outgoing()
            && self.is_clear()
        {
            return wire.send_event(event, args, id);
        }
        encode::event(self.namespace().name(), event, args, id, |packet| {
            self.send(packet)
        })
    }

    /// What writes to a plain client in its form.
    pub(super) fn wire(&self) -> Option<&Wire> {
        if self.is_plain() {
            self.outbox().wire()
        } else {
            None
        }
    }

    /// Whether what is sent may leave at once.
    fn is_clear(&self) -> bool {
        self.connected() && !self.namespace().shared().fanout.is_busy()
    }

    fn send(&self, packet: Encoded<'_>) {
        if self.looks_at_outgoing() {
            return self.send_heard(packet.into_prepared());
        }
        match self.state() {
            State::Connected if self.is_clear() => packet.send_to(self.outbox()),
            State::Connected => self.queue(packet.into_prepared()),
            State::Connecting => self.hold(&packet.into_prepared()),
            State::Ending | State::Gone => {}
        }
    }

    /// As [`send`](Self::send); what queues is heard when it leaves the queue.
    fn send_heard(&self, message: Prepared) {
        match self.state() {
            State::Connected if self.namespace().shared().fanout.is_busy() => self.queue(message),
            State::Connected | State::Connecting => self.deliver(&message, Flags::DEFAULT),
            State::Ending | State::Gone => {}
        }
    }

    /// Sends behind the large broadcast that is under way.
    fn queue(&self, message: Prepared) {
        fanout::submit(
            self.namespace(),
            Job {
                receivers: Receivers::one(self.clone()),
                message,
                flags: Flags::DEFAULT,
            },
        );
    }
}

/// What `emit` does with an error.
pub(crate) fn log(result: Result<(), EmitError>) {
    if let Err(error) = result {
        tracing::error!(%error, "an event was not sent");
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Socket {}

impl Hash for Socket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.0.id)
            .field("namespace", &self.namespace().name())
            .field("state", &self.state())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_socket_is_small() {
        assert!(size_of::<Inner>() <= 144, "{} bytes", size_of::<Inner>());
        assert!(size_of::<Connection>() <= 16, "{} bytes", size_of::<Connection>());
    }
}
