//! The header of the PROXY protocol (HAProxy's `proxy-protocol.txt`), a line of text or a binary block. What comes behind
//! it is not looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// What begins a header of version 1.
const PREFIX_V1: &[u8] = b"PROXY ";

/// Bytes that a header of version 1 may have, its line's end included (§2.1).
const MAX_V1: usize = 107;

/// What begins a header of version 2 (§2.2).
const SIGNATURE_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes before the addresses of version 2: the signature, version and command, family and transport, the length.
const PREAMBLE_V2: usize = 16;

/// The type of the extension of version 2 that says whether the client came by TLS, and its flag for that.
const SSL: u8 = 0x20;
const CLIENT_SSL: u8 = 0x01;

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// For whom the proxy speaks.
    pub source: Source,
    /// Bytes of the header: what the client sent begins behind them.
    pub length: usize,
}

/// The other end of what a proxy relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A client.
    Client {
        /// Where it connected from.
        address: SocketAddr,
        /// Whether it spoke TLS with the proxy, if the proxy says so, which version 2 alone can.
        is_secure: Option<bool>,
    },
    /// The proxy itself, looking whether the server is there.
    Proxy,
    /// Somebody without an IP address, or of whom the proxy does not know it.
    Unknown,
}

/// What begins a connection is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Neither version begins so.
    #[error("it does not begin with a header of the PROXY protocol")]
    NoHeader,
    /// A line of version 1 that is none.
    #[error("the line of version 1 is malformed")]
    Line,
    /// A version or command that nobody knows.
    #[error("the version or command {byte:#04x} is unknown")]
    Command {
        /// The 13th byte.
        byte: u8,
    },
    /// A family of addresses that nobody knows, or a transport that is no stream.
    #[error("the address family or transport {byte:#04x} is no stream's")]
    Family {
        /// The 14th byte.
        byte: u8,
    },
    /// Less room than the addresses need.
    #[error("a header of version 2 is shorter than its addresses")]
    Short,
    /// Extensions that do not fill the rest of the header.
    #[error("the extensions of a header of version 2 are malformed")]
    Extensions,
    /// More bytes than allowed.
    #[error("the header has {length} bytes, more than {limit}")]
    TooLong {
        /// Its bytes.
        length: usize,
        /// How many are allowed.
        limit: usize,
    },
}

/// Reads the header that a connection begins with, of at most `limit` bytes; `None` while it is not whole: call again with
/// more bytes. All bytes of a header that is not whole belong to it.
///
/// # Errors
/// As soon as what is there cannot become a header.
///
/// ```
/// use gatewire_proto::proxy::{Source, decode};
///
/// let line = b"PROXY TCP4 203.0.113.7 10.0.0.1 51000 443\r\nGET / HTTP/1.1\r\n";
/// assert_eq!(decode(&line[..20], 512)?, None);
/// let header = decode(line, 512)?.unwrap();
/// assert_eq!(
///     header.source,
///     Source::Client { address: "203.0.113.7:51000".parse().unwrap(), is_secure: None },
/// );
/// assert!(line[header.length..].starts_with(b"GET"));
/// # Ok::<(), gatewire_proto::proxy::HeaderError>(())
/// ```
pub fn decode(input: &[u8], limit: usize) -> Result<Option<Announcement>, HeaderError> {
    if begins(input, SIGNATURE_V2) {
        decode_v2(input, limit)
    } else if begins(input, PREFIX_V1) {
        decode_v1(input)
    } else {
        Err(HeaderError::NoHeader)
    }
}

/// Whether `input` begins with `start`, as far as it goes.
fn begins(input: &[u8], start: &[u8]) -> bool {
    let common = input.len().min(start.len());
    input[..common] == start[..common]
}

fn decode_v1(input: &[u8]) -> Result<Option<Announcement>, HeaderError> {
    let line = &input[..input.len().min(MAX_V1)];
    let Some(end) = memchr::memchr(b'\n', line) else {
        return if line.len() < MAX_V1 {
            Ok(None)
        } else {
            Err(HeaderError::Line)
        };
    };
    let line = line[..end].strip_suffix(b"\r").ok_or(HeaderError::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| HeaderError::Line)?;
    let source = source_v1(line).ok_or(HeaderError::Line)?;
    Ok(Some(Announcement {
        source,
        length: end + 1,
    }))
}

fn source_v1(line: &str) -> Option<Source> {
    let mut words = line.split(' ').skip(1);
    let address = match words.next()? {
        // What follows is not to be looked at.
        "UNKNOWN" => return Some(Source::Unknown),
        "TCP4" => endpoints_v1::<Ipv4Addr>(words)?,
        "TCP6" => endpoints_v1::<Ipv6Addr>(words)?,
        _ => return None,
    };
    Some(Source::Client {
        address,
        is_secure: None,
    })
}

/// The source of `source destination source-port destination-port`.
fn endpoints_v1<'a, A: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Option<SocketAddr> {
    let source: A = words.next()?.parse().ok()?;
    let _destination: A = words.next()?.parse().ok()?;
    let port = port_v1(words.next()?)?;
    port_v1(words.next()?)?;
    words
        .next()
        .is_none()
        .then(|| SocketAddr::new(source.into(), port))
}

fn port_v1(word: &str) -> Option<u16> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| is_plain)
}

fn decode_v2(input: &[u8], limit: usize) -> Result<Option<Announcement>, HeaderError> {
    let is_local = match input.get(12) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(&byte) => return Err(HeaderError::Command { byte }),
    };
    let Some(&[family, high, low]) = input.get(13..PREAMBLE_V2) else {
        return Ok(None);
    };
    let length = PREAMBLE_V2 + usize::from(u16::from_be_bytes([high, low]));
    if length > limit {
        return Err(HeaderError::TooLong { length, limit });
    }
    let Some(body) = input.get(PREAMBLE_V2..length) else {
        return Ok(None);
    };
    let source = if is_local {
        Source::Proxy
    } else {
        source_v2(family, body)?
    };
    Ok(Some(Announcement { source, length }))
}

fn source_v2(family: u8, body: &[u8]) -> Result<Source, HeaderError> {
    let (address, extensions) = match family {
        // Unspecified, and a socket of the proxy's machine: it is accepted, and nothing is known.
        0x00 => return Ok(Source::Unknown),
        0x31 if body.len() >= 216 => return Ok(Source::Unknown),
        0x11 => {
            let (addresses, extensions) = body.split_first_chunk::<12>().ok_or(HeaderError::Short)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            let port = u16::from_be_bytes([high, low]);
            (
                SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port),
                extensions,
            )
        }
        0x21 => {
            let (source, rest) = body.split_first_chunk::<16>().ok_or(HeaderError::Short)?;
            let (rest, extensions) = rest.split_first_chunk::<20>().ok_or(HeaderError::Short)?;
            let port = u16::from_be_bytes([rest[16], rest[17]]);
            (SocketAddr::new(Ipv6Addr::from(*source).into(), port), extensions)
        }
        0x31 => return Err(HeaderError::Short),
        byte => return Err(HeaderError::Family { byte }),
    };
    Ok(Source::Client {
        address,
        is_secure: is_secure(extensions)?,
    })
}

/// What the extensions say of TLS between the client and the proxy.
fn is_secure(mut extensions: &[u8]) -> Result<Option<bool>, HeaderError> {
    let mut is_secure = None;
    while let Some((&[kind, high, low], rest)) = extensions.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(HeaderError::Extensions)?;
        if kind == SSL {
            let flags = value.first().ok_or(HeaderError::Extensions)?;
            is_secure = Some(flags & CLIENT_SSL != 0);
        }
        extensions = rest;
    }
    if extensions.is_empty() {
        Ok(is_secure)
    } else {
        Err(HeaderError::Extensions)
    }
}
