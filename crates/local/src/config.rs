//! The options of a cluster on one machine.

use std::time::Duration;

/// The options of a [`LocalCluster`](crate::LocalCluster); all nodes should have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalConfig {
    /// Whether the nodes share the sessions of their clients: requests of a client that polls may then come to any of them,
    /// for instance because all listen on one port. Default true.
    pub share_sessions: bool,
    /// How long nodes are waited for that are asked for their sockets, or by `server_side_emit_with_ack`, at most. A shorter
    /// timeout of the call goes before. Default 5 s.
    pub requests_timeout: Duration,
    /// How often the directory is looked at for nodes. A new node is heard of at once, because it connects to the others;
    /// this finds those that could not. Default 2 s.
    pub rescan: Duration,
    /// How long after a connection to a node broke it is tried again. Default 250 ms.
    pub retry: Duration,
    /// Nodes that one node is connected to; further ones are left alone, which is logged. Default 256.
    pub max_nodes: usize,
    /// Messages that wait for one other node; further ones are lost. Default 10,000.
    pub max_queue: usize,
    /// Bytes of such messages. Default 64 MiB.
    pub max_queue_bytes: usize,
    /// Bytes of one message. A longer one is not sent; the connection that it comes over is closed. Default 64 MiB.
    pub max_message: usize,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            share_sessions: true,
            requests_timeout: Duration::from_secs(5),
            rescan: Duration::from_secs(2),
            retry: Duration::from_millis(250),
            max_nodes: 256,
            max_queue: 10_000,
            max_queue_bytes: 64 << 20,
            max_message: 64 << 20,
        }
    }
}
