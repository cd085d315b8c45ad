//! The hops that a request has behind it, as the fields `X-Forwarded-For` and `Forwarded` (RFC 7239) name them. Each proxy
//! appends the address that it was asked from, so that what a stranger has written is to the left of what proxies have.
//! Everything is read from right to left: whatever the stranger wrote, a proxy's words are read as it meant them.

use std::net::{IpAddr, SocketAddr};

/// What one proxy says of who asked it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hop {
    /// Where it was asked from, with port 0 if that is not told; `None` if it is `unknown`, an obfuscated name, or no
    /// address at all.
    pub address: Option<SocketAddr>,
    /// Whether it was asked by `https` or `wss`; `None` where nothing is said of that. Always `None` in `X-Forwarded-For`.
    pub is_secure: Option<bool>,
}

/// The hops of one value of `X-Forwarded-For`, the nearest first.
pub fn x_forwarded_for(value: &str) -> impl Iterator<Item = Hop> {
    value.rsplit(',').map(|node| Hop {
        address: address(node.trim_ascii()),
        is_secure: None,
    })
}

/// The hops of one value of `Forwarded`, the nearest first. An element that is malformed is a hop of which nothing is
/// known.
pub fn forwarded(value: &str) -> impl Iterator<Item = Hop> {
    split(value, b',').map(hop)
}

fn hop(element: &str) -> Hop {
    let mut hop = Hop::default();
    for pair in split(element, b';') {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let (name, value) = (name.trim_ascii(), unquoted(value.trim_ascii()));
        if name.eq_ignore_ascii_case("for") {
            hop.address = address(value);
        } else if name.eq_ignore_ascii_case("proto") {
            hop.is_secure = Some(is_secure(value));
        }
    }
    hop
}

/// Whether this scheme, as proxies name it, is one of TLS.
#[must_use]
pub fn is_secure(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss")
}

/// A node: `192.0.2.43`, `192.0.2.43:47011`, `2001:db8::17`, `[2001:db8::17]` or `[2001:db8::17]:47011`.
fn address(node: &str) -> Option<SocketAddr> {
    if let Ok(address) = node.parse() {
        return Some(address);
    }
    let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']'));
    if let Some(bare) = bare {
        let address: std::net::Ipv6Addr = bare.parse().ok()?;
        return Some(SocketAddr::new(address.into(), 0));
    }
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, 0));
    }
    // Its port may be obfuscated: `[2001:db8::17]:_x`.
    let (host, port) = node.rsplit_once(':')?;
    let is_obfuscated = port.starts_with('_') && !host.ends_with(':');
    is_obfuscated.then(|| address(host)).flatten()
}

/// A quoted string without its quotes. No node or scheme needs an escape; what has one is none.
fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// The parts between separators that stand in no quoted string, from right to left.
fn split(value: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let bytes = text.as_bytes();
        let mut is_quoted = false;
        let start = (0..bytes.len()).rev().find(|&at| {
            if bytes[at] == b'"' && !is_escaped(&bytes[..at]) {
                is_quoted = !is_quoted;
            }
            bytes[at] == separator && !is_quoted
        });
        rest = start.map(|start| &text[..start]);
        Some(start.map_or(text, |start| &text[start + 1..]))
    })
}

/// Whether what comes behind these bytes is escaped: they end with an odd number of backslashes.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}
