//! The place where another packet format can be plugged in: packets on one side, lists of Engine.IO messages on the
//! other. The two formats of the official clients are here as [`TextParser`] and [`MsgpackParser`]; their codecs are
//! elsewhere and work without this.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use super::attachments::check_placeholders;
use super::msgpack::{self, TranscodeError};
use super::text::check_data;
use super::{Assembler, AttachmentError, DecodeError, Limits, MAX_ID, Packet, PacketKind};

/// A packet format: the `parser` option of the official server and clients. All clients of a server must have the same.
///
/// Whatever the format, a packet is here what it is in the text form: its data JSON, its bytes attachments, with
/// `{"_placeholder":true,"num":n}` in their places.
///
/// # For who runs a server
/// The text form needs no parser: [`decode`](super::decode), [`Assembler`] and [`put_head`](super::put_head) work on
/// borrowed texts and the buffer of a frame, and calls through this trait would only slow them down. So keep an
/// `Option<Arc<dyn Parser>>`, `None` meaning the text form, and ask it once, where a message comes in and where a
/// packet goes out:
///
/// - Each connection gets a [`decoder`](Self::decoder) and gives it all its messages in order. What it returns is
///   [checked](Received::check) before anything is done with it, for a parser is the user's; then it goes the way of a
///   text packet, and [`Received::attachments`] stand beside it.
/// - A packet that goes out is encoded once by [`encode`](Self::encode), however many receive it, and its messages are
///   shared.
///
/// ```
/// use bytes::Bytes;
/// use gatewire_proto::socketio::{Decoder, Limits, Message, Packet, PacketKind, Parser, ParserError, Received};
///
/// /// Events without namespaces and bytes, as bare JSON arrays.
/// #[derive(Debug)]
/// struct BareEvents;
///
/// impl Parser for BareEvents {
///     fn encode(&self, packet: &Packet<'_>, _: &[Bytes]) -> Result<Vec<Message>, ParserError> {
///         Ok(vec![Message::Text(packet.data.to_owned())])
///     }
///
///     fn decoder(&self, _: &Limits) -> Box<dyn Decoder> {
///         Box::new(Self)
///     }
/// }
///
/// impl Decoder for BareEvents {
///     fn receive_text<'a>(&mut self, message: &'a str) -> Result<Option<Received<'a>>, ParserError> {
///         Ok(Some(Received {
///             kind: PacketKind::Event,
///             namespace: "/".into(),
///             id: None,
///             data: message.into(),
///             attachments: Vec::new(),
///         }))
///     }
///
///     fn receive_binary<'a>(&mut self, _: &'a [u8]) -> Result<Option<Received<'a>>, ParserError> {
///         Err(ParserError::Other("there are no bytes here".to_owned()))
///     }
/// }
///
/// let limits = Limits::default();
/// let received = BareEvents.decoder(&limits).receive_text(r#"["hi",1]"#).unwrap().unwrap();
/// assert_eq!(received.check(&limits).unwrap().data, r#"["hi",1]"#);
/// ```
pub trait Parser: fmt::Debug + Send + Sync + 'static {
    /// The messages of a packet, to be sent in order with none of another packet between them. `packet.attachments` is
    /// the number of `attachments`.
    ///
    /// # Errors
    /// If the format cannot hold the packet.
    fn encode(&self, packet: &Packet<'_>, attachments: &[Bytes]) -> Result<Vec<Message>, ParserError>;

    /// What reads the messages of one connection.
    fn decoder(&self, limits: &Limits) -> Box<dyn Decoder>;
}

/// The receiving side of a [`Parser`] for one connection. After an error it is of no use: the connection is to be closed.
pub trait Decoder: Send {
    /// Takes a text message; returns a packet if one is complete.
    ///
    /// # Errors
    /// If the message does not belong there.
    fn receive_text<'a>(&mut self, message: &'a str) -> Result<Option<Received<'a>>, ParserError>;

    /// Takes a binary message; returns a packet if one is complete.
    ///
    /// # Errors
    /// If the message does not belong there.
    fn receive_binary<'a>(&mut self, message: &'a [u8]) -> Result<Option<Received<'a>>, ParserError>;
}

/// One Engine.IO message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

/// A packet as a [`Decoder`] returns it; it borrows from the message where it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// Its type. With attachments, an event or acknowledgement is the binary type of it, whichever stands here.
    pub kind: PacketKind,
    /// The namespace's name with its leading `/`.
    pub namespace: Cow<'a, str>,
    /// The acknowledgement id.
    pub id: Option<u64>,
    /// The JSON text, `""` if there is none.
    pub data: Cow<'a, str>,
    /// The bytes that placeholders stand for, in order.
    pub attachments: Vec<Bytes>,
}

impl Received<'_> {
    /// The packet, after checks like those of the text form: its id, the length of its name, the shape of its data, the
    /// number and size of its attachments, and that each placeholder is one of them. The array of an event or
    /// acknowledgement is left to [`scan_event`](super::scan_event) and [`scan_args`](super::scan_args), as there.
    ///
    /// # Errors
    /// If it is no packet that a client may send, or goes beyond `limits`.
    pub fn check(&self, limits: &Limits) -> Result<Packet<'_>, AttachmentError> {
        let attachments = self.attachments.len();
        let kind = match self.kind {
            PacketKind::Event | PacketKind::BinaryEvent if attachments > 0 => PacketKind::BinaryEvent,
            PacketKind::Ack | PacketKind::BinaryAck if attachments > 0 => PacketKind::BinaryAck,
            PacketKind::BinaryEvent => PacketKind::Event,
            PacketKind::BinaryAck => PacketKind::Ack,
            _ if attachments > 0 => return Err(AttachmentError::Unannounced),
            kind => kind,
        };
        if self.id.is_some_and(|id| id > MAX_ID) {
            return Err(DecodeError::Id.into());
        }
        if self.namespace.len() > limits.max_namespace {
            let max = limits.max_namespace;
            return Err(DecodeError::NamespaceTooLong { max }.into());
        }
        check_data(kind, self.id, &self.data, limits)?;
        if kind.is_binary() {
            if attachments > limits.max_attachments {
                let (count, max) = (attachments as u64, limits.max_attachments);
                return Err(DecodeError::TooManyAttachments { count, max }.into());
            }
            let max = limits.max_attachment_bytes;
            if self.attachments.iter().map(Bytes::len).sum::<usize>() > max {
                return Err(AttachmentError::TooLarge { max });
            }
            check_placeholders(&self.data, attachments)?;
        }
        Ok(Packet {
            kind,
            namespace: &self.namespace,
            id: self.id,
            attachments,
            data: &self.data,
        })
    }
}

/// Why a message is no packet, or a packet no message.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParserError {
    /// The text form: a packet or an attachment is wrong.
    #[error(transparent)]
    Text(#[from] AttachmentError),
    /// The MessagePack form: a message is wrong.
    #[error(transparent)]
    Msgpack(#[from] msgpack::DecodeError),
    /// The MessagePack form: a packet has no place in the other form.
    #[error(transparent)]
    Transcode(#[from] TranscodeError),
    /// A text message, where the format has binary ones only.
    #[error("a text message came, but every packet is one binary message")]
    UnexpectedText,
    /// What a user's parser says.
    #[error("{0}")]
    Other(String),
}

impl From<DecodeError> for ParserError {
    fn from(error: DecodeError) -> Self {
        Self::Text(error.into())
    }
}

/// The default format: a text message, then a binary one for each attachment.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextParser;

impl Parser for TextParser {
    fn encode(&self, packet: &Packet<'_>, attachments: &[Bytes]) -> Result<Vec<Message>, ParserError> {
        let mut text = Vec::with_capacity(packet.data.len() + packet.namespace.len() + 24);
        super::put_head(
            &mut text,
            packet.kind,
            packet.namespace,
            packet.id,
            packet.attachments,
        );
        text.extend_from_slice(packet.data.as_bytes());
        let text = String::from_utf8(text).map_err(|error| ParserError::Other(error.to_string()))?;
        let binary = attachments.iter().cloned().map(Message::Binary);
        Ok([Message::Text(text)].into_iter().chain(binary).collect())
    }

    fn decoder(&self, limits: &Limits) -> Box<dyn Decoder> {
        Box::new(TextDecoder {
            limits: *limits,
            assembler: None,
        })
    }
}

struct TextDecoder {
    limits: Limits,
    assembler: Option<Box<Assembler>>,
}

impl Decoder for TextDecoder {
    fn receive_text<'a>(&mut self, message: &'a str) -> Result<Option<Received<'a>>, ParserError> {
        if self.assembler.is_some() {
            return Err(AttachmentError::Interrupted.into());
        }
        let packet = super::decode(message, &self.limits)?;
        if packet.kind.is_binary() {
            self.assembler = Some(Box::new(Assembler::new(&packet, &self.limits)?));
            return Ok(None);
        }
        Ok(Some(Received {
            kind: packet.kind,
            namespace: packet.namespace.into(),
            id: packet.id,
            data: packet.data.into(),
            attachments: Vec::new(),
        }))
    }

    fn receive_binary<'a>(&mut self, message: &'a [u8]) -> Result<Option<Received<'a>>, ParserError> {
        let assembler = self.assembler.as_mut().ok_or(AttachmentError::Unannounced)?;
        let Some((packet, attachments)) = assembler.push(Bytes::copy_from_slice(message))? else {
            return Ok(None);
        };
        self.assembler = None;
        let packet = packet.as_packet();
        Ok(Some(Received {
            kind: packet.kind,
            namespace: packet.namespace.to_owned().into(),
            id: packet.id,
            data: packet.data.to_owned().into(),
            attachments,
        }))
    }
}

/// The format of `socket.io-msgpack-parser` 3: one binary message a packet. [`msgpack`] has its codec, which also reads
/// types straight from a message; through here they go by way of JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct MsgpackParser;

impl Parser for MsgpackParser {
    fn encode(&self, packet: &Packet<'_>, attachments: &[Bytes]) -> Result<Vec<Message>, ParserError> {
        let mut message = Vec::with_capacity(packet.data.len() + packet.namespace.len() + 40);
        msgpack::encode(packet, attachments, &mut message)?;
        Ok(vec![Message::Binary(message.into())])
    }

    fn decoder(&self, limits: &Limits) -> Box<dyn Decoder> {
        // All attachments of a packet are within its one message: they are as few as its size allows.
        Box::new(MsgpackDecoder {
            limits: Limits {
                max_attachments: usize::MAX,
                ..*limits
            },
        })
    }
}

struct MsgpackDecoder {
    limits: Limits,
}

impl Decoder for MsgpackDecoder {
    fn receive_text<'a>(&mut self, _: &'a str) -> Result<Option<Received<'a>>, ParserError> {
        Err(ParserError::UnexpectedText)
    }

    fn receive_binary<'a>(&mut self, message: &'a [u8]) -> Result<Option<Received<'a>>, ParserError> {
        let packet = msgpack::decode(message, &self.limits)?;
        let (data, attachments) = packet.data.to_json(&self.limits)?;
        Ok(Some(Received {
            kind: packet.kind,
            namespace: packet.namespace.into(),
            id: packet.id,
            data: data.into(),
            attachments,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet<'a>(kind: PacketKind, namespace: &'a str, id: Option<u64>, data: &'a str) -> Packet<'a> {
        Packet {
            kind,
            namespace,
            id,
            attachments: 0,
            data,
        }
    }

    /// Sends a packet through both sides of a parser.
    fn round_trip(parser: &dyn Parser, sent: &Packet<'_>, attachments: &[Bytes]) {
        let limits = Limits::default();
        let messages = parser.encode(sent, attachments).unwrap();
        let mut decoder = parser.decoder(&limits);
        let last = messages.len() - 1;
        for (index, message) in messages.iter().enumerate() {
            let received = match message {
                Message::Text(text) => decoder.receive_text(text).unwrap(),
                Message::Binary(bytes) => decoder.receive_binary(bytes).unwrap(),
            };
            assert_eq!(received.is_some(), index == last);
            if let Some(received) = received {
                assert_eq!(received.check(&limits).as_ref(), Ok(sent), "{parser:?}");
                assert_eq!(received.attachments, attachments);
            }
        }
    }

    #[test]
    fn every_packet_survives_in_both_formats() {
        use PacketKind::{Ack, BinaryAck, BinaryEvent, Connect, ConnectError, Disconnect, Event};
        let two = r#"["a",{"b":{"_placeholder":true,"num":1}},{"_placeholder":true,"num":0}]"#;
        let bytes = [Bytes::from_static(b"one"), Bytes::new()];
        let table = [
            (packet(Connect, "/", None, ""), &[][..]),
            (packet(Connect, "/adm", None, r#"{"token":"x"}"#), &[]),
            (packet(Disconnect, "/adm", None, ""), &[]),
            (packet(ConnectError, "/", None, r#"{"message":"no"}"#), &[]),
            (packet(ConnectError, "/", None, r#""no""#), &[]),
            (packet(Event, "/", None, r#"["a",1,{"b":[null]},"c"]"#), &[]),
            (packet(Event, "/é", Some(MAX_ID), r#"["a"]"#), &[]),
            (packet(Ack, "/", Some(0), "[]"), &[]),
        ];
        for parser in [&TextParser as &dyn Parser, &MsgpackParser] {
            for (sent, attachments) in &table {
                round_trip(parser, sent, attachments);
            }
        }
        // MessagePack numbers attachments as they come.
        let ordered = two
            .replace(":1}", ":x}")
            .replace(":0}", ":1}")
            .replace(":x}", ":0}");
        for kind in [BinaryEvent, BinaryAck] {
            let sent = |data| Packet {
                attachments: 2,
                ..packet(kind, "/adm", Some(7), data)
            };
            round_trip(&TextParser, &sent(two), &bytes);
            round_trip(&TextParser, &sent(&ordered), &bytes);
            round_trip(&MsgpackParser, &sent(&ordered), &bytes);
        }
    }

    #[test]
    fn messages_that_do_not_belong_there() {
        let limits = Limits::default();
        let mut text = TextParser.decoder(&limits);
        assert_eq!(
            text.receive_binary(b"x"),
            Err(AttachmentError::Unannounced.into())
        );
        assert_eq!(text.receive_text("9"), Err(DecodeError::UnknownType('9').into()));
        assert_eq!(text.receive_text(r#"51-["a"]"#), Ok(None));
        assert_eq!(
            text.receive_text(r#"2["b"]"#),
            Err(AttachmentError::Interrupted.into())
        );
        let mut msgpack = MsgpackParser.decoder(&limits);
        assert_eq!(msgpack.receive_text("0"), Err(ParserError::UnexpectedText));
        assert_eq!(
            msgpack.receive_binary(b"\x90"),
            Err(msgpack::DecodeError::NotAPacket.into())
        );
        // `auth` with bytes has no text form.
        let auth = b"\x83\xa4type\x00\xa3nsp\xa1/\xa4data\x81\xa1a\xc4\x01x";
        assert_eq!(
            msgpack.receive_binary(auth),
            Err(TranscodeError::TooManyAttachments { max: 0 }.into())
        );
    }

    #[test]
    fn what_a_parser_returns_is_checked() {
        let limits = Limits {
            max_attachments: 2,
            max_attachment_bytes: 4,
            max_namespace: 4,
            ..Limits::default()
        };
        let received = |kind, data: &'static str, sizes: &[usize]| Received {
            kind,
            namespace: "/".into(),
            id: None,
            data: data.into(),
            attachments: sizes.iter().map(|&size| Bytes::from(vec![0; size])).collect(),
        };
        let event = received(PacketKind::Event, r#"["a"]"#, &[]);
        let placeholder = r#"["a",{"_placeholder":true,"num":1}]"#;
        assert!(event.check(&limits).is_ok());
        let kinds = |kind, sizes| received(kind, r#"["a"]"#, sizes).check(&limits).map(|p| p.kind);
        assert_eq!(kinds(PacketKind::Event, &[1]), Ok(PacketKind::BinaryEvent));
        assert_eq!(kinds(PacketKind::BinaryEvent, &[]), Ok(PacketKind::Event));
        assert!(
            received(PacketKind::Event, placeholder, &[2, 2])
                .check(&limits)
                .is_ok()
        );
        let table = [
            (
                received(PacketKind::Event, placeholder, &[2]),
                AttachmentError::Placeholder { attachments: 1 },
            ),
            (
                received(PacketKind::Event, r#"["a"]"#, &[2, 3]),
                AttachmentError::TooLarge { max: 4 },
            ),
            (
                received(PacketKind::Event, r#"["a"]"#, &[0, 0, 0]),
                DecodeError::TooManyAttachments { count: 3, max: 2 }.into(),
            ),
            (
                received(PacketKind::Connect, "{}", &[1]),
                AttachmentError::Unannounced,
            ),
            (
                received(PacketKind::Connect, "{", &[]),
                DecodeError::Json { offset: 1 }.into(),
            ),
            (
                received(PacketKind::Event, "{}", &[]),
                DecodeError::Data {
                    kind: PacketKind::Event,
                }
                .into(),
            ),
            (
                received(PacketKind::Ack, "[]", &[]),
                DecodeError::MissingId.into(),
            ),
            (
                Received {
                    id: Some(MAX_ID + 1),
                    ..event.clone()
                },
                DecodeError::Id.into(),
            ),
            (
                Received {
                    namespace: "/long".into(),
                    ..event
                },
                DecodeError::NamespaceTooLong { max: 4 }.into(),
            ),
        ];
        for (received, error) in table {
            assert_eq!(received.check(&limits), Err(error), "{received:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_messages_never_panic(texts in prop::collection::vec("[0-6][0-9-]{0,2}[\\[\\]\"a,{}]{0,8}", 0..4), bytes in any::<Vec<u8>>()) {
            let limits = Limits::default();
            for parser in [&TextParser as &dyn Parser, &MsgpackParser] {
                let mut decoder = parser.decoder(&limits);
                for text in &texts {
                    if let Ok(Some(received)) = decoder.receive_text(text) {
                        let _ = received.check(&limits);
                    }
                    if let Ok(Some(received)) = decoder.receive_binary(&bytes) {
                        let _ = received.check(&limits);
                    }
                }
            }
        }
    }
}
