//! The bounds and defaults of one Socket.IO server. Transport options are not here: they belong to Engine.IO.

use std::sync::Arc;
use std::time::Duration;

use gatewire_proto::socketio::{Limits, Parser};

use crate::{PresenceConfig, Recovery};

/// The options of one [`Io`](crate::Io).
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Bounds of one packet of a client.
    pub limits: Limits,
    /// The packet format, which all clients must have, too: `None` for the text form, which is the default of the official
    /// clients; [`MsgpackParser`](crate::MsgpackParser) for those with `socket.io-msgpack-parser`; or one of your own.
    pub parser: Option<Arc<dyn Parser>>,
    /// Namespaces that one connection may have joined at a time. Default 64.
    pub max_namespaces_per_connection: usize,
    /// Rooms that one socket may be in at a time, beside the one of its id; [`join`](crate::Socket::join) enters no more.
    /// Default 10,000.
    pub max_rooms_per_socket: usize,
    /// Acknowledgements that one socket may owe at a time; further requests fail. Default 10,000.
    pub max_pending_acks: usize,
    /// Namespaces of parents, as [`of_pattern`](crate::Io::of_pattern) makes them, that there may be at a time; a CONNECT
    /// that would need one more is refused. Default 10,000.
    pub max_dynamic_namespaces: usize,
    /// Whether a namespace of a parent ends with its last socket. Default false, as in the Node server: then what clients
    /// ask for adds up to `max_dynamic_namespaces`.
    pub cleanup_empty_child_namespaces: bool,
    /// Events of one socket that wait while another is handled; when as many wait, the connection is not read. Default 64.
    pub mailbox: usize,
    /// The same while an answer of the client is awaited, which may lie behind such events: not to read on would be to
    /// wait for it in vain. Default 4,096.
    pub mailbox_while_asked: usize,
    /// Bytes of such events; when as many wait, the connection is not read in either case. Default 4 MiB.
    pub mailbox_bytes: usize,
    /// Events that a client may send into a namespace before its CONNECT is answered; one more is an error. Default 64.
    pub max_early: usize,
    /// Packets for one socket that wait for the answer to its CONNECT; further ones are dropped. Default 1,024.
    pub max_held: usize,
    /// How long `emit_with_ack` waits for an answer. Default 30 s.
    pub ack_timeout: Duration,
    /// Whether, and how, clients that lost their connection get their session back. Default `None`: they do not. With a
    /// cluster whose adapter has a [log](crate::cluster::RecoveryLog), on any of its nodes; with another one, on this node,
    /// and only what this node sent itself is sent again.
    pub connection_state_recovery: Option<Recovery>,
    /// How nodes keep each other informed of who is in rooms.
    pub presence: PresenceConfig,
    /// A broadcast to more sockets than this is sent in slices of this many, other tasks running between. Default 256.
    pub fanout_slice: usize,
    /// Emits of one namespace that may wait behind such a broadcast; further ones are dropped. Default 100,000.
    pub max_fanout_queue: usize,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            parser: None,
            max_namespaces_per_connection: 64,
            max_rooms_per_socket: 10_000,
            max_pending_acks: 10_000,
            max_dynamic_namespaces: 10_000,
            cleanup_empty_child_namespaces: false,
            mailbox: 64,
            mailbox_while_asked: 4_096,
            mailbox_bytes: 4 << 20,
            max_early: 64,
            max_held: 1_024,
            ack_timeout: Duration::from_secs(30),
            connection_state_recovery: None,
            presence: PresenceConfig::default(),
            fanout_slice: 256,
            max_fanout_queue: 100_000,
        }
    }
}
