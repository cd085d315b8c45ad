//! What connects the nodes of a cluster. An adapter carries what one node does to the others; there it uses the ordinary
//! operators with [`Broadcast::local`](crate::Broadcast::local), so that nothing is carried twice. A server of one
//! process has no adapter and pays nothing.

mod local;

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::selection::{Room, Selection};
use crate::{Id, Namespace, Payload, Prepared};

pub use local::Local;

/// Carries the doings of this node to the other nodes. No call may block: what takes time is queued or awaited.
///
/// The calls with an answer give what the other nodes have, this one's own is added by the caller; they end by
/// themselves when their timeout is over, with what has come until then.
pub trait ClusterAdapter: Send + Sync + 'static {
    /// A namespace came into being. What other nodes do in it is to be done here from now on.
    fn open(&self, namespace: &Namespace);

    /// Sends a message to the selected sockets of the other nodes.
    fn broadcast(
        &self,
        namespace: &str,
        message: &Prepared,
        selection: &Selection,
        options: BroadcastOptions,
    );

    /// Sends a message to the selected sockets of the other nodes and collects their answers.
    fn broadcast_with_ack(
        &self,
        namespace: &str,
        message: &Prepared,
        selection: &Selection,
        options: BroadcastOptions,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks>;

    /// The selected sockets of the other nodes enter rooms.
    fn sockets_join(&self, namespace: &str, selection: &Selection, rooms: &[Room]);

    /// The selected sockets of the other nodes leave rooms.
    fn sockets_leave(&self, namespace: &str, selection: &Selection, rooms: &[Room]);

    /// The selected sockets of the other nodes are put out of the namespace; with `close` their connections end.
    fn disconnect_sockets(&self, namespace: &str, selection: &Selection, close: bool);

    /// The selected sockets of the other nodes.
    fn fetch_sockets(
        &self,
        namespace: &str,
        selection: &Selection,
        timeout: Duration,
    ) -> BoxFuture<'static, Vec<FoundSocket>>;

    /// Sends an event to the other nodes themselves.
    fn server_side_emit(&self, namespace: &str, event: &str, payload: &Payload);

    /// Sends an event to the other nodes themselves and collects their answers, one of each.
    fn server_side_emit_with_ack(
        &self,
        namespace: &str,
        event: &str,
        payload: &Payload,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks>;

    /// How many nodes there are, this one included.
    fn server_count(&self, namespace: &str) -> BoxFuture<'static, usize>;

    /// Keeps the session of a socket that lost its connection, for some time.
    fn save_session(&self, namespace: &str, session: SavedSession);

    /// The session that was kept under this private id, with the messages that it missed since `offset`; `None` if it is
    /// not kept any more.
    fn restore_session(
        &self,
        namespace: &str,
        private_id: &str,
        offset: &str,
    ) -> BoxFuture<'static, Option<RestoredSession>>;

    /// A room got its first socket on this node.
    fn room_created(&self, namespace: &str, room: &Room) {
        let _ = (namespace, room);
    }

    /// A room lost its last socket on this node.
    fn room_deleted(&self, namespace: &str, room: &Room) {
        let _ = (namespace, room);
    }

    /// A namespace ended, with its last socket: what other nodes do in it needs no longer be done here. It may come into
    /// being again. The call must not come back to the server.
    fn close_namespace(&self, namespace: &str) {
        let _ = namespace;
    }

    /// This node leaves the cluster.
    fn close(&self) {}
}

/// How the receivers of a broadcast are to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BroadcastOptions {
    /// Drop the message for receivers that cannot take it at once.
    pub volatile: bool,
    /// Whether the message may be compressed.
    pub compress: bool,
}

/// The answers that came from other nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteAcks {
    /// The answers, in the order of their coming.
    pub responses: Vec<Payload>,
    /// How many did not come.
    pub missing: usize,
    /// The sockets that they did not come from, as far as their nodes tell; empty for an event of
    /// [`server_side_emit_with_ack`](ClusterAdapter::server_side_emit_with_ack).
    pub silent: Vec<Id>,
}

/// A socket of another node.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundSocket {
    /// Its id.
    pub id: Id,
    /// The rooms that it is in, its own included.
    pub rooms: Vec<Room>,
    /// Its handshake object.
    pub handshake: Value,
    /// What its node tells about it.
    pub data: Value,
}

/// What a socket gets back when it returns.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedSession {
    /// The socket's id.
    pub id: Id,
    /// The id that only the client knows.
    pub private_id: String,
    /// The rooms that it was in.
    pub rooms: Vec<Room>,
    /// What was kept with it.
    pub data: Value,
}

/// A session with what it missed.
#[derive(Debug, Clone)]
pub struct RestoredSession {
    /// The session as it was saved.
    pub session: SavedSession,
    /// The messages since, in their order.
    pub missed: Vec<Prepared>,
}
