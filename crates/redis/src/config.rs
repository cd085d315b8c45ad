//! The options of an adapter: which of the official adapters it is compatible with, and the bounds of its connections.

use std::str::FromStr;
use std::time::Duration;

use gatewire_hub::cluster::ClusterError;

/// The options of a [`RedisAdapter`](crate::RedisAdapter).
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// How messages travel; the same on all nodes of a cluster. Default [`Mode::Classic`].
    pub mode: Mode,
    /// Whether [`connect`](crate::RedisAdapter::connect) succeeds while Redis does not answer: the node then works by itself
    /// until it does. Default false.
    pub start_detached: bool,
    /// How long nodes are waited for that are asked for their sockets, or by `server_side_emit_with_ack`, at most;
    /// `requestsTimeout` in Node. A shorter timeout of the call goes before. Default 5 s.
    pub requests_timeout: Duration,
    /// How long a connection may take to be made. Default 2 s.
    pub connect_timeout: Duration,
    /// How long Redis may take to answer, before its connection is given up for a new one. Default 5 s.
    pub response_timeout: Duration,
    /// The longest wait between two attempts to reach Redis again; the first ones are shorter. Default 2 s.
    pub max_reconnect_delay: Duration,
    /// Messages that wait for Redis, for instance until it is back; when there are more, the oldest are lost. Default
    /// 10,000.
    pub max_queue: usize,
    /// Bytes of such messages. Default 16 MiB.
    pub max_queue_bytes: usize,
    /// Bytes of one message of another node; a longer one is skipped. Default 64 MiB.
    pub max_message: usize,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            start_detached: false,
            requests_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(5),
            max_reconnect_delay: Duration::from_secs(2),
            max_queue: 10_000,
            max_queue_bytes: 16 << 20,
            max_message: 64 << 20,
        }
    }
}

/// The official adapter that the nodes of the cluster understand.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Mode {
    /// `createAdapter` of `@socket.io/redis-adapter`: what NestJS's documentation uses.
    Classic(ClassicConfig),
    /// `createShardedAdapter` of `@socket.io/redis-adapter`: the sharded pub/sub of Redis 7.
    Sharded(ShardedConfig),
}

impl Default for Mode {
    fn default() -> Self {
        Self::Classic(ClassicConfig::default())
    }
}

/// By its name, as in a program's environment, with its defaults: `classic` or `sharded`.
impl FromStr for Mode {
    type Err = ClusterError;

    fn from_str(name: &str) -> Result<Self, ClusterError> {
        match name {
            "classic" => Ok(Self::Classic(ClassicConfig::default())),
            "sharded" => Ok(Self::Sharded(ShardedConfig::default())),
            _ => Err(ClusterError::Config {
                message: format!("{name:?} is no mode of the Redis adapter: use classic or sharded"),
            }),
        }
    }
}

/// The options of [`Mode::Classic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicConfig {
    /// With what the names of the channels begin. Default `socket.io`.
    pub key: String,
    /// Whether answers go to the node that asked alone, `publishOnSpecificResponseChannel` in Node. Nodes of both kinds
    /// understand each other. Default false.
    pub publish_on_specific_response_channel: bool,
}

impl Default for ClassicConfig {
    fn default() -> Self {
        Self {
            key: "socket.io".to_owned(),
            publish_on_specific_response_channel: false,
        }
    }
}

/// The options of [`Mode::Sharded`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardedConfig {
    /// With what the names of the channels begin, `channelPrefix` in Node. Default `socket.io`.
    pub channel_prefix: String,
    /// Which rooms have a channel of their own; the same on all nodes of a cluster, as the Node servers have it. Default
    /// [`SubscriptionMode::Dynamic`].
    pub subscription_mode: SubscriptionMode,
}

impl Default for ShardedConfig {
    fn default() -> Self {
        Self {
            channel_prefix: "socket.io".to_owned(),
            subscription_mode: SubscriptionMode::default(),
        }
    }
}

/// Which rooms have a channel of their own, to which only those nodes subscribe that have the room.
///
/// A node that gets a room subscribes, which takes a round trip to Redis: what other nodes send to the room before that is
/// over does not come. With [`Static`](Self::Static) there is no such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SubscriptionMode {
    /// `static`: none. Two channels a namespace, and each node gets every message.
    Static,
    /// `dynamic`: all but the rooms of single sockets.
    #[default]
    Dynamic,
    /// `dynamic-private`: all, those of single sockets, too. For many messages to single sockets, and few nodes' sockets
    /// that come and go.
    DynamicPrivate,
}
