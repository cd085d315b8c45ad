//! The two protocols that the servers speak, as the load needs them: what to send, and whether an answer is the
//! right one, by comparing bytes. Socket.IO v5 over Engine.IO v4 on WebSocket, and bare WebSocket with
//! `{"event", "data"}` envelopes. Nothing is parsed that has only one right form.

use std::str::FromStr;

use super::frame::{self, Opcode};

/// The `Sec-WebSocket-Key` of every handshake (the example of RFC 6455 section 1.3).
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The accept value that belongs to it.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What follows the eight digits of a payload, so that it is 32 bytes long; of a long one again and again.
const FILLER: &[u8; 24] = b"-gatewire-bench-payload-";

/// How often [`FILLER`] stands in a long payload, so that it has 4 KiB.
pub(crate) const LONG: usize = 170;

/// The extension as it is offered: no message refers to another one.
const OFFER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The protocol of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flavour {
    /// Socket.IO v5 over Engine.IO v4, WebSocket transport only.
    SocketIo,
    /// The same of a server that keeps what it sends, for clients that come back: events have an offset as last argument.
    Recovery,
    /// Bare WebSocket, `{"event": name, "data": value}` in text messages.
    Ws,
    /// Server-Sent Events: connections that only listen. The first one speaks Socket.IO, and sends.
    Sse,
}

/// What a text message of a server means to the load.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Incoming {
    /// Engine.IO's open packet.
    Open,
    /// The namespace was joined.
    Joined,
    /// Engine.IO's heartbeat, to be answered.
    Heartbeat,
    /// The right answer to the request of this number.
    Reply(u32),
    /// The broadcast message of this number, as it was sent.
    Message(u32),
    /// Anything else: a wrong answer.
    Unexpected,
}

impl Flavour {
    /// The name as it is written on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SocketIo => "socketio",
            Self::Recovery => "socketio-recovery",
            Self::Ws => "ws",
            Self::Sse => "sse",
        }
    }

    /// What the connection of this number speaks.
    pub(crate) fn of(self, connection: usize) -> Self {
        match self {
            Self::Sse if connection == 0 => Self::SocketIo,
            other => other,
        }
    }

    /// The HTTP request that opens a connection, with an offer of compression if `is_deflated`.
    pub(crate) fn handshake(self, host: &str, is_deflated: bool) -> String {
        let offer = if is_deflated {
            format!("Sec-WebSocket-Extensions: {OFFER}\r\n")
        } else {
            String::new()
        };
        let target = match self {
            Self::SocketIo | Self::Recovery => "/socket.io/?EIO=4&transport=websocket",
            Self::Ws => "/",
            Self::Sse => return format!("GET /sse HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        };
        upgrade(target, host, &offer)
    }

    /// The packet that joins a namespace, where the protocol has one. `space` is how packets name it: nothing for `/`, else
    /// such as `/n1,`.
    pub(crate) fn put_join(self, out: &mut Vec<u8>, space: &[u8]) {
        if !matches!(self, Self::Ws | Self::Sse) {
            frame::put(out, Opcode::Text, |out| {
                out.extend_from_slice(b"40");
                out.extend_from_slice(space);
            });
        }
    }

    /// Engine.IO's answer to a heartbeat.
    pub(crate) fn put_heartbeat(self, out: &mut Vec<u8>) {
        if !matches!(self, Self::Ws | Self::Sse) {
            frame::put(out, Opcode::Text, |out| out.push(b'3'));
        }
    }

    /// The request `ping` of the given number in a namespace; the server answers it.
    pub(crate) fn put_ping(self, out: &mut Vec<u8>, number: u32, space: &[u8]) {
        frame::put(out, Opcode::Text, |out| match self {
            Self::SocketIo | Self::Recovery => put_ping_packet(out, number, space),
            Self::Ws | Self::Sse => {
                out.extend_from_slice(b"{\"event\":\"ping\",\"data\":\"");
                put_payload(out, number);
                out.extend_from_slice(b"\"}");
            }
        });
    }

    /// The request `broadcast` of the given number, with so many fillers; the server sends it to every connection.
    pub(crate) fn put_broadcast(self, out: &mut Vec<u8>, number: u32, fillers: usize) {
        frame::put(out, Opcode::Text, |out| match self {
            Self::SocketIo | Self::Recovery => {
                out.extend_from_slice(b"42[\"broadcast\",\"");
                put_long_payload(out, number, fillers);
                out.extend_from_slice(b"\"]");
            }
            Self::Ws | Self::Sse => {
                out.extend_from_slice(b"{\"event\":\"broadcast\",\"data\":\"");
                put_long_payload(out, number, fillers);
                out.extend_from_slice(b"\"}");
            }
        });
    }

    /// The event of this name with JSON as its one argument.
    pub(crate) fn put_event(self, out: &mut Vec<u8>, name: &str, json: &str) {
        frame::put(out, Opcode::Text, |out| {
            let (start, middle, end) = match self {
                Self::SocketIo | Self::Recovery => ("42[\"", "\",", "]"),
                Self::Ws | Self::Sse => ("{\"event\":\"", "\",\"data\":", "}"),
            };
            for part in [start, name, middle, json, end] {
                out.extend_from_slice(part.as_bytes());
            }
        });
    }

    /// What a text message of the server in a namespace is; its whole content is compared. A broadcast has so many fillers.
    pub(crate) fn classify(self, text: &[u8], fillers: usize, space: &[u8]) -> Incoming {
        let found = match self {
            Self::SocketIo | Self::Recovery => match text {
                [b'4', b'3', rest @ ..] => rest.strip_prefix(space).and_then(acknowledgement),
                [b'4', b'2', rest @ ..] => message(rest, self == Self::Recovery, fillers),
                [b'4', b'0', rest @ ..] => rest
                    .strip_prefix(space)
                    .filter(|rest| rest.starts_with(b"{"))
                    .map(|_| Incoming::Joined),
                [b'0', b'{', ..] => Some(Incoming::Open),
                [b'2'] => Some(Incoming::Heartbeat),
                _ => None,
            },
            Self::Ws => between(text, b"{\"event\":\"ping\",\"data\":\"pong: ", b"\"}")
                .and_then(payload)
                .map(Incoming::Reply)
                .or_else(|| {
                    between(text, b"{\"event\":\"message\",\"data\":\"", b"\"}")
                        .and_then(|text| payload_of(text, fillers))
                        .map(Incoming::Message)
                }),
            Self::Sse => match text {
                b"\n" => Some(Incoming::Joined),
                b":\n\n" => Some(Incoming::Heartbeat),
                _ => between(text, b"event: message\ndata: \"", b"\"\n\n")
                    .and_then(|text| payload_of(text, fillers))
                    .map(Incoming::Message),
            },
        };
        found.unwrap_or(Incoming::Unexpected)
    }
}

/// The request that opens a WebSocket, with more headers: none, or lines with their ends.
pub(crate) fn upgrade(target: &str, host: &str, more: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

impl FromStr for Flavour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "socketio" => Ok(Self::SocketIo),
            "socketio-recovery" => Ok(Self::Recovery),
            "ws" => Ok(Self::Ws),
            "sse" => Ok(Self::Sse),
            _ => Err(format!(
                "unknown protocol \"{text}\": socketio, socketio-recovery, ws or sse"
            )),
        }
    }
}

/// The first chunk of `input`: where its content is, and where it ends. `Ok(None)` while it is not whole, `Err` if it is none,
/// or the last.
pub(crate) fn chunk(input: &[u8]) -> Result<Option<(std::ops::Range<usize>, usize)>, String> {
    let Some(line) = input.windows(2).position(|window| window == b"\r\n") else {
        return if input.len() > 16 {
            Err("a chunk without a size".to_owned())
        } else {
            Ok(None)
        };
    };
    let size = std::str::from_utf8(&input[..line]).ok();
    let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
    let content = match size {
        None => return Err("a chunk without a size".to_owned()),
        Some(0) => return Err("the stream has ended".to_owned()),
        Some(size) => line + 2..line + 2 + size,
    };
    let end = content.end + 2;
    if input.len() < end {
        return Ok(None);
    }
    Ok(Some((content, end)))
}

/// As [`check_handshake`], for a stream of events.
pub(crate) fn check_stream(response: &[u8]) -> Result<Option<usize>, String> {
    let Some(end) = response.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&response[..end]).to_ascii_lowercase();
    let is_stream = head.starts_with("http/1.1 200")
        && head.contains("\r\ncontent-type: text/event-stream")
        && head.contains("\r\ntransfer-encoding: chunked");
    if is_stream { Ok(Some(end + 4)) } else { Err(head) }
}

/// Where the body of the handshake response begins: `Ok(None)` while the head is unfinished, `Err` with the
/// status line when the server did not upgrade as RFC 6455 section 4.2.2 demands, or does not compress if `is_deflated`.
pub(crate) fn check_handshake(response: &[u8], is_deflated: bool) -> Result<Option<usize>, String> {
    let Some(end) = response.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if response.len() > 16 << 10 {
            Err("a response head without an end".to_owned())
        } else {
            Ok(None)
        };
    };
    let head = String::from_utf8_lossy(&response[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 101") {
        return Err(status.to_owned());
    }
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let value_of = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map_or("", |(_, value)| value.trim())
    };
    if value_of("sec-websocket-accept") != ACCEPT {
        return Err("a wrong or missing Sec-WebSocket-Accept".to_owned());
    }
    if is_deflated && !value_of("sec-websocket-extensions").starts_with("permessage-deflate") {
        return Err("permessage-deflate was not agreed on".to_owned());
    }
    Ok(Some(end + 4))
}

/// `<id>["pong: <payload>"]` with the payload of that id.
fn acknowledgement(text: &[u8]) -> Option<Incoming> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let id = decimal(&text[..digits])?;
    let number = between(&text[digits..], b"[\"pong: ", b"\"]").and_then(payload)?;
    (number == id).then_some(Incoming::Reply(id))
}

/// `["message","<payload>"]`, or the same with an offset behind the payload.
fn message(text: &[u8], has_offset: bool, fillers: usize) -> Option<Incoming> {
    let mut text = between(text, b"[\"message\",\"", b"\"]")?;
    if has_offset {
        let end = text.windows(3).position(|window| window == b"\",\"")?;
        let offset = &text[end + 3..];
        if offset.is_empty() || offset.contains(&b'"') {
            return None;
        }
        text = &text[..end];
    }
    payload_of(text, fillers).map(Incoming::Message)
}

fn between<'a>(text: &'a [u8], before: &[u8], after: &[u8]) -> Option<&'a [u8]> {
    text.strip_prefix(before)?.strip_suffix(after)
}

fn payload(text: &[u8]) -> Option<u32> {
    payload_of(text, 1)
}

fn payload_of(text: &[u8], fillers: usize) -> Option<u32> {
    let (digits, rest) = text.split_first_chunk::<8>()?;
    let is_whole =
        rest.len() == fillers * FILLER.len() && rest.chunks_exact(FILLER.len()).all(|part| part == FILLER);
    if is_whole { decimal(digits) } else { None }
}

/// The packet of the request `ping`, as Engine.IO carries it on any transport.
pub(crate) fn put_ping_packet(out: &mut Vec<u8>, number: u32, space: &[u8]) {
    out.extend_from_slice(b"42");
    out.extend_from_slice(space);
    put_decimal(out, number);
    out.extend_from_slice(b"[\"ping\",\"");
    put_payload(out, number);
    out.extend_from_slice(b"\"]");
}

/// The payload of a number, as text.
pub(crate) fn payload_text(number: u32) -> String {
    let mut payload = Vec::with_capacity(32);
    put_payload(&mut payload, number);
    String::from_utf8_lossy(&payload).into_owned()
}

fn put_payload(out: &mut Vec<u8>, number: u32) {
    put_long_payload(out, number, 1);
}

fn put_long_payload(out: &mut Vec<u8>, number: u32, fillers: usize) {
    out.extend_from_slice(&eight_digits(number));
    (0..fillers).for_each(|_| out.extend_from_slice(FILLER));
}

fn put_decimal(out: &mut Vec<u8>, number: u32) {
    let digits = eight_digits(number);
    let zeros = digits.iter().take(7).take_while(|digit| **digit == b'0').count();
    out.extend_from_slice(&digits[zeros..]);
}

/// The last eight decimal digits: a run ends long before the numbers need a ninth.
fn eight_digits(mut number: u32) -> [u8; 8] {
    let mut digits = [b'0'; 8];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    digits
}

fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0, |number: u32, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_to_the_last_byte() {
        let filler = "-gatewire-bench-payload-";
        let table = [
            (
                Flavour::SocketIo,
                format!("437[\"pong: 00000007{filler}\"]"),
                Incoming::Reply(7),
            ),
            (
                Flavour::SocketIo,
                format!("4312345678[\"pong: 12345678{filler}\"]"),
                Incoming::Reply(12_345_678),
            ),
            (
                Flavour::SocketIo,
                format!("438[\"pong: 00000007{filler}\"]"),
                Incoming::Unexpected,
            ),
            (
                Flavour::SocketIo,
                format!("43[\"pong: 00000007{filler}\"]"),
                Incoming::Unexpected,
            ),
            (
                Flavour::SocketIo,
                format!("437[\"ping: 00000007{filler}\"]"),
                Incoming::Unexpected,
            ),
            (
                Flavour::SocketIo,
                format!("437[\"pong: 00000007{filler}\"] "),
                Incoming::Unexpected,
            ),
            (
                Flavour::SocketIo,
                "437[\"pong: 00000007\"]".to_owned(),
                Incoming::Unexpected,
            ),
            (
                Flavour::SocketIo,
                format!("42[\"message\",\"00000100{filler}\"]"),
                Incoming::Message(100),
            ),
            (
                Flavour::SocketIo,
                format!("42[\"other\",\"00000100{filler}\"]"),
                Incoming::Unexpected,
            ),
            (
                Flavour::SocketIo,
                format!("42[\"message\",\"00000100{filler}\",\"a1\"]"),
                Incoming::Unexpected,
            ),
            (
                Flavour::Recovery,
                format!("42[\"message\",\"00000100{filler}\",\"a1\"]"),
                Incoming::Message(100),
            ),
            (
                Flavour::Recovery,
                format!("42[\"message\",\"00000100{filler}\"]"),
                Incoming::Unexpected,
            ),
            (
                Flavour::Recovery,
                format!("42[\"message\",\"00000100{filler}\",\"a\",\"b\"]"),
                Incoming::Unexpected,
            ),
            (
                Flavour::SocketIo,
                "40{\"sid\":\"x\"}".to_owned(),
                Incoming::Joined,
            ),
            (
                Flavour::SocketIo,
                "44{\"message\":\"no\"}".to_owned(),
                Incoming::Unexpected,
            ),
            (Flavour::SocketIo, "0{\"sid\":\"x\"}".to_owned(), Incoming::Open),
            (Flavour::SocketIo, "2".to_owned(), Incoming::Heartbeat),
            (Flavour::SocketIo, String::new(), Incoming::Unexpected),
            (
                Flavour::Ws,
                format!("{{\"event\":\"ping\",\"data\":\"pong: 00000042{filler}\"}}"),
                Incoming::Reply(42),
            ),
            (
                Flavour::Ws,
                format!("{{\"event\":\"message\",\"data\":\"00000042{filler}\"}}"),
                Incoming::Message(42),
            ),
            (Flavour::Ws, "\"pong\"".to_owned(), Incoming::Unexpected),
            (Flavour::Ws, "2".to_owned(), Incoming::Unexpected),
        ];
        for (flavour, text, expected) in table {
            assert_eq!(
                flavour.classify(text.as_bytes(), 1, b""),
                expected,
                "{flavour:?} {text}"
            );
        }
    }

    #[test]
    fn packets_name_their_namespace() {
        let mut packet = Vec::new();
        put_ping_packet(&mut packet, 7, b"/n1,");
        let payload = payload_text(7);
        assert_eq!(packet, format!("42/n1,7[\"ping\",\"{payload}\"]").as_bytes());
        let reply = format!("43/n1,7[\"pong: {payload}\"]");
        for (space, expected) in [
            (&b"/n1,"[..], Incoming::Reply(7)),
            (b"/n2,", Incoming::Unexpected),
            (b"", Incoming::Unexpected),
        ] {
            assert_eq!(Flavour::SocketIo.classify(reply.as_bytes(), 1, space), expected);
        }
    }

    #[test]
    fn a_long_payload_is_compared_to_the_last_byte() {
        let mut payload = Vec::new();
        put_long_payload(&mut payload, 7, LONG);
        assert_eq!(payload.len(), 4_088);
        assert_eq!(payload_of(&payload, LONG), Some(7));
        for wrong in [
            &payload[..payload.len() - 1],
            &payload[..payload.len() - FILLER.len()],
            &payload[1..],
        ] {
            assert_eq!(payload_of(wrong, LONG), None);
        }
    }

    #[test]
    fn requests_have_a_payload_of_32_bytes() {
        let table = [
            (
                Flavour::SocketIo,
                5,
                "425[\"ping\",\"00000005-gatewire-bench-payload-\"]",
            ),
            (
                Flavour::SocketIo,
                0,
                "420[\"ping\",\"00000000-gatewire-bench-payload-\"]",
            ),
            (
                Flavour::Ws,
                31,
                "{\"event\":\"ping\",\"data\":\"00000031-gatewire-bench-payload-\"}",
            ),
        ];
        for (flavour, number, text) in table {
            let mut out = Vec::new();
            flavour.put_ping(&mut out, number, b"");
            let (head, body) = out.split_at(6);
            let plain: Vec<u8> = body
                .iter()
                .zip(head[2..].iter().cycle())
                .map(|(byte, key)| byte ^ key)
                .collect();
            assert_eq!(String::from_utf8_lossy(&plain), text);
        }
        assert_eq!(8 + FILLER.len(), 32);
    }

    #[test]
    fn a_handshake_is_checked() {
        let good = format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {ACCEPT}\r\n\r\nrest");
        assert_eq!(check_handshake(good.as_bytes(), false), Ok(Some(good.len() - 4)));
        assert_eq!(check_handshake(&good.as_bytes()[..40], false), Ok(None));
        assert_eq!(
            check_handshake(b"HTTP/1.1 400 Bad Request\r\n\r\n", false),
            Err("HTTP/1.1 400 Bad Request".to_owned())
        );
        assert!(check_handshake(good.as_bytes(), true).is_err(), "no extension");
        let wrong = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: nonsense\r\n\r\n";
        assert!(check_handshake(wrong, false).is_err());
    }
}
