//! Sending to the clients of a cluster from a process that has none: a worker, a cron job.

use std::sync::Arc;

use gatewire_hub::cluster::ClusterError;
use gatewire_hub::{Broadcast, EmitError, HubConfig, IntoRooms, Io, Namespace, Payload};
use redis::cmd;
use serde::Serialize;

use crate::adapter::{Role, Shared};
use crate::{RedisAdapter, RedisConfig};

/// Sends to one namespace of a cluster, `/` unless [`of`](Self::of) names another, without being one of its nodes.
/// Compatible with `@socket.io/redis-emitter` and `@socket.io/redis-streams-emitter`: the mode must be that of the nodes.
///
/// ```no_run
/// use gatewire_redis::Emitter;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let emitter = Emitter::connect("redis://127.0.0.1:6379").await?;
/// emitter.emit("news", &"the backup is done");
/// emitter.of("/admin").to("on duty").emit("alarm", &7);
/// emitter.flush().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Emitter {
    namespace: Namespace,
    adapter: RedisAdapter,
}

impl Emitter {
    /// Connects to Redis, with the default options: [`Mode::Classic`](crate::Mode::Classic).
    ///
    /// # Errors
    /// As [`RedisAdapter::connect`].
    pub async fn connect(url: &str) -> Result<Self, ClusterError> {
        Self::connect_with(url, RedisConfig::default()).await
    }

    /// As [`connect`](Self::connect), with options.
    ///
    /// # Errors
    /// As [`RedisAdapter::connect_with`].
    pub async fn connect_with(url: &str, config: RedisConfig) -> Result<Self, ClusterError> {
        let adapter = RedisAdapter::connect_with(url, config).await?;
        let shared: &Arc<Shared> = &adapter.0;
        let io = Io::with_cluster(HubConfig::default(), shared.node(Role::Emitter));
        Ok(Self {
            namespace: io.of("/"),
            adapter,
        })
    }

    /// The emitter of another namespace; a leading `/` is added.
    #[must_use]
    pub fn of(&self, namespace: &str) -> Self {
        Self {
            namespace: self.namespace.io().of(namespace),
            adapter: self.adapter.clone(),
        }
    }

    /// Waits until Redis has taken what was sent, for processes that end soon.
    ///
    /// # Errors
    /// If it is not known whether Redis has: its connection broke.
    pub async fn flush(&self) -> Result<(), FlushError> {
        match self.adapter.0.publisher.command(cmd("PING"), 0).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(FlushError),
        }
    }

    /// What has become of messages and connections.
    #[must_use]
    pub fn stats(&self) -> crate::Stats {
        self.adapter.stats()
    }

    /// A broadcast to everyone, as a start for operators. What asks for answers gets none: there is nobody to answer to.
    pub fn everyone(&self) -> Broadcast {
        self.namespace.everyone()
    }

    /// A broadcast to the rooms; a socket's id is its room.
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

    /// Sends an event with one argument (none if `data` is `()`) to the servers themselves; see
    /// [`Namespace::on_server_side`].
    ///
    /// # Errors
    /// If the data cannot be JSON, or the name is reserved.
    pub fn server_side_emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), EmitError> {
        self.namespace.server_side_emit(event, data)
    }

    /// As [`server_side_emit`](Self::server_side_emit) with the elements of a tuple, array or list as arguments.
    ///
    /// # Errors
    /// If the arguments cannot be JSON, are no sequence, or the name is reserved.
    pub fn server_side_emit_args<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.namespace.server_side_emit_args(event, args)
    }
}

/// It is not known whether Redis has taken what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection to Redis broke: what was sent may be lost")]
pub struct FlushError;
