//! What the server answers to the first request of a session: the open packet, or an error with its code, HTTP status
//! and JSON body. The order in which a request is checked is the caller's.

use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use super::TransportKind;
use crate::json::put_json_string;

/// The data of the packet that opens a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPacket<'a> {
    /// The session id, secret between server and client.
    pub sid: &'a str,
    /// The transports that the client may move to from the present one.
    pub upgrades: &'a [TransportKind],
    /// The time between two pings of the server; sent in milliseconds.
    pub ping_interval: Duration,
    /// How long a pong may take; sent in milliseconds.
    pub ping_timeout: Duration,
    /// The largest payload that the server takes, in bytes; clients cut their POSTs by it.
    pub max_payload: usize,
}

/// More than the packet of an id of usual length takes.
const ROOM: usize = 160;

impl OpenPacket<'_> {
    /// The packet in its text form, `0` and JSON, keys in the order of the official server.
    pub fn encode(&self) -> String {
        let mut json = Vec::with_capacity(ROOM);
        json.extend_from_slice(b"0{\"sid\":");
        put_json_string(&mut json, self.sid);
        json.extend_from_slice(b",\"upgrades\":[");
        for (index, transport) in self.upgrades.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            put_json_string(&mut json, transport.as_str());
        }
        let mut number = itoa::Buffer::new();
        json.extend_from_slice(b"],\"pingInterval\":");
        json.extend_from_slice(number.format(self.ping_interval.as_millis()).as_bytes());
        json.extend_from_slice(b",\"pingTimeout\":");
        json.extend_from_slice(number.format(self.ping_timeout.as_millis()).as_bytes());
        json.extend_from_slice(b",\"maxPayload\":");
        json.extend_from_slice(number.format(self.max_payload).as_bytes());
        json.push(b'}');
        // Text and numbers make no other bytes.
        String::from_utf8(json).unwrap_or_default()
    }
}

/// Why a request is refused, in the codes that Engine.IO clients know. `Display` is [`message`](Self::message).
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}", self.message())]
#[non_exhaustive]
pub enum HandshakeError {
    /// 0: `transport` is absent, unknown or not allowed.
    UnknownTransport,
    /// 1: no session has this `sid`.
    UnknownSid,
    /// 2: a handshake that is not a GET.
    BadMethod,
    /// 3: the request contradicts itself or its session; the client is not told in what.
    BadRequest(BadRequest),
    /// 4: the application refused the handshake; the text, if any, replaces "Forbidden".
    Forbidden(Option<String>),
    /// 5: `EIO` is not a version that this server speaks.
    UnsupportedVersion,
}

/// What is wrong with a request that is refused with code 3. [`name`](Self::name) is the official server's word for it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BadRequest {
    /// It names a transport that is not the session's.
    #[error("the session is on another transport than the request names")]
    OtherTransport,
    /// Its `EIO` is not the session's.
    #[error("the session is of another protocol version than the request names")]
    OtherProtocol,
    /// It asks for a WebSocket without an upgrade of the connection, or for polling with one.
    #[error("a WebSocket is opened by an upgrade of the connection, and polling is not")]
    NoHandshake,
    /// The server has no id for the new session, or one that is in use.
    #[error("there is no id for the session, or it is in use")]
    NoId,
}

impl BadRequest {
    /// The name in the context of the official server's `connection_error`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtherTransport => "TRANSPORT_MISMATCH",
            Self::OtherProtocol => "PROTOCOL_MISMATCH",
            Self::NoHandshake => "TRANSPORT_HANDSHAKE_ERROR",
            Self::NoId => "ID_GENERATION_ERROR",
        }
    }
}

impl From<BadRequest> for HandshakeError {
    fn from(cause: BadRequest) -> Self {
        Self::BadRequest(cause)
    }
}

impl HandshakeError {
    /// The code in the body.
    pub fn code(&self) -> u8 {
        match self {
            Self::UnknownTransport => 0,
            Self::UnknownSid => 1,
            Self::BadMethod => 2,
            Self::BadRequest(_) => 3,
            Self::Forbidden(_) => 4,
            Self::UnsupportedVersion => 5,
        }
    }

    /// The sentence in the body. A refused WebSocket handshake has it alone, as text.
    pub fn message(&self) -> &str {
        match self {
            Self::UnknownTransport => "Transport unknown",
            Self::UnknownSid => "Session ID unknown",
            Self::BadMethod => "Bad handshake method",
            Self::BadRequest(_) => "Bad request",
            Self::Forbidden(message) => message.as_deref().unwrap_or("Forbidden"),
            Self::UnsupportedVersion => "Unsupported protocol version",
        }
    }

    /// 403 for [`Forbidden`](Self::Forbidden), else 400. (For a WebSocket handshake the official server says 400 always.)
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The body of the answer, `application/json`.
    pub fn body(&self) -> String {
        let mut message = Vec::new();
        put_json_string(&mut message, self.message());
        format!(
            "{{\"code\":{},\"message\":{}}}",
            self.code(),
            String::from_utf8_lossy(&message)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_packet_is_the_official_one_byte_for_byte() {
        let open = OpenPacket {
            sid: "q__lAbcdefghijklAAAA",
            upgrades: &[TransportKind::WebSocket],
            ping_interval: Duration::from_millis(25_000),
            ping_timeout: Duration::from_millis(20_000),
            max_payload: 1_000_000,
        };
        assert_eq!(
            open.encode(),
            r#"0{"sid":"q__lAbcdefghijklAAAA","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        );
        assert_eq!(open.encode().len(), 118);
        let bare = OpenPacket {
            upgrades: &[],
            ping_interval: Duration::from_micros(300_999),
            ..open
        };
        assert_eq!(
            bare.encode(),
            r#"0{"sid":"q__lAbcdefghijklAAAA","upgrades":[],"pingInterval":300,"pingTimeout":20000,"maxPayload":1000000}"#
        );
    }

    #[test]
    fn errors_are_the_official_ones_byte_for_byte() {
        let table = [
            (
                HandshakeError::UnknownTransport,
                400,
                r#"{"code":0,"message":"Transport unknown"}"#,
            ),
            (
                HandshakeError::UnknownSid,
                400,
                r#"{"code":1,"message":"Session ID unknown"}"#,
            ),
            (
                HandshakeError::BadMethod,
                400,
                r#"{"code":2,"message":"Bad handshake method"}"#,
            ),
            (
                BadRequest::OtherTransport.into(),
                400,
                r#"{"code":3,"message":"Bad request"}"#,
            ),
            (
                HandshakeError::Forbidden(None),
                403,
                r#"{"code":4,"message":"Forbidden"}"#,
            ),
            (
                HandshakeError::Forbidden(Some("custom \"reason\"\n".to_owned())),
                403,
                r#"{"code":4,"message":"custom \"reason\"\n"}"#,
            ),
            (
                HandshakeError::UnsupportedVersion,
                400,
                r#"{"code":5,"message":"Unsupported protocol version"}"#,
            ),
        ];
        for (error, status, body) in table {
            assert_eq!(error.status().as_u16(), status, "{error:?}");
            assert_eq!(error.body(), body);
            assert_eq!(error.to_string(), error.message());
        }
    }
}
