//! A socket that may be anywhere in the cluster, as it was when it was fetched.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cluster::{FoundSocket, SilentNodes};
use crate::selection::{IntoRooms, Room};
use crate::{
    AckError, Broadcast, BroadcastAckError, BroadcastAckRequest, EmitError, Id, Namespace, Payload, Socket,
};

/// What is known of a socket of any node, and a way to reach it.
#[derive(Debug, Clone)]
pub struct RemoteSocket {
    id: Id,
    rooms: Vec<Room>,
    handshake: Value,
    data: Value,
    namespace: Namespace,
    timeout: Option<Duration>,
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
            timeout: None,
        }
    }

    /// The same socket, whose answers are waited for so long; without, as long as
    /// [`ack_timeout`](crate::HubConfig::ack_timeout) says.
    #[must_use]
    pub fn timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self.clone()
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

    /// What is kept with it for other nodes: see [`Socket::set_data`].
    #[must_use]
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// Sends an event with one argument (none if `data` is `()`) to it. What cannot be encoded is logged.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) {
        self.broadcast().emit(event, data);
    }

    /// What is kept with it for other nodes, as a `T`.
    ///
    /// # Errors
    /// If it is no `T`.
    pub fn data_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.data)
    }

    /// As [`emit`](Self::emit).
    ///
    /// # Errors
    /// If the data cannot be JSON, or the name is reserved.
    pub fn try_emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), EmitError> {
        self.broadcast().try_emit(event, data)
    }

    /// Sends an event whose arguments are the elements of a tuple, array or list to it. What cannot be encoded is logged.
    pub fn emit_args<T: Serialize + ?Sized>(&self, event: &str, args: &T) {
        self.broadcast().emit_args(event, args);
    }

    /// Sends an event with arguments that came in elsewhere to it.
    pub fn emit_payload(&self, event: &str, payload: &Payload) {
        self.broadcast().emit_payload(event, payload);
    }

    /// Sends an event and asks for an answer: await what is returned. The event leaves at once.
    pub fn emit_with_ack<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> RemoteAckRequest {
        RemoteAckRequest(self.broadcast().emit_with_ack(event, data))
    }

    /// As [`emit_with_ack`](Self::emit_with_ack) with the elements of a tuple, array or list as arguments.
    pub fn emit_args_with_ack<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> RemoteAckRequest {
        RemoteAckRequest(self.broadcast().emit_args_with_ack(event, args))
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
        let broadcast = self.namespace.to(self.id);
        match self.timeout {
            Some(timeout) => broadcast.timeout(timeout),
            None => broadcast,
        }
    }
}

/// Not all nodes of the cluster told their sockets.
#[derive(Debug, Clone, thiserror::Error)]
#[error("only some of the sockets were fetched: {silent_nodes}")]
pub struct FetchError {
    /// The sockets of this node, and of those that answered.
    pub sockets: Vec<RemoteSocket>,
    /// The nodes that did not answer in time.
    pub silent_nodes: SilentNodes,
}

/// An event was sent to a socket of any node and its answer is awaited: `.await` gives it.
#[must_use = "await it for the client's answer"]
pub struct RemoteAckRequest(BroadcastAckRequest);

impl IntoFuture for RemoteAckRequest {
    type Output = Result<Payload, AckError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            match self.0.await {
                // Nobody was asked: it has left since it was fetched.
                Ok(responses) => responses.into_iter().next().ok_or(AckError::Disconnected),
                Err(BroadcastAckError::Timeout { .. }) => Err(AckError::Timeout),
                Err(BroadcastAckError::Disconnected { .. }) => Err(AckError::Disconnected),
                Err(BroadcastAckError::Emit(error)) => Err(AckError::Emit(error)),
            }
        })
    }
}

impl fmt::Debug for RemoteAckRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteAckRequest").finish_non_exhaustive()
    }
}

/// What other nodes are told of a socket.
impl From<&Socket> for FoundSocket {
    fn from(socket: &Socket) -> Self {
        Self {
            id: socket.id(),
            rooms: socket.rooms(),
            handshake: socket.handshake_json(),
            data: socket.data_json(),
        }
    }
}

impl From<&Socket> for RemoteSocket {
    fn from(socket: &Socket) -> Self {
        Self::found(socket.namespace(), socket.into())
    }
}
