//! The server's side of the opening handshake (RFC 6455 §4.2, and RFC 8441 for HTTP/2): does this request open a WebSocket,
//! and which key accepts it. The response itself, the choice of a subprotocol and the check of the origin are the caller's.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, StatusCode, Version};
use sha1::{Digest, Sha1};

/// The only version of the protocol: what `Sec-WebSocket-Version` says in a request, and in the response to a request
/// with another version (RFC 6455 §4.4).
pub const VERSION: &str = "13";

/// RFC 6455 §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The bits behind the sixteenth byte are not looked at: clients that make up a key from 22 random letters work with
/// every other server.
const KEY_ENCODING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Why a request cannot be upgraded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// RFC 6455 §4.2.1, item 1.
    #[error("a WebSocket is opened with a GET request")]
    Method,
    /// RFC 6455 §4.2.1, item 1.
    #[error("a WebSocket is opened with HTTP/1.1 or later")]
    HttpVersion,
    /// RFC 8441 §4: HTTP/2 has no upgrades.
    #[error("over HTTP/2 a WebSocket is opened with an extended CONNECT request (RFC 8441)")]
    Connect,
    /// A body of a GET means nothing (RFC 9110 §9.3.1), and nobody could tell it from the first frames.
    #[error("a request that opens a WebSocket has no body")]
    Body,
    /// RFC 6455 §4.2.1, item 2.
    #[error("the Host header is missing, or there are several")]
    Host,
    /// RFC 6455 §4.2.1, item 3.
    #[error("the Upgrade header does not name websocket")]
    Upgrade,
    /// RFC 6455 §4.2.1, item 4.
    #[error("the Connection header does not name Upgrade")]
    Connection,
    /// RFC 6455 §4.2.1, item 6. The response carries `Sec-WebSocket-Version:` [`VERSION`] (§4.4).
    #[error("the Sec-WebSocket-Version header is not 13")]
    Version,
    /// RFC 6455 §4.2.1, item 5.
    #[error("the Sec-WebSocket-Key header is not the base64 form of 16 bytes")]
    Key,
    /// RFC 6455 §4.1, item 10, and §4.2.1 for what a server does about it.
    #[error("the Sec-WebSocket-Protocol header is no list of tokens, each another one")]
    Subprotocols,
    /// RFC 8441 §4.
    #[error("the :protocol of the CONNECT request is not websocket")]
    Protocol,
}

impl HandshakeError {
    /// The status of the response: 405 for another method (RFC 9110 wants `Allow: GET` with it), 426 for a request that
    /// asks for no WebSocket, or for one of another version (with `Upgrade: websocket`), 501 for another `:protocol` (RFC 9220 §3), else 400.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Upgrade | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Protocol => StatusCode::NOT_IMPLEMENTED,
            Self::HttpVersion
            | Self::Connect
            | Self::Body
            | Self::Host
            | Self::Connection
            | Self::Key
            | Self::Subprotocols => StatusCode::BAD_REQUEST,
        }
    }
}

/// A valid upgrade request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upgrade {
    accept: Option<String>,
    /// The subprotocols that the client offers, joined by commas.
    protocols: String,
}

impl Upgrade {
    /// The value of `Sec-WebSocket-Accept`, 28 characters; `None` over HTTP/2, where the answer is a bare 200.
    pub fn accept(&self) -> Option<&str> {
        self.accept.as_deref()
    }

    /// The subprotocols that the client offers, the preferred one first. One of them, or none, may be named in the
    /// response.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        self.protocols.split(',').filter(|protocol| !protocol.is_empty())
    }
}

/// Whether the `Upgrade` header names WebSocket, alone or among others (RFC 9110 §7.8): for who has to know whose a request
/// is before the handshake is checked.
pub fn asks_for_websocket(headers: &HeaderMap) -> bool {
    elements(headers, &UPGRADE).any(|protocol| protocol.eq_ignore_ascii_case("websocket"))
}

/// Checks an upgrade request (RFC 6455 §4.2.1). Extensions are not looked at: [`Deflate::negotiate`](super::Deflate::negotiate)
/// does, where one is wanted.
///
/// # Errors
///
/// The first rule that the request breaks.
pub fn accept_upgrade(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
) -> Result<Upgrade, HandshakeError> {
    if version > Version::HTTP_11 {
        return Err(HandshakeError::Connect);
    }
    if method != Method::GET {
        return Err(HandshakeError::Method);
    }
    if version < Version::HTTP_11 {
        return Err(HandshakeError::HttpVersion);
    }
    if has_body(headers) {
        return Err(HandshakeError::Body);
    }
    if single(headers, &HOST).is_none() {
        return Err(HandshakeError::Host);
    }
    if !asks_for_websocket(headers) {
        return Err(HandshakeError::Upgrade);
    }
    if !elements(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade")) {
        return Err(HandshakeError::Connection);
    }
    // Before the key: another version may have another kind of key.
    if single(headers, &SEC_WEBSOCKET_VERSION) != Some(VERSION.as_bytes()) {
        return Err(HandshakeError::Version);
    }
    let key = single(headers, &SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?;
    // 16 bytes are 24 characters; the decoder wants room for 18 because it cannot know about the padding.
    let mut nonce = [0; 18];
    if key.len() != 24 || KEY_ENCODING.decode_slice(key, &mut nonce) != Ok(16) {
        return Err(HandshakeError::Key);
    }
    Ok(Upgrade {
        accept: Some(accept_key(key)),
        protocols: protocols(headers)?,
    })
}

/// Checks a request that opens a WebSocket over HTTP/2, an extended CONNECT (RFC 8441 §5); `protocol` is its `:protocol`.
/// There is no key, and no `Upgrade` or `Connection` header; all else is as over HTTP/1.1.
///
/// # Errors
///
/// The first rule that the request breaks.
pub fn accept_connect(
    method: &Method,
    protocol: &str,
    headers: &HeaderMap,
) -> Result<Upgrade, HandshakeError> {
    if method != Method::CONNECT {
        return Err(HandshakeError::Method);
    }
    if protocol != "websocket" {
        return Err(HandshakeError::Protocol);
    }
    if single(headers, &SEC_WEBSOCKET_VERSION) != Some(VERSION.as_bytes()) {
        return Err(HandshakeError::Version);
    }
    Ok(Upgrade {
        accept: None,
        protocols: protocols(headers)?,
    })
}

/// Whether a body follows the head (RFC 9112 §6.3).
fn has_body(headers: &HeaderMap) -> bool {
    let is_zero = |length: &[u8]| length.trim_ascii().iter().all(|digit| *digit == b'0');
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    headers.contains_key(TRANSFER_ENCODING) || !lengths.all(|length| is_zero(length.as_bytes()))
}

/// The subprotocols that are offered, joined by commas.
fn protocols(headers: &HeaderMap) -> Result<String, HandshakeError> {
    let mut protocols = String::new();
    for line in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let line = line.to_str().map_err(|_| HandshakeError::Subprotocols)?;
        for protocol in list(line) {
            if !is_token(protocol) {
                return Err(HandshakeError::Subprotocols);
            }
            if !protocols.is_empty() {
                protocols.push(',');
            }
            protocols.push_str(protocol);
        }
    }
    let mut names: Vec<&str> = protocols.split(',').collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(HandshakeError::Subprotocols);
    }
    Ok(protocols)
}

/// The value of `Sec-WebSocket-Accept` for a value of `Sec-WebSocket-Key` (RFC 6455 §4.2.2, item 5.4).
pub fn accept_key(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// The value of a header that must be there exactly once, without white space around it.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes().trim_ascii())
}

/// The elements of a header that holds a list, on one line or on several. A line that is not ASCII is left out.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers
        .get_all(name)
        .into_iter()
        .filter_map(|line| line.to_str().ok());
    lines.flat_map(list)
}

/// The elements of a list. Empty ones are none (RFC 9110 §5.6.1).
fn list(line: &str) -> impl Iterator<Item = &str> {
    line.split(',')
        .map(str::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Whether this is a token of RFC 9110 §5.6.2, as every name of a subprotocol is.
fn is_token(text: &str) -> bool {
    text.bytes().all(is_token_byte)
}

/// Whether this may stand in a token.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[(&str, &str)] = &[
        ("host", "server.example.com"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];

    type Changes<'a> = &'a [(&'static str, &'a str)];

    /// The good request without the headers named in `changes`, and with those of `changes` that have a value.
    fn request(changes: Changes<'_>) -> HeaderMap {
        let kept = GOOD
            .iter()
            .filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let added = changes.iter().filter(|(_, value)| *value != "(none)");
        let mut headers = HeaderMap::new();
        for (name, value) in kept.chain(added) {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        headers
    }

    fn check(changes: Changes<'_>) -> Result<Upgrade, HandshakeError> {
        accept_upgrade(&Method::GET, Version::HTTP_11, &request(changes))
    }

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(
            accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        let upgrade = check(&[]).unwrap();
        assert_eq!(upgrade.accept(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(upgrade.protocols().next(), None);
    }

    #[test]
    fn header_rules() {
        use HandshakeError::{Body, Connection, Host, Key, Subprotocols, Upgrade, Version};
        let cases: &[(Changes<'_>, Option<HandshakeError>)] = &[
            (&[("host", "(none)")], Some(Host)),
            (&[("host", "a"), ("host", "b")], Some(Host)),
            (&[("upgrade", "(none)")], Some(Upgrade)),
            (&[("upgrade", "h2c")], Some(Upgrade)),
            (&[("upgrade", "websockets")], Some(Upgrade)),
            (&[("upgrade", "WebSocket")], None),
            (&[("upgrade", "h2c, WEBSOCKET")], None),
            (&[("upgrade", "h2c"), ("upgrade", "websocket")], None),
            (&[("upgrade", "h2c\u{e9}"), ("upgrade", "websocket")], None),
            (&[("connection", "(none)")], Some(Connection)),
            (&[("connection", "keep-alive")], Some(Connection)),
            (&[("connection", "keep-alive, Upgrade")], None),
            (&[("connection", "keep-alive,upgrade ,x")], None),
            (&[("connection", "keep-alive"), ("connection", "UPGRADE")], None),
            (&[("sec-websocket-version", "(none)")], Some(Version)),
            (&[("sec-websocket-version", "8")], Some(Version)),
            (&[("sec-websocket-version", "013")], Some(Version)),
            (&[("sec-websocket-version", "13, 8")], Some(Version)),
            (
                &[("sec-websocket-version", "13"), ("sec-websocket-version", "13")],
                Some(Version),
            ),
            (&[("sec-websocket-version", " 13\t")], None),
            (
                &[("sec-websocket-version", "8"), ("sec-websocket-key", "(none)")],
                Some(Version),
            ),
            (&[("sec-websocket-key", "(none)")], Some(Key)),
            (&[("sec-websocket-key", "")], Some(Key)),
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ")], Some(Key)),
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=")], Some(Key)),
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZSE=")], Some(Key)), // 17 bytes
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZSEh")], Some(Key)), // 18 bytes
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25j")], Some(Key)),     // 15 bytes
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25j!Q==")], Some(Key)),
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZR==")], None), // bits behind the last byte
            (&[("content-length", "0")], None),
            (&[("content-length", " 00 ")], None),
            (&[("content-length", "5")], Some(Body)),
            (&[("content-length", "0"), ("content-length", "10")], Some(Body)),
            (&[("transfer-encoding", "chunked")], Some(Body)),
            (&[("sec-websocket-protocol", "")], None),
            (&[("sec-websocket-protocol", " ,a,, b,")], None),
            (&[("sec-websocket-protocol", "a, A")], None),
            (&[("sec-websocket-protocol", "a b")], Some(Subprotocols)),
            (&[("sec-websocket-protocol", "a, \"b\"")], Some(Subprotocols)),
            (&[("sec-websocket-protocol", "v1;q=1")], Some(Subprotocols)),
            (&[("sec-websocket-protocol", "\u{e9}")], Some(Subprotocols)),
            (&[("sec-websocket-protocol", "a,b,a")], Some(Subprotocols)),
            (
                &[
                    ("sec-websocket-protocol", "a"),
                    ("sec-websocket-protocol", "b, a"),
                ],
                Some(Subprotocols),
            ),
        ];
        for (changes, expected) in cases {
            assert_eq!(check(changes).err(), *expected, "{changes:?}");
        }
    }

    #[test]
    fn method_and_http_version() {
        let headers = request(&[]);
        for method in [Method::POST, Method::HEAD, Method::CONNECT, Method::OPTIONS] {
            let refused = accept_upgrade(&method, Version::HTTP_11, &headers);
            assert_eq!(refused, Err(HandshakeError::Method), "{method}");
        }
        for version in [Version::HTTP_09, Version::HTTP_10] {
            let refused = accept_upgrade(&Method::GET, version, &headers);
            assert_eq!(refused, Err(HandshakeError::HttpVersion), "{version:?}");
        }
        let over_http2 = accept_upgrade(&Method::GET, Version::HTTP_2, &headers);
        assert_eq!(over_http2, Err(HandshakeError::Connect));
    }

    #[test]
    fn extended_connect() {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_VERSION, "13".parse().unwrap());
        headers.insert(SEC_WEBSOCKET_PROTOCOL, "chat, superchat".parse().unwrap());
        let upgrade = accept_connect(&Method::CONNECT, "websocket", &headers).unwrap();
        assert_eq!(upgrade.accept(), None);
        assert_eq!(upgrade.protocols().collect::<Vec<_>>(), ["chat", "superchat"]);
        let refused = |method, protocol, version: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(version) = version {
                headers.insert(SEC_WEBSOCKET_VERSION, version.parse().unwrap());
            }
            accept_connect(&method, protocol, &headers).err()
        };
        for (method, protocol, version, error) in [
            (Method::GET, "websocket", Some("13"), HandshakeError::Method),
            (
                Method::CONNECT,
                "connect-udp",
                Some("13"),
                HandshakeError::Protocol,
            ),
            (Method::CONNECT, "websocket", Some("8"), HandshakeError::Version),
            (Method::CONNECT, "websocket", None, HandshakeError::Version),
        ] {
            assert_eq!(refused(method, protocol, version), Some(error));
        }
    }

    #[test]
    fn status_codes() {
        let status = |error: HandshakeError| error.status().as_u16();
        assert_eq!(status(HandshakeError::Method), 405);
        assert_eq!(status(HandshakeError::Version), 426);
        assert_eq!(status(HandshakeError::Key), 400);
        assert_eq!(status(HandshakeError::Upgrade), 426);
        assert_eq!(status(HandshakeError::Connection), 400);
        assert_eq!(status(HandshakeError::Body), 400);
        assert_eq!(status(HandshakeError::Subprotocols), 400);
        assert_eq!(status(HandshakeError::Connect), 400);
        assert_eq!(status(HandshakeError::Protocol), 501);
    }

    #[test]
    fn subprotocols_keep_the_clients_order() {
        let upgrade = check(&[
            ("sec-websocket-protocol", "graphql-ws , ,"),
            ("sec-websocket-protocol", "v1.json"),
        ]);
        assert_eq!(
            upgrade.unwrap().protocols().collect::<Vec<_>>(),
            ["graphql-ws", "v1.json"]
        );
    }
}
