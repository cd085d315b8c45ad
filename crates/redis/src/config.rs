//! The options of an adapter: which of the official adapters it is compatible with, and the bounds of its connections.

use std::str::FromStr;
use std::time::Duration;

use gatewire_hub::cluster::ClusterError;

/// The options of a [`RedisAdapter`](crate::RedisAdapter).
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// How messages travel; the same on all nodes of a cluster. Default [`Mode::Classic`].
    pub mode: Mode,
    /// Whether the nodes share the sessions of their clients over Redis: requests of a client that polls may then come to any
    /// of them, and no load balancer needs to be sticky. It takes two connections more. Default false.
    pub share_sessions: bool,
    /// With what the names of the channels for that begin. Default `gatewire-sessions`.
    pub session_channel: String,
    /// Whether [`connect`](crate::RedisAdapter::connect) succeeds while Redis does not answer: the node then works by itself
    /// until it does. Default false.
    pub start_detached: bool,
    /// How long nodes are waited for that are asked for their sockets, or by `server_side_emit_with_ack`, at most;
    /// `requestsTimeout` in Node. A shorter timeout of the call goes before. Default 5 s.
    pub requests_timeout: Duration,
    /// How long a connection may take to be made. Default 2 s.
    pub connect_timeout: Duration,
    /// How long Redis may take to answer, before its connection is given up for a new one; a connection that only listens is
    /// asked as often whether it is still there. Default 5 s.
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
            share_sessions: false,
            session_channel: "gatewire-sessions".to_owned(),
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
    /// `createAdapter` of `@socket.io/redis-streams-adapter`: Redis streams, the one with connection state recovery.
    Streams(StreamsConfig),
}

impl Default for Mode {
    fn default() -> Self {
        Self::Classic(ClassicConfig::default())
    }
}

/// By its name, as in a program's environment, with its defaults: `classic`, `sharded` or `streams`.
impl FromStr for Mode {
    type Err = ClusterError;

    fn from_str(name: &str) -> Result<Self, ClusterError> {
        match name {
            "classic" => Ok(Self::Classic(ClassicConfig::default())),
            "sharded" => Ok(Self::Sharded(ShardedConfig::default())),
            "streams" => Ok(Self::Streams(StreamsConfig::default())),
            _ => Err(ClusterError::Config {
                message: format!("{name:?} is no mode of the Redis adapter: use classic, sharded or streams"),
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

/// The options of [`Mode::Streams`]. All but the last are the Node adapter's, and are to be the same on all nodes of a
/// cluster; its `onlyPlaintext` is not needed, because nothing is searched for bytes here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamsConfig {
    /// The name of the stream, `streamName` in Node. Default `socket.io`.
    pub stream_name: String,
    /// How many streams the namespaces are spread over, `streamCount` in Node. Each is read on a connection of its own.
    /// Default 1.
    pub stream_count: usize,
    /// Entries that a stream keeps, about, `maxLen` in Node: what clients that were away, and nodes that had lost Redis, can
    /// still get. Default 10,000.
    pub max_len: usize,
    /// Entries that are read at a time, `readCount` in Node. Default 100.
    pub read_count: usize,
    /// How long Redis waits for new entries before it says that there are none, `blockTimeInMs` in Node. Default 5 s.
    pub block_time: Duration,
    /// With what the names of the channels begin that questions go over, `channelPrefix` in Node. Default `socket.io`.
    pub channel_prefix: String,
    /// Whether these channels are those of Redis 7 that belong to one shard, `useShardedPubSub` in Node. Default false.
    pub use_sharded_pub_sub: bool,
    /// With what the keys of sessions begin, `sessionKeyPrefix` in Node. Default `sio:session:`.
    pub session_key_prefix: String,
    /// How long a message waits for its place in the stream, before it is delivered on this node without an offset; while
    /// the stream moves, ten times as long. Once one has waited in vain, the following ones do not, until messages come back
    /// again. Only with connection state recovery on; without, messages do not wait. Default 500 ms.
    pub offset_wait: Duration,
}

impl Default for StreamsConfig {
    fn default() -> Self {
        Self {
            stream_name: "socket.io".to_owned(),
            stream_count: 1,
            max_len: 10_000,
            read_count: 100,
            block_time: Duration::from_secs(5),
            channel_prefix: "socket.io".to_owned(),
            use_sharded_pub_sub: false,
            session_key_prefix: "sio:session:".to_owned(),
            offset_wait: Duration::from_millis(500),
        }
    }
}
