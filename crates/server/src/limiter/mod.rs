//! Who takes too much: the state of each client address, and the decision whether it may have more. The table of addresses
//! is locked for a connection or a request alone; a session keeps its address's account, and asks that.

mod account;
mod limits;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Extensions;

use crate::clock;
use account::Account;
pub use account::Seat;
pub(crate) use account::Verdict;
pub use limits::{ClientLimits, Excess};
use table::Table;

/// A limit of [`ClientLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`max_connections`](ClientLimits::max_connections).
    Connections,
    /// [`max_http_connections`](ClientLimits::max_http_connections).
    HttpConnections,
    /// [`connections`](ClientLimits::connections).
    ConnectionRate,
    /// [`requests`](ClientLimits::requests).
    Requests,
    /// [`messages`](ClientLimits::messages).
    Messages,
    /// [`bytes`](ClientLimits::bytes).
    Bytes,
}

impl Limit {
    /// All limits.
    pub const ALL: [Self; 6] = [
        Self::Connections,
        Self::HttpConnections,
        Self::ConnectionRate,
        Self::Requests,
        Self::Messages,
        Self::Bytes,
    ];

    /// The limit in words, as for the label of a metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::HttpConnections => "http connections",
            Self::ConnectionRate => "connection rate",
            Self::Requests => "requests",
            Self::Messages => "messages",
            Self::Bytes => "bytes",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A client address has, or does, too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many from this address: {limit}")]
pub struct TooMany {
    /// The limit that is reached.
    pub limit: Limit,
    /// When to try again.
    pub retry_after: Duration,
}

impl TooMany {
    /// When to try again, in whole seconds, as the header `Retry-After` has it.
    #[must_use]
    pub fn retry_after_secs(&self) -> u64 {
        self.retry_after.as_secs() + u64::from(self.retry_after.subsec_nanos() > 0)
    }
}

/// The state of all client addresses. Cheap to clone; all clones have the same.
#[derive(Clone)]
pub struct ClientLimiter {
    policy: Arc<Policy>,
    table: Arc<Table>,
}

/// What counts for every address, and how often it was not kept.
struct Policy {
    limits: ClientLimits,
    refused: [AtomicU64; Limit::ALL.len()],
}

impl Policy {
    fn count(&self, limit: Limit) {
        self.refused[limit as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientLimiter {
    /// A limiter that knows no address yet.
    #[must_use]
    pub fn new(limits: ClientLimits) -> Self {
        Self {
            table: Arc::new(Table::new(limits.max_addresses)),
            policy: Arc::new(Policy {
                limits,
                refused: Default::default(),
            }),
        }
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &ClientLimits {
        &self.policy.limits
    }

    /// Addresses whose state is kept.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.table.len()
    }

    /// How often a limit was reached: connections and requests that were refused, messages that were dropped, that closed
    /// a connection, or after which one was not read for a while.
    #[must_use]
    pub fn refused(&self, limit: Limit) -> u64 {
        self.policy.refused[limit as usize].load(Ordering::Relaxed)
    }

    /// The account of an address; `None` if it has no limits.
    pub(crate) fn visitor(&self, address: IpAddr) -> Option<Visitor> {
        let address = address.to_canonical();
        let limits = &self.policy.limits;
        if limits.exempt.contains(address) {
            return None;
        }
        let network = masked(address, limits);
        let now = clock::now();
        let account = self
            .table
            .account(network, now, || Account::new(self.policy.clone(), now));
        Some(Visitor(account))
    }
}

impl fmt::Debug for ClientLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientLimiter")
            .field("limits", &self.policy.limits)
            .field("addresses", &self.addresses())
            .finish_non_exhaustive()
    }
}

/// Said by a request, in its extensions: whose it is. What opens a session for it asks here for a place.
#[derive(Clone)]
pub struct Visitor(Arc<Account>);

impl Visitor {
    /// A place for the session that a request with these extensions opens; `None` if nobody limits its address.
    ///
    /// # Errors
    /// If the address has as many as it may, or they come too fast.
    pub fn seat(extensions: &Extensions) -> Result<Option<Seat>, TooMany> {
        let visitor = extensions.get::<Self>();
        visitor
            .map(|visitor| visitor.0.open_session(clock::now()))
            .transpose()
    }

    pub(crate) fn open_http(&self) -> Result<Seat, TooMany> {
        self.0.open_http()
    }

    pub(crate) fn request(&self) -> Result<(), TooMany> {
        self.0.request(clock::now())
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Visitor").finish()
    }
}

/// The network that an address stands for.
fn masked(address: IpAddr, limits: &ClientLimits) -> IpAddr {
    let prefix = match address {
        IpAddr::V4(_) => limits.ipv4_prefix.min(32),
        IpAddr::V6(_) => limits.ipv6_prefix.min(128),
    };
    ipnet::IpNet::new(address, prefix).map_or(address, |network| network.network())
}
