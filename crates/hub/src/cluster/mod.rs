//! What connects the nodes of a cluster. An adapter carries what one node does to the others; there it uses the ordinary
//! operators with [`Broadcast::local`](crate::Broadcast::local), so that nothing is carried twice. A server of one
//! process has no adapter and pays nothing.
//!
//! Each server is a node of its own. A [`Cluster`] is what an application is given: it makes the adapter of each of its
//! servers.

mod bus;
mod in_process;
mod local;
mod status;
#[cfg(feature = "conformance")]
pub mod suite;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::selection::{Room, Selection};
use crate::{Id, Namespace, Payload, Prepared};

pub use crate::recovery::Delivery;
pub use bus::{BusError, BusReceiver, MemoryBus, SessionBus};
pub use in_process::InProcess;
pub use local::Local;
pub use status::ClusterStatus;

/// What servers become nodes of. One serves all servers of an application; every one of them is a node.
pub trait Cluster: Send + Sync + 'static {
    /// A new node: the adapter of one server.
    fn join(&self) -> Arc<dyn ClusterAdapter>;

    /// The bus by which the servers share the sessions of clients that poll, if that is wanted: then no load balancer needs
    /// to be sticky.
    fn session_bus(&self) -> Option<Arc<dyn SessionBus>> {
        None
    }
}

/// Why there is no cluster to join.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// Its options make no sense.
    #[error("the cluster cannot be set up: {message}")]
    Config {
        /// Which, and what to do.
        message: String,
    },
    /// What connects the nodes does not answer.
    #[error("the cluster cannot be joined: {address} does not answer ({reason}): {advice}")]
    Unreachable {
        /// Where, without secrets.
        address: String,
        /// What went wrong.
        reason: String,
        /// What to do.
        advice: String,
    },
}

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
    ) -> BoxFuture<'static, FoundSockets>;

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

    /// The log by which clients of all nodes get their sessions back, if the adapter has one. With it, and with
    /// [`connection_state_recovery`](crate::HubConfig::connection_state_recovery) on, nothing is kept in memory.
    fn recovery_log(&self) -> Option<Arc<dyn RecoveryLog>> {
        None
    }

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

    /// How the node is: asked by those who watch the server, now and then. It is connected, and knows no more, unless the
    /// adapter says otherwise.
    fn status(&self) -> ClusterStatus {
        ClusterStatus::default()
    }

    /// This node leaves the cluster.
    fn close(&self) {}
}

/// Keeps sessions and messages where all nodes find them: connection state recovery in a cluster. No call may block.
pub trait RecoveryLog: Send + Sync + 'static {
    /// Keeps the message, and carries it to the other nodes, which append its offset
    /// ([`Prepared::with_offset`](crate::Prepared::with_offset)) and deliver it. The sockets of this node get it by
    /// `delivery`, when it is its turn: what a node delivers it delivers in the order of the log, its own messages and those
    /// of others, or a client that tells its last offset would miss what is before that and came later. If the message is not
    /// kept, for instance because the broker does not answer soon, it is delivered
    /// [without an offset](Delivery::without_offset). How many may wait is for the log to bound.
    fn publish(
        &self,
        namespace: &str,
        message: &Prepared,
        selection: &Selection,
        options: BroadcastOptions,
        delivery: Delivery,
    );

    /// Keeps the session of a socket that lost its connection, for `max_age`.
    fn save_session(&self, namespace: &str, session: SavedSession, max_age: Duration);

    /// Takes the session that is kept under the private id: nobody else gets it. `None` if it is not kept any more, or if
    /// the message at `offset`, the last one that the client got, is not.
    fn take_session(
        &self,
        namespace: &str,
        private_id: &str,
        offset: &str,
    ) -> BoxFuture<'static, Option<SavedSession>>;

    /// The messages behind `offset` that were for the session ([`SavedSession::is_for`]), in their order. Called when its
    /// socket is in its rooms: a message that is both among them and delivered later goes out once. `None` if they cannot
    /// be read: the client then begins afresh.
    fn missed(
        &self,
        namespace: &str,
        session: &SavedSession,
        offset: &str,
    ) -> BoxFuture<'static, Option<Vec<Missed>>>;
}

/// A message of the log.
#[derive(Debug, Clone)]
pub struct Missed {
    /// Its place in the log.
    pub offset: String,
    /// As it was published: the offset is not in it yet.
    pub message: Prepared,
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
    /// The nodes that said nothing at all: how many receivers they have is not known, and they are not in `missing`,
    /// except for an event of [`server_side_emit_with_ack`](ClusterAdapter::server_side_emit_with_ack), whose receivers
    /// are the nodes.
    pub silent_nodes: SilentNodes,
}

/// Nodes that did not answer in time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SilentNodes {
    /// How many.
    pub count: usize,
    /// Which, as far as the adapter knows: it may know fewer than `count`.
    pub names: Vec<Box<str>>,
}

impl fmt::Display for SilentNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nodes of the cluster did not answer", self.count)?;
        match &*self.names {
            [] => Ok(()),
            names => write!(f, " ({})", names.join(", ")),
        }
    }
}

/// The sockets of other nodes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FoundSockets {
    /// Those of the nodes that answered.
    pub sockets: Vec<FoundSocket>,
    /// The nodes that did not.
    pub silent_nodes: SilentNodes,
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

impl SavedSession {
    /// Whether a message with this selection of receivers was for the socket of this session.
    #[must_use]
    pub fn is_for(&self, selection: &Selection) -> bool {
        selection.includes(self.id, &self.rooms)
    }
}
