//! Whom a request comes from when proxies stand between: which of them are believed, and what they say. Without
//! configuration nothing of what a request says of itself is believed.

use std::net::SocketAddr;
use std::time::Duration;

use gatewire_proto::proxy::{self, Hop};
use http::HeaderMap;

use crate::networks::{NetworkError, Networks};

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
const FORWARDED: &str = "forwarded";

/// The proxies in front of the server that are believed when they say whom a request comes from.
///
/// The address of a client is found from the server outwards: as long as who asked is a trusted proxy, it is believed whom
/// it was asked by. The first address that is none of them is the client's, whatever stands farther left in the header:
/// clients may have written that themselves. If a trusted proxy does not tell an address (`unknown`, an obfuscated name),
/// it is the proxy's own.
///
/// ```
/// use gatewire_server::TrustedProxies;
///
/// // A load balancer in this network, which sets X-Forwarded-For and X-Forwarded-Proto.
/// let proxies = TrustedProxies::new(["10.0.0.0/8"])?;
/// // HAProxy on this machine, with `send-proxy-v2`.
/// let proxies = TrustedProxies::new(["loopback"])?.proxy_protocol();
/// # Ok::<(), gatewire_server::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Networks,
    /// So many are believed whatever their address is.
    hops: usize,
    field: Field,
    protocol: Option<ProxyProtocol>,
}

/// Where proxies write whom they were asked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// `X-Forwarded-For`, and `X-Forwarded-Proto`.
    XForwarded,
    /// RFC 7239.
    Forwarded,
}

/// How a listener waits for the header of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// Time within which it must have come. Default 5 s.
    pub timeout: Duration,
    /// Bytes that it may have. Default 2,048; the addresses alone take at most 232.
    pub max_header: usize,
}

impl Default for ProxyProtocol {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            max_header: 2_048,
        }
    }
}

/// The other end of a connection, or of what a proxy has announced on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Trusted proxies that are before it already.
    pub(crate) hops: usize,
    /// Whether it spoke TLS with the last of them, if that was told.
    pub(crate) is_secure: Option<bool>,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self {
            address,
            hops: 0,
            is_secure: None,
        }
    }
}

impl TrustedProxies {
    /// Proxies in these [networks](Networks::new). They say whom they were asked by in `X-Forwarded-For`
    /// (each appends an address to it), and how in `X-Forwarded-Proto`: each must set the latter, or remove it.
    ///
    /// # Errors
    /// The first that is no network.
    pub fn new<N: AsRef<str>>(networks: impl IntoIterator<Item = N>) -> Result<Self, NetworkError> {
        Ok(Self {
            networks: Networks::new(networks)?,
            hops: 0,
            field: Field::XForwarded,
            protocol: None,
        })
    }

    /// The last `count` hops, whatever their addresses are: for a server that nobody reaches but by way of so many proxies,
    /// whose addresses are not known. Who reaches it past them can say what they like.
    #[must_use]
    pub fn hops(count: usize) -> Self {
        Self {
            networks: Networks::default(),
            hops: count,
            field: Field::XForwarded,
            protocol: None,
        }
    }

    /// They say it in `Forwarded` (RFC 7239) instead; the other fields are not looked at.
    #[must_use]
    pub fn forwarded(mut self) -> Self {
        self.field = Field::Forwarded;
        self
    }

    /// Each connection of theirs to a [`Listener`](crate::Listener) must begin with a header of the PROXY protocol, version
    /// 1 or 2, before TLS: `send-proxy` and `send-proxy-v2` of HAProxy, `proxy_protocol` of nginx's streams. One that does
    /// not is closed. On connections of others none is looked for.
    #[must_use]
    pub fn proxy_protocol(self) -> Self {
        self.proxy_protocol_with(ProxyProtocol::default())
    }

    /// As [`proxy_protocol`](Self::proxy_protocol), with bounds of your own.
    #[must_use]
    pub fn proxy_protocol_with(mut self, bounds: ProxyProtocol) -> Self {
        self.protocol = Some(bounds);
        self
    }

    /// How the connection of `peer` must begin, if with a header.
    pub(crate) fn announcement(&self, peer: SocketAddr) -> Option<&ProxyProtocol> {
        self.protocol.as_ref().filter(|_| self.trusts(peer.into()))
    }

    /// Whether what `peer` says of others is believed.
    pub(crate) fn trusts(&self, peer: Peer) -> bool {
        peer.hops < self.hops || self.networks.contains(peer.address.ip())
    }

    /// Whom a request with these headers comes from.
    pub(crate) fn resolve(&self, peer: Peer, headers: &HeaderMap) -> Peer {
        match self.field {
            Field::XForwarded => {
                let hops = values(headers, X_FORWARDED_FOR).flat_map(proxy::x_forwarded_for);
                let (client, walked) = self.walk(peer, hops);
                let told = self.trusts(peer).then(|| scheme(headers, walked.max(1)));
                Peer {
                    is_secure: told.flatten().or(peer.is_secure),
                    ..client
                }
            }
            Field::Forwarded => {
                let hops = values(headers, FORWARDED).flat_map(proxy::forwarded);
                self.walk(peer, hops).0
            }
        }
    }

    /// Goes outwards from `peer` as long as who is there is trusted: who that was, and how many hops it took.
    fn walk(&self, mut peer: Peer, hops: impl Iterator<Item = Hop>) -> (Peer, usize) {
        let mut walked = 0;
        for hop in hops.take(MAX_HOPS) {
            if !self.trusts(peer) {
                break;
            }
            walked += 1;
            peer.is_secure = hop.is_secure.or(peer.is_secure);
            let Some(address) = hop.address else { break };
            peer.address = SocketAddr::new(address.ip().to_canonical(), address.port());
            peer.hops += 1;
        }
        (peer, walked)
    }
}

/// The values of a field, the nearest proxy's first. What is no text says nothing.
fn values<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().rev();
    values.map(|value| value.to_str().unwrap_or_default())
}

/// What `X-Forwarded-Proto` says of the hop that many proxies away. Most proxies replace it, so that there may be fewer.
fn scheme(headers: &HeaderMap, hops: usize) -> Option<bool> {
    let schemes = values(headers, X_FORWARDED_PROTO).flat_map(|value| value.rsplit(','));
    let scheme = schemes.take(hops).last()?;
    Some(proxy::is_secure(scheme.trim_ascii()))
}

/// Proxies in a row that are looked past.
const MAX_HOPS: usize = 64;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn resolve(
        proxies: &TrustedProxies,
        peer: &str,
        fields: &[(&'static str, &'static str)],
    ) -> (String, Option<bool>) {
        let peer: SocketAddr = peer.parse().unwrap();
        let origin = proxies.resolve(peer.into(), &headers(fields));
        (origin.address.to_string(), origin.is_secure)
    }

    fn is(address: &str, is_secure: Option<bool>) -> (String, Option<bool>) {
        (address.to_owned(), is_secure)
    }

    const FOR: &str = "x-forwarded-for";
    const PROTO: &str = "x-forwarded-proto";

    #[test]
    fn the_rightmost_address_that_is_not_trusted_is_the_clients() {
        let proxies = TrustedProxies::new(["10.0.0.0/8", "2001:db8::5"]).unwrap();
        for (peer, fields, expected) in [
            // Nobody says anything.
            ("10.0.0.1:80", &[][..], is("10.0.0.1:80", None)),
            // A stranger says something.
            (
                "203.0.113.7:80",
                &[(FOR, "198.51.100.9"), (PROTO, "https")],
                is("203.0.113.7:80", None),
            ),
            // A proxy.
            ("10.0.0.1:80", &[(FOR, "203.0.113.7")], is("203.0.113.7:0", None)),
            (
                "10.0.0.1:80",
                &[(FOR, "203.0.113.7:4711"), (PROTO, "https")],
                is("203.0.113.7:4711", Some(true)),
            ),
            (
                "[::ffff:10.0.0.1]:80",
                &[(FOR, "::ffff:203.0.113.7")],
                is("203.0.113.7:0", None),
            ),
            // What the client wrote is to the left.
            (
                "10.0.0.1:80",
                &[(FOR, "6.6.6.6, 203.0.113.7")],
                is("203.0.113.7:0", None),
            ),
            (
                "10.0.0.1:80",
                &[(FOR, "6.6.6.6, 10.0.0.9"), (FOR, "203.0.113.7")],
                is("203.0.113.7:0", None),
            ),
            (
                "10.0.0.1:80",
                &[(FOR, "10.6.6.6, 203.0.113.7, 10.0.0.2")],
                is("203.0.113.7:0", None),
            ),
            // Several proxies, and what each says of TLS.
            (
                "10.0.0.1:80",
                &[
                    (FOR, "6.6.6.6, 203.0.113.7, 2001:db8::5"),
                    (PROTO, "http, https, http"),
                ],
                is("203.0.113.7:0", Some(true)),
            ),
            (
                "10.0.0.1:80",
                &[(FOR, "203.0.113.7, 10.0.0.2"), (PROTO, "https")],
                is("203.0.113.7:0", Some(true)),
            ),
            (
                "10.0.0.1:80",
                &[(FOR, "203.0.113.7"), (PROTO, "https"), (PROTO, "http")],
                is("203.0.113.7:0", Some(false)),
            ),
            // All are trusted: the leftmost.
            (
                "10.0.0.1:80",
                &[(FOR, "10.0.0.3, 10.0.0.2")],
                is("10.0.0.3:0", None),
            ),
            // A proxy that tells the scheme alone.
            ("10.0.0.1:80", &[(PROTO, "https")], is("10.0.0.1:80", Some(true))),
            // Nothing is known beyond a proxy.
            (
                "10.0.0.1:80",
                &[(FOR, "203.0.113.7, unknown")],
                is("10.0.0.1:80", None),
            ),
            (
                "10.0.0.1:80",
                &[(FOR, "203.0.113.7, _x, 10.0.0.2")],
                is("10.0.0.2:0", None),
            ),
            ("10.0.0.1:80", &[(FOR, "")], is("10.0.0.1:80", None)),
            // Another field says nothing.
            (
                "10.0.0.1:80",
                &[("forwarded", "for=6.6.6.6;proto=https")],
                is("10.0.0.1:80", None),
            ),
        ] {
            assert_eq!(resolve(&proxies, peer, fields), expected, "{peer} {fields:?}");
        }
    }

    #[test]
    fn forwarded_says_address_and_scheme_in_one() {
        let proxies = TrustedProxies::new(["10.0.0.0/8"]).unwrap().forwarded();
        for (fields, expected) in [
            (
                &[(
                    "forwarded",
                    r#"for=6.6.6.6;proto=http, for="[2001:db8::7]:80";proto=https;by=_x"#,
                )][..],
                is("[2001:db8::7]:80", Some(true)),
            ),
            (
                &[
                    ("forwarded", "for=203.0.113.7;proto=https"),
                    ("forwarded", "for=10.0.0.2;proto=http"),
                ],
                is("203.0.113.7:0", Some(true)),
            ),
            (
                &[("forwarded", "for=unknown;proto=https")],
                is("10.0.0.1:80", Some(true)),
            ),
            (&[(FOR, "6.6.6.6"), (PROTO, "https")], is("10.0.0.1:80", None)),
        ] {
            assert_eq!(resolve(&proxies, "10.0.0.1:80", fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn hops_are_counted_from_the_server() {
        let fields = &[(FOR, "6.6.6.6, 203.0.113.7, 198.51.100.1")];
        for (count, expected) in [
            (0, "192.0.2.1:80"),
            (1, "198.51.100.1:0"),
            (2, "203.0.113.7:0"),
            (3, "6.6.6.6:0"),
            (9, "6.6.6.6:0"),
        ] {
            let proxies = TrustedProxies::hops(count);
            assert_eq!(resolve(&proxies, "192.0.2.1:80", fields).0, expected, "{count}");
        }
        // What the PROXY protocol has announced is a hop farther away.
        let announced = Peer {
            address: "192.0.2.1:80".parse().unwrap(),
            hops: 1,
            is_secure: None,
        };
        let origin = TrustedProxies::hops(1).resolve(announced, &headers(fields));
        assert_eq!(origin.address, announced.address);
    }

    #[test]
    fn only_trusted_proxies_announce() {
        let proxies = TrustedProxies::new(["loopback", "192.0.2.1"]).unwrap();
        let asked =
            |proxies: &TrustedProxies, peer: &str| proxies.announcement(peer.parse().unwrap()).is_some();
        assert!(!asked(&proxies, "127.0.0.1:1"));
        let proxies = proxies.proxy_protocol();
        for (peer, is_asked) in [
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:192.0.2.1]:1", true),
            ("192.0.2.2:1", false),
        ] {
            assert_eq!(asked(&proxies, peer), is_asked, "{peer}");
        }
    }
}
