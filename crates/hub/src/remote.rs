//! A socket that may be anywhere in the cluster, as it was when it was fetched.

use serde::Serialize;
use serde_json::Value;

use crate::cluster::FoundSocket;
use crate::selection::{IntoRooms, Room};
use crate::{Broadcast, Id, Namespace, Socket};

/// What is known of a socket of any node, and a way to reach it.
#[derive(Debug, Clone)]
pub struct RemoteSocket {
    id: Id,
    rooms: Vec<Room>,
    handshake: Value,
    data: Value,
    namespace: Namespace,
}

impl RemoteSocket {
    pub(crate) fn found(namespace: &Namespace, found: FoundSocket) -> Self {
        let FoundSocket {
            id,
            rooms,
            handshake,
            data,
        } = found;
        Self {
            id,
            rooms,
            handshake,
            data,
            namespace: namespace.clone(),
        }
    }

    /// The socket's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// The rooms that it was in, its own included.
    #[must_use]
    pub fn rooms(&self) -> &[Room] {
        &self.rooms
    }

    /// Its handshake object, as in the Node server.
    #[must_use]
    pub fn handshake(&self) -> &Value {
        &self.handshake
    }

    /// What its node tells about it; `null` for a socket of this process.
    #[must_use]
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// Sends an event with one argument (none if `data` is `()`) to it. What cannot be encoded is logged.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) {
        self.broadcast().emit(event, data);
    }

    /// It enters rooms.
    pub fn join(&self, rooms: impl IntoRooms) {
        self.broadcast().sockets_join(rooms);
    }

    /// It leaves rooms.
    pub fn leave(&self, rooms: impl IntoRooms) {
        self.broadcast().sockets_leave(rooms);
    }

    /// It is put out of its namespace; with `close` its connection ends.
    pub fn disconnect(&self, close: bool) {
        self.broadcast().disconnect_sockets(close);
    }

    fn broadcast(&self) -> Broadcast {
        self.namespace.to(self.id)
    }
}

impl From<&Socket> for RemoteSocket {
    fn from(socket: &Socket) -> Self {
        Self {
            id: socket.id(),
            rooms: socket.rooms(),
            handshake: socket.handshake_json(),
            data: Value::Null,
            namespace: socket.namespace().clone(),
        }
    }
}
