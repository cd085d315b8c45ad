//! What one client address may have and do.

use crate::networks::Networks;
use crate::rate::Rate;

/// What all clients of one address may have and do together. Which address that is, behind proxies, is said by
/// [`TrustedProxies`](crate::TrustedProxies).
///
/// Many people may share an address: an office, a mobile network. The defaults let through what thousands of them do, and
/// stop what no honest client does; [`strict`](Self::strict) is for services of which each person has a client or two.
///
/// ```
/// use gatewire_server::{ClientLimits, Excess, Rate};
///
/// let limits = ClientLimits {
///     max_connections: 200,
///     messages: Some(Rate::per_second(500).burst(2_000)),
///     excess: Excess::Drop,
///     ..ClientLimits::default()
/// };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientLimits {
    /// Sessions open at a time: Socket.IO clients, WebSockets, streams of events. A handshake above it is answered with 429.
    /// Default 2,000.
    pub max_connections: usize,
    /// HTTP connections open at a time, handshakes of TLS included; one that becomes a WebSocket or a stream of events is
    /// none any more. One above it is closed. Connections of trusted proxies are not counted. Default 4,000.
    pub max_http_connections: usize,
    /// New sessions. A handshake above it is answered with 429, and when to come back. Default 200 a second, 2,000 at once.
    pub connections: Option<Rate>,
    /// HTTP requests of any kind, those of long-polling included. One above it is answered with 429, and when to come back.
    /// Default 2,000 a second, 10,000 at once.
    pub requests: Option<Rate>,
    /// Messages: frames of WebSockets (pings too), packets of long-polling. Default 20,000 a second, 40,000 at once.
    pub messages: Option<Rate>,
    /// Bytes of messages. A message that is bigger than the burst is let through if nothing is owed. Default 20 MB a second,
    /// 100 MB at once.
    pub bytes: Option<Rate>,
    /// What is done about messages above [`messages`](Self::messages) or [`bytes`](Self::bytes). Default
    /// [`Wait`](Excess::Wait).
    pub excess: Excess,
    /// Leading bits of an IPv4 address that make it: those that differ in the others are one. Default 32.
    pub ipv4_prefix: u8,
    /// The same for IPv6. Default 64: who has one address there has a whole such network.
    pub ipv6_prefix: u8,
    /// Addresses whose state is kept, about 250 bytes each. Those with nothing open and nothing used up are forgotten; if
    /// there are still as many, those with nothing open; and if all have something open, further ones share one allowance.
    /// Default 100,000.
    pub max_addresses: usize,
    /// Addresses without limits. Default `loopback`: a proxy on the same machine that is not
    /// [trusted](crate::TrustedProxies) would otherwise have all clients share one allowance.
    pub exempt: Networks,
}

/// What is done about messages that come too fast.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Excess {
    /// The connection is not read until there is room again: the client's messages are late, and none is lost.
    #[default]
    Wait,
    /// The message is dropped. Of an event the client is told by `exception`, and by its acknowledgement, with
    /// `{"status":"error","message":"Too many requests","retryAfter":ms}`.
    Drop,
    /// The connection is closed: a plain WebSocket with 1008, a Socket.IO client by a disconnect of the server, after which
    /// it does not come back by itself.
    Close,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            max_connections: 2_000,
            max_http_connections: 4_000,
            connections: Some(Rate::per_second(200).burst(2_000)),
            requests: Some(Rate::per_second(2_000).burst(10_000)),
            messages: Some(Rate::per_second(20_000).burst(40_000)),
            bytes: Some(Rate::per_second(20_000_000).burst(100_000_000)),
            excess: Excess::Wait,
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            max_addresses: 100_000,
            exempt: Networks::loopback(),
        }
    }
}

impl ClientLimits {
    /// For services of which each person has a client or two, and few people share an address: 20 sessions and 40 HTTP
    /// connections, 2 new sessions a second and 20 at once, 50 requests a second and 200 at once, 100 messages a second and
    /// 500 at once, 500 kB a second and 5 MB at once. Nobody is exempt.
    #[must_use]
    pub fn strict() -> Self {
        Self {
            max_connections: 20,
            max_http_connections: 40,
            connections: Some(Rate::per_second(2).burst(20)),
            requests: Some(Rate::per_second(50).burst(200)),
            messages: Some(Rate::per_second(100).burst(500)),
            bytes: Some(Rate::per_second(500_000).burst(5_000_000)),
            exempt: Networks::default(),
            ..Self::default()
        }
    }
}
