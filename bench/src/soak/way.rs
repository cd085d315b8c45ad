//! The ways of a client's packets: a WebSocket, or polling, which may become one. It knows the packets of Engine.IO, and what
//! is in none of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fault::{Fault, Result, wrong};
use super::link::{Link, PATIENCE};
use crate::wire::flavour;
use crate::wire::frame::{self, Opcode};

/// Where Engine.IO is.
const PATH: &str = "/socket.io/?EIO=4&transport=";

/// What separates the packets of a polling payload.
const SEPARATOR: u8 = 0x1e;

/// A message in either direction; a text begins with its Engine.IO type where there is one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Message {
    Text(String),
    Binary(Vec<u8>),
}

/// A WebSocket.
pub(super) struct Socket(Link);

impl Socket {
    pub(super) fn open(address: SocketAddr, target: &str) -> Result<Self> {
        let mut link = Link::connect(address)?;
        link.write(flavour::upgrade(target, &address.to_string(), "").as_bytes())?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match flavour::check_handshake(link.input(), false).map_err(Fault::Wrong)? {
                Some(body) => {
                    link.consume(body);
                    return Ok(Self(link));
                }
                None => link.fill_or_fail(deadline, "the answer to a WebSocket's handshake")?,
            }
        }
    }

    pub(super) fn send(&mut self, message: &Message) -> Result<()> {
        self.0.write(&framed(message))
    }

    /// Sends only the first half of the frame.
    pub(super) fn send_half(&mut self, message: &Message) -> Result<()> {
        let frame = framed(message);
        self.0.write(&frame[..frame.len() / 2])
    }

    /// Does the close handshake.
    pub(super) fn close(mut self) -> Result<()> {
        let mut frame = Vec::new();
        frame::put(&mut frame, Opcode::Close, |out| {
            out.extend_from_slice(&1000_u16.to_be_bytes())
        });
        self.0.write(&frame)?;
        if self.0.ends_by(Instant::now() + PATIENCE) {
            Ok(())
        } else {
            wrong("the server does not end a closed WebSocket")
        }
    }

    /// Whether the server ends the connection at once, or has done so.
    pub(super) fn has_ended(mut self) -> bool {
        self.0.ends_by(Instant::now() + Duration::from_secs(2))
    }

    /// The next message; `None` if none came until the deadline. Pings of WebSocket are answered.
    fn receive(&mut self, deadline: Instant) -> Result<Option<Message>> {
        loop {
            let found =
                frame::parse(self.0.input(), false).map_err(|error| Fault::Wrong(error.to_string()))?;
            let Some(found) = found else {
                if !self.0.fill(deadline)? && Instant::now() >= deadline {
                    return Ok(None);
                }
                continue;
            };
            let payload = self.0.input()[found.payload.clone()].to_vec();
            self.0.consume(found.payload.end);
            match found.opcode {
                Opcode::Text => return text(payload).map(Some),
                Opcode::Binary => return Ok(Some(Message::Binary(payload))),
                Opcode::Ping => {
                    let mut pong = Vec::new();
                    frame::put(&mut pong, Opcode::Pong, |out| out.extend_from_slice(&payload));
                    self.0.write(&pong)?;
                }
                Opcode::Pong => {}
                Opcode::Close => return Err(Fault::Gone(std::io::ErrorKind::ConnectionAborted.into())),
            }
        }
    }
}

/// Long-polling, over one connection: a poll is always answered soon, by a ping if nothing else.
pub(super) struct Polling {
    link: Link,
    target: String,
    sid: String,
}

impl Polling {
    /// Opens a session; `query` goes with the handshake.
    fn open(address: SocketAddr, query: &str) -> Result<Self> {
        let mut link = Link::connect(address)?;
        link.request("GET", &format!("{PATH}polling&{query}"), b"")?;
        let response = link.response()?;
        let Message::Text(open) = text(response.body)? else {
            return wrong("no open packet");
        };
        let sid = open_packet(&open)?;
        Ok(Self {
            link,
            target: format!("{PATH}polling&sid={sid}"),
            sid,
        })
    }

    fn post(&mut self, messages: &[Message]) -> Result<()> {
        self.link.request("POST", &self.target, &payload(messages))?;
        let response = self.link.response()?;
        if response.status == 200 && response.body == b"ok" {
            Ok(())
        } else {
            wrong(format!("a POST was answered with {}", response.status))
        }
    }

    /// Asks for packets.
    pub(super) fn begin_poll(&mut self) -> Result<()> {
        self.link.request("GET", &self.target, b"")
    }

    /// Ends the session.
    pub(super) fn leave(&mut self) -> Result<()> {
        self.post(&[Message::Text("1".to_owned())])
    }

    fn poll(&mut self) -> Result<Vec<Message>> {
        self.begin_poll()?;
        let response = self.link.response()?;
        if response.status != 200 {
            return wrong(format!("a GET was answered with {}", response.status));
        }
        let packets = response.body.split(|byte| *byte == SEPARATOR);
        packets.map(packet).collect()
    }

    /// Goes over to a WebSocket, as the official client does, with what still came by polling.
    fn upgrade(mut self) -> Result<(Socket, Vec<Message>)> {
        let target = format!("{PATH}websocket&sid={}", self.sid);
        let mut socket = Socket::open(self.link.address(), &target)?;
        socket.send(&Message::Text("2probe".to_owned()))?;
        let deadline = Instant::now() + PATIENCE;
        match socket.receive(deadline)? {
            Some(Message::Text(text)) if text == "3probe" => {}
            other => return wrong(format!("a probe was answered with {other:?}")),
        }
        // The official client waits for its open poll, which the server ends; this one has none, and asks once more.
        let rest = self.poll()?;
        socket.send(&Message::Text("5".to_owned()))?;
        Ok((socket, rest))
    }
}

/// Either of them.
pub(super) enum Way {
    Socket(Socket),
    Polling(Polling),
}

impl Way {
    /// A session of Engine.IO over a WebSocket.
    pub(super) fn websocket(address: SocketAddr, query: &str) -> Result<Self> {
        let mut socket = Socket::open(address, &format!("{PATH}websocket&{query}"))?;
        match socket.receive(Instant::now() + PATIENCE)? {
            Some(Message::Text(open)) => open_packet(&open)?,
            other => return wrong(format!("no open packet: {other:?}")),
        };
        Ok(Self::Socket(socket))
    }

    /// A session of Engine.IO over polling.
    pub(super) fn polling(address: SocketAddr, query: &str) -> Result<Self> {
        Ok(Self::Polling(Polling::open(address, query)?))
    }

    /// A WebSocket without Engine.IO.
    pub(super) fn plain(address: SocketAddr, query: &str) -> Result<Self> {
        Ok(Self::Socket(Socket::open(address, &format!("/ws?{query}"))?))
    }

    /// Goes over to a WebSocket if it is none.
    pub(super) fn upgraded(self) -> Result<(Self, Vec<Message>)> {
        match self {
            Self::Socket(socket) => Ok((Self::Socket(socket), Vec::new())),
            Self::Polling(polling) => polling
                .upgrade()
                .map(|(socket, rest)| (Self::Socket(socket), rest)),
        }
    }

    pub(super) fn send(&mut self, messages: &[Message]) -> Result<()> {
        match self {
            Self::Socket(socket) => messages.iter().try_for_each(|message| socket.send(message)),
            Self::Polling(polling) => polling.post(messages),
        }
    }

    /// What came until the deadline; nothing if nothing came. A poll may take a little longer.
    pub(super) fn receive(&mut self, deadline: Instant) -> Result<Vec<Message>> {
        match self {
            Self::Socket(socket) => Ok(socket.receive(deadline)?.into_iter().collect()),
            Self::Polling(_) if Instant::now() >= deadline => Ok(Vec::new()),
            Self::Polling(polling) => polling.poll(),
        }
    }
}

fn framed(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    match message {
        Message::Text(text) => frame::put(&mut frame, Opcode::Text, |out| {
            out.extend_from_slice(text.as_bytes())
        }),
        Message::Binary(data) => frame::put(&mut frame, Opcode::Binary, |out| out.extend_from_slice(data)),
    }
    frame
}

fn payload(messages: &[Message]) -> Vec<u8> {
    let mut body = Vec::new();
    for (n, message) in messages.iter().enumerate() {
        if n > 0 {
            body.push(SEPARATOR);
        }
        match message {
            Message::Text(text) => body.extend_from_slice(text.as_bytes()),
            Message::Binary(data) => {
                body.push(b'b');
                body.extend_from_slice(STANDARD.encode(data).as_bytes());
            }
        }
    }
    body
}

fn packet(packet: &[u8]) -> Result<Message> {
    match packet {
        [b'b', data @ ..] => STANDARD
            .decode(data)
            .map(Message::Binary)
            .map_err(|error| Fault::Wrong(format!("no base64: {error}"))),
        packet => text(packet.to_vec()),
    }
}

fn text(bytes: Vec<u8>) -> Result<Message> {
    String::from_utf8(bytes)
        .map(Message::Text)
        .map_err(|error| Fault::Wrong(format!("no UTF-8: {error}")))
}

fn open_packet(packet: &str) -> Result<String> {
    let open = packet.strip_prefix('0');
    let open = open.and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok());
    let sid = open.and_then(|open| open["sid"].as_str().map(str::to_owned));
    sid.ok_or_else(|| Fault::Wrong(format!("no open packet: {packet:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_read_as_it_was_written() {
        let messages = [
            Message::Text("42[\"a\"]".to_owned()),
            Message::Binary(vec![0, 0x1e, 255]),
            Message::Text("3".to_owned()),
        ];
        let body = payload(&messages);
        let read: Vec<_> = body
            .split(|byte| *byte == SEPARATOR)
            .map(|part| packet(part).unwrap())
            .collect();
        assert_eq!(read, messages);
        assert!(packet(b"b?").is_err() && packet(&[0xff]).is_err());
        assert_eq!(open_packet("0{\"sid\":\"abc\"}").unwrap(), "abc");
        assert!(open_packet("0{}").is_err() && open_packet("6").is_err());
    }
}
