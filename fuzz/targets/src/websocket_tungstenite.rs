//! The WebSocket decoder against that of tungstenite, on the same bytes of a client: the same messages, pings and Close
//! frames up to the first violation, and both find one or neither.

use std::io::{self, Read, Write};

use gatewire_proto::websocket::{Decoder, Event, Limits, Violation};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

/// More than any input has: tungstenite counts sizes in its own way.
const MAX: usize = 1 << 20;

/// A code of a Close frame.
const BAD_GATEWAY: u16 = 1014;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    // The first byte chooses whether the input is masked for it: bits that are masked at random are rarely text.
    let Some((&choice, bytes)) = input.split_first() else {
        return;
    };
    let bytes = if choice & 1 == 0 {
        bytes.to_vec()
    } else {
        frames(bytes)
    };
    let (ours, our_end) = ours(&bytes);
    let (theirs, their_end) = theirs(&bytes);
    // A message that is no text is found out by us before it is whole, and by them at its end. What is behind the first
    // violation is nobody's concern.
    match (our_end, their_end) {
        (End::Differs, _) => assert!(theirs.starts_with(&ours)),
        (End::Violation, End::Waiting) => assert!(ours.starts_with(&theirs)),
        (one, other) => assert_eq!((one, &ours), (other, &theirs)),
    }
}

/// What has come, in a form that both have.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All was read, and more may come.
    Waiting,
    /// The client has closed.
    Closed,
    /// The client broke the protocol.
    Violation,
    /// What comes next the two do not judge alike.
    Differs,
}

/// Frames of the input: a first byte, a length below 128, and as much payload, which is masked here.
fn frames(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        let (payload, rest) = rest.split_at(usize::from(length & 0x7f).min(rest.len()));
        let head = out.len();
        let opcode = gatewire_proto::websocket::Opcode::Text;
        gatewire_proto::websocket::put_masked_frame(&mut out, true, opcode, [1, 2, 3, 4], payload);
        out[head] = *first;
        bytes = rest;
    }
    out
}

fn ours(bytes: &[u8]) -> (Vec<Seen>, End) {
    let mut decoder = Decoder::new(Limits {
        max_message: MAX,
        max_fragments: MAX,
    });
    let mut bytes = bytes.to_vec();
    let (mut seen, mut at) = (Vec::new(), 0);
    loop {
        let received = match decoder.receive(&mut bytes[at..]) {
            Ok(received) => received,
            // RFC 6455 §5.2 wants the shortest form of a length; tungstenite takes any, of a control frame (§5.5), too.
            Err(Violation::LengthNotMinimal(_) | Violation::ControlTooLong(_)) => {
                return (seen, End::Differs);
            }
            Err(_) => return (seen, End::Violation),
        };
        at += received.consumed;
        match received.event {
            None => return (seen, End::Waiting),
            Some(Event::Text(text)) => seen.push(Seen::Text(text.to_owned())),
            Some(Event::Binary(data)) => seen.push(Seen::Binary(data.to_vec())),
            Some(Event::Ping(data)) => seen.push(Seen::Ping(data.to_vec())),
            Some(Event::Pong(data)) => seen.push(Seen::Pong(data.to_vec())),
            // Registered by IANA, which tungstenite does not know of.
            Some(Event::Close(Some(frame))) if frame.code.get() == BAD_GATEWAY => {
                return (seen, End::Differs);
            }
            Some(Event::Close(_)) => {
                seen.push(Seen::Close);
                return (seen, End::Closed);
            }
        }
    }
}

/// Bytes that were received, and nobody who takes an answer.
struct Pipe<'a>(&'a [u8]);

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(bytes: &[u8]) -> (Vec<Seen>, End) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX))
        .max_frame_size(Some(MAX));
    let mut socket = WebSocket::from_raw_socket(Pipe(bytes), Role::Server, Some(config));
    let mut seen = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => seen.push(Seen::Text(text.to_string())),
            Ok(Message::Binary(data)) => seen.push(Seen::Binary(data.to_vec())),
            Ok(Message::Ping(data)) => seen.push(Seen::Ping(data.to_vec())),
            Ok(Message::Pong(data)) => seen.push(Seen::Pong(data.to_vec())),
            // It does not refuse a code that must not be sent, but says so in the place of it.
            Ok(Message::Close(Some(frame))) if frame.reason == "Protocol violation" => {
                return (seen, End::Violation);
            }
            Ok(Message::Close(_)) => {
                seen.push(Seen::Close);
                return (seen, End::Closed);
            }
            Ok(Message::Frame(_)) => unreachable!("frames are not read as such"),
            Err(tungstenite::Error::Io(_)) => return (seen, End::Waiting),
            Err(_) => return (seen, End::Violation),
        }
    }
}
