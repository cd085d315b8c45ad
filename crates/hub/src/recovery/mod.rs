//! Connection state recovery: a client that lost its connection and comes back soon gets its id, its rooms and its data
//! again, and what it missed. Sessions and messages are kept in memory, or by a cluster adapter that can; with the option
//! off there is neither.

mod shared;
mod store;

use std::any::{Any, TypeId};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use crate::cluster::{ClusterAdapter, RecoveryLog};
use crate::encode::Arguments;
use crate::{DisconnectReason, EmitError};

pub use shared::Delivery;
pub(crate) use shared::Seen;
pub(crate) use store::{Session, Store, offset_text};

/// How lost connections are recovered, `connectionStateRecovery` in Node. Beside the time, memory is bounded: what is
/// beyond a bound is forgotten, oldest first, and a client that needs it begins a fresh session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// How long a session and a message are kept. Default 2 min.
    pub max_disconnection_duration: Duration,
    /// Whether middleware and [`connect`](crate::NamespaceHandler::connect) are left out for a client that is recovered.
    /// Default true.
    pub skip_middlewares: bool,
    /// Messages that are kept, of all namespaces together. Default 100,000.
    pub max_packets: usize,
    /// Bytes of such messages. Default 64 MiB.
    pub max_bytes: usize,
    /// Sessions that are kept. Default 10,000.
    pub max_sessions: usize,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            max_disconnection_duration: Duration::from_secs(120),
            skip_middlewares: true,
            max_packets: 100_000,
            max_bytes: 64 << 20,
            max_sessions: 10_000,
        }
    }
}

/// Who keeps what clients that come back will ask for.
pub(crate) enum Keeper {
    Memory(Arc<Store>),
    /// The cluster, for all its nodes.
    Log(Recovery, Arc<dyn RecoveryLog>),
}

impl Keeper {
    pub(crate) fn new(options: Recovery, cluster: Option<&Arc<dyn ClusterAdapter>>) -> Self {
        match cluster.and_then(|cluster| cluster.recovery_log()) {
            Some(log) => Self::Log(options, log),
            None => Self::Memory(Arc::new(Store::new(options))),
        }
    }

    pub(crate) fn options(&self) -> &Recovery {
        match self {
            Self::Memory(store) => store.options(),
            Self::Log(options, _) => options,
        }
    }
}

/// Values that are kept with a socket, by their types.
pub(crate) type Extensions = Vec<(TypeId, Arc<dyn Any + Send + Sync>)>;

/// The names that a client sends with CONNECT to get its session back.
#[derive(Deserialize)]
pub(crate) struct Claim {
    pub(crate) pid: String,
    pub(crate) offset: String,
}

impl Claim {
    /// `None` if the client does not ask, or not with strings.
    pub(crate) fn read(auth: &str) -> Option<Self> {
        serde_json::from_str(auth).ok()
    }
}

/// Whether a session outlives this.
pub(crate) fn is_recoverable(reason: DisconnectReason) -> bool {
    matches!(
        reason,
        DisconnectReason::TransportError
            | DisconnectReason::TransportClose
            | DisconnectReason::ForcedClose
            | DisconnectReason::PingTimeout
            | DisconnectReason::ServerShuttingDown
            | DisconnectReason::ForcedServerClose
    )
}

/// Arguments with the offset behind them.
pub(crate) struct WithOffset<'a>(pub(crate) &'a dyn Arguments, pub(crate) &'a str);

impl Arguments for WithOffset<'_> {
    fn put(&self, event: &str, json: &mut Vec<u8>, attachments: &mut Vec<Bytes>) -> Result<(), EmitError> {
        let start = json.len();
        self.0.put(event, json, attachments)?;
        if json.len() > start {
            json.push(b',');
        }
        json.push(b'"');
        json.extend_from_slice(self.1.as_bytes());
        json.push(b'"');
        Ok(())
    }
}
