//! How the packets of one session look on the wire: those of protocol 4, or of protocol 3 for old clients. It is fixed by
//! the handshake and never changes. Text packets are the same in both but for base64, and so are all frames without bytes.
//! A plain WebSocket has messages, and no packets; a stream of events has chunks.

use gatewire_hub::{Message, Prepared};
use gatewire_proto::engineio::v3::{self, Form};
use gatewire_proto::engineio::{Packet, PacketError, Protocol, jsonp, payload};
use gatewire_proto::websocket::{self, MAX_HEADER, Opcode};

/// The protocol of one session, and for protocol 3 what its client can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    #[default]
    V4,
    V3 {
        /// The client asked for bytes as base64 (`b64=1`), whatever carries them.
        b64: bool,
    },
    /// RFC 6455 without Engine.IO.
    Plain {
        /// Which of the server's subprotocols was agreed on.
        protocol: Option<u8>,
    },
    /// Events in the body of a response; the client sends nothing.
    Sse,
}

/// The body of a poll's answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) body: Vec<u8>,
    pub(crate) form: Form,
    /// Whether one of the packets may be compressed.
    pub(crate) is_compressible: bool,
}

impl Payload {
    /// The payload as a script, if the client polls by script tags. Bytes cannot be one; such a client is never sent any.
    pub(crate) fn for_callback(self, callback: Option<&str>) -> Self {
        match (callback, self.form) {
            (Some(index), Form::Text) => Self {
                body: jsonp::wrap(index, &String::from_utf8_lossy(&self.body)).into(),
                ..self
            },
            _ => self,
        }
    }
}

impl Dialect {
    /// Whose heartbeat it is: on a plain WebSocket the server pings, as in protocol 4.
    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::V4 | Self::Plain { .. } | Self::Sse => Protocol::V4,
            Self::V3 { .. } => Protocol::V3,
        }
    }

    /// Whether there are packets of Engine.IO.
    pub(crate) fn has_packets(self) -> bool {
        matches!(self, Self::V4 | Self::V3 { .. })
    }

    pub(crate) fn is_plain(self) -> bool {
        matches!(self, Self::Plain { .. })
    }

    /// Whether binary messages go out as they are, so that frames can be shared.
    pub(crate) fn has_bare_bytes(self) -> bool {
        !matches!(self, Self::V3 { .. })
    }

    /// Decodes a text packet: a WebSocket text frame.
    pub(crate) fn decode_text(self, text: &str) -> Result<Packet<'_>, PacketError> {
        match self {
            Self::V4 | Self::Plain { .. } | Self::Sse => Packet::decode(text),
            Self::V3 { .. } => v3::decode_text(text),
        }
    }

    /// The WebSocket frame of a binary message.
    pub(crate) fn put_binary_frame(self, out: &mut Vec<u8>, data: &[u8]) {
        out.reserve(data.len() + 1 + MAX_HEADER);
        match self {
            Self::V4 | Self::Plain { .. } | Self::Sse => websocket::put_frame(out, Opcode::Binary, data),
            Self::V3 { b64: false } => {
                out.extend_from_slice(websocket::header(Opcode::Binary, data.len() + 1).as_ref());
                v3::put_binary(out, data);
            }
            Self::V3 { b64: true } => {
                let mut text = Vec::new();
                v3::encode_text(&Packet::Binary(data.into()), &mut text);
                websocket::put_frame(out, Opcode::Text, &text);
            }
        }
    }

    /// The WebSocket frames of a packet with attachments, for a dialect that cannot share them.
    pub(crate) fn frames(self, message: &Prepared) -> Vec<u8> {
        let mut frames = Vec::with_capacity(message.websocket_len() + MAX_HEADER);
        for message in message.messages() {
            match message {
                Message::Text(text) => websocket::put_frame(&mut frames, Opcode::Text, &text),
                Message::Binary(data) => self.put_binary_frame(&mut frames, &data),
            }
        }
        frames
    }

    /// The answer to a poll that takes these packets.
    pub(crate) fn encode<'a>(self, packets: impl ExactSizeIterator<Item = &'a Message> + Clone) -> Payload {
        let size = packets.clone().map(|packet| match packet {
            Message::Text(text) => text.len() + 1,
            Message::Binary(data) => payload::binary_len(data.len()) + 1,
        });
        let mut body = Vec::with_capacity(size.sum());
        let form = match self {
            Self::V4 | Self::Plain { .. } | Self::Sse => Form::Text,
            Self::V3 { b64 } => {
                let has_binary = packets.clone().any(|packet| matches!(packet, Message::Binary(_)));
                Form::choose(has_binary, b64)
            }
        };
        for packet in packets {
            match (self, packet) {
                (Self::V4 | Self::Plain { .. } | Self::Sse, Message::Text(text)) => {
                    payload::push_text(&mut body, text)
                }
                (Self::V4 | Self::Plain { .. } | Self::Sse, Message::Binary(data)) => {
                    payload::push_binary(&mut body, data)
                }
                (Self::V3 { .. }, Message::Text(text)) => {
                    form.push_text(&mut body, &String::from_utf8_lossy(text));
                }
                (Self::V3 { .. }, Message::Binary(data)) => form.push_binary(&mut body, data),
            }
        }
        Payload {
            body,
            form,
            is_compressible: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const V3: Dialect = Dialect::V3 { b64: false };
    const V3_BASE64: Dialect = Dialect::V3 { b64: true };

    fn packets() -> [Message; 2] {
        [
            Message::Text(Bytes::from_static("4é".as_bytes())),
            Message::Binary(Bytes::from_static(&[1, 2, 3])),
        ]
    }

    #[test]
    fn polls_are_answered_in_the_clients_form() {
        let cases: [(Dialect, Form, &[u8]); 3] = [
            (Dialect::V4, Form::Text, "4é\u{1e}bAQID".as_bytes()),
            (
                V3,
                Form::Binary,
                &[0, 3, 0xff, b'4', 0xc3, 0xa9, 1, 4, 0xff, 4, 1, 2, 3],
            ),
            (V3_BASE64, Form::Text, "2:4é6:b4AQID".as_bytes()),
        ];
        for (dialect, form, body) in cases {
            let payload = dialect.encode(packets().iter());
            assert_eq!((payload.form, &*payload.body), (form, body), "{dialect:?}");
        }
        let text = V3.encode(packets()[..1].iter());
        assert_eq!((text.form, &*text.body), (Form::Text, "2:4é".as_bytes()));
    }

    #[test]
    fn frames_of_bytes_say_their_type_in_protocol_3() {
        let cases: [(Dialect, &[u8]); 3] = [
            (Dialect::V4, b"\x82\x03\x01\x02\x03"),
            (V3, b"\x82\x04\x04\x01\x02\x03"),
            (V3_BASE64, b"\x81\x06b4AQID"),
        ];
        for (dialect, frame) in cases {
            let mut out = Vec::new();
            dialect.put_binary_frame(&mut out, &[1, 2, 3]);
            assert_eq!(out, frame, "{dialect:?}");
        }
    }

    #[test]
    fn shared_packets_are_framed_anew() {
        let attachments = [Bytes::from(vec![7; 200]), Bytes::new()];
        let message = Prepared::from_data("/", r#"["e"]"#, &attachments, None);
        let mut frames = Vec::new();
        websocket::put_frame(&mut frames, Opcode::Text, br#"452-["e"]"#);
        let mut first = vec![4];
        first.extend([7; 200]);
        websocket::put_frame(&mut frames, Opcode::Binary, &first);
        websocket::put_frame(&mut frames, Opcode::Binary, &[4]);
        assert_eq!(V3.frames(&message), frames);
        assert_eq!(Dialect::V4.frames(&message), message.websocket().concat());
    }
}
