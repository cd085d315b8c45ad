//! The messages between servers, and their form.

use rmp::decode::{self, ValueReadError};
use rmp::encode;
use thiserror::Error;

/// The version of the messages. A server ignores those of another one.
const VERSION: u64 = 1;

/// A message of one server to another, or to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The node that it comes from.
    pub sender: &'a str,
    /// What it says.
    pub kind: Kind<'a>,
}

/// What a [`Message`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind<'a> {
    /// To all: who has this session?
    Locate {
        /// What the answer names.
        ask: u64,
        /// The session's id.
        sid: &'a str,
    },
    /// The answer of the server that has the session; the others say nothing.
    Here {
        /// The question.
        ask: u64,
    },
    /// To all: the sender ends. Its links are broken.
    Leave,
    /// The link is broken, or the sender never knew it.
    Broken {
        /// Which.
        link: u64,
    },
    /// A message on a link.
    OnLink {
        /// Which: a number that the server which opened the link has chosen.
        link: u64,
        /// How many messages the sender has sent on the link before.
        number: u64,
        /// What it says.
        frame: Frame<'a>,
    },
}

/// What a message on a [`Link`](super::Link) says. Streams are numbered by the server that opens them, which is always
/// the one that opened the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame<'a> {
    /// A new stream.
    Open {
        /// Its number.
        stream: u32,
    },
    /// The next bytes of a stream, within what the receiver has room for.
    Data {
        /// On which stream.
        stream: u32,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// There is room for so many bytes more.
    Credit {
        /// On which stream.
        stream: u32,
        /// How many.
        bytes: u32,
    },
    /// No more bytes of the sender will follow.
    End {
        /// On which stream.
        stream: u32,
    },
    /// No more bytes of the sender will follow, and it takes none.
    Close {
        /// Which.
        stream: u32,
    },
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
}

/// Bytes that a message takes besides those of the stream that it carries; an upper bound.
const HEAD: usize = 64;

impl<'a> Message<'a> {
    /// The message as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(match self.kind {
            Kind::OnLink {
                frame: Frame::Data { bytes, .. },
                ..
            } => HEAD + bytes.len(),
            _ => HEAD,
        });
        // Writing to a vector does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), encode::ValueWriteError> {
        let (code, fields) = self.kind.code();
        encode::write_array_len(out, 3 + fields)?;
        encode::write_uint(out, VERSION)?;
        encode::write_str(out, self.sender)?;
        encode::write_uint(out, code.into())?;
        match self.kind {
            Kind::Locate { ask, sid } => {
                encode::write_uint(out, ask)?;
                encode::write_str(out, sid)
            }
            Kind::Here { ask } => encode::write_uint(out, ask).map(drop),
            Kind::Leave => Ok(()),
            Kind::Broken { link } => encode::write_uint(out, link).map(drop),
            Kind::OnLink { link, number, frame } => {
                encode::write_uint(out, link)?;
                encode::write_uint(out, number)?;
                match frame {
                    Frame::Open { stream } | Frame::End { stream } | Frame::Close { stream } => {
                        encode::write_uint(out, stream.into()).map(drop)
                    }
                    Frame::Data { stream, bytes } => {
                        encode::write_uint(out, stream.into())?;
                        encode::write_bin(out, bytes)
                    }
                    Frame::Credit { stream, bytes } => {
                        encode::write_uint(out, stream.into())?;
                        encode::write_uint(out, bytes.into()).map(drop)
                    }
                    Frame::Ping | Frame::Pong => Ok(()),
                }
            }
        }
    }

    /// Reads a message; fields behind those that are known are ignored.
    ///
    /// # Errors
    /// If it is none, or one of a version or kind that is not known.
    pub fn decode(mut bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let input = &mut bytes;
        let fields = decode::read_array_len(input).map_err(malformed)?;
        if fields < 3 {
            return Err(DecodeError::Malformed);
        }
        let version: u64 = int(input)?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let sender = text(input)?;
        let kind = match int::<u64>(input)? {
            0 => Kind::Locate {
                ask: int(input)?,
                sid: text(input)?,
            },
            1 => Kind::Here { ask: int(input)? },
            2 => Kind::Leave,
            3 => Kind::Broken { link: int(input)? },
            code => Kind::OnLink {
                link: int(input)?,
                number: int(input)?,
                frame: Frame::read(code, input)?,
            },
        };
        Ok(Self { sender, kind })
    }
}

impl Kind<'_> {
    /// The number of the kind, and how many fields follow it.
    fn code(&self) -> (u8, u32) {
        match self {
            Self::Locate { .. } => (0, 2),
            Self::Here { .. } => (1, 1),
            Self::Leave => (2, 0),
            Self::Broken { .. } => (3, 1),
            Self::OnLink { frame, .. } => match frame {
                Frame::Open { .. } => (4, 3),
                Frame::Data { .. } => (5, 4),
                Frame::Credit { .. } => (6, 4),
                Frame::End { .. } => (7, 3),
                Frame::Close { .. } => (8, 3),
                Frame::Ping => (9, 2),
                Frame::Pong => (10, 2),
            },
        }
    }
}

impl<'a> Frame<'a> {
    fn read(code: u64, input: &mut &'a [u8]) -> Result<Self, DecodeError> {
        Ok(match code {
            4 => Self::Open { stream: int(input)? },
            5 => Self::Data {
                stream: int(input)?,
                bytes: bytes(input)?,
            },
            6 => Self::Credit {
                stream: int(input)?,
                bytes: int(input)?,
            },
            7 => Self::End { stream: int(input)? },
            8 => Self::Close { stream: int(input)? },
            9 => Self::Ping,
            10 => Self::Pong,
            code => return Err(DecodeError::Kind(code)),
        })
    }
}

fn int<T: TryFrom<u64>>(input: &mut &[u8]) -> Result<T, DecodeError> {
    let number: u64 = decode::read_int(input).map_err(|_| DecodeError::Malformed)?;
    T::try_from(number).map_err(|_| DecodeError::Malformed)
}

fn text<'a>(input: &mut &'a [u8]) -> Result<&'a str, DecodeError> {
    let (text, rest) = decode::read_str_from_slice(*input).map_err(|_| DecodeError::Malformed)?;
    *input = rest;
    Ok(text)
}

fn bytes<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let len = decode::read_bin_len(input).map_err(malformed)?;
    let len = usize::try_from(len).map_err(|_| DecodeError::Malformed)?;
    let (bytes, rest) = input.split_at_checked(len).ok_or(DecodeError::Malformed)?;
    *input = rest;
    Ok(bytes)
}

fn malformed<E: decode::RmpReadErr>(_: ValueReadError<E>) -> DecodeError {
    DecodeError::Malformed
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not MessagePack, not of the message's shape, or cut off.
    #[error("what came over the bus is no message of a server")]
    Malformed,
    /// From a server of another version.
    #[error("a message of version {0} came over the bus: this server knows version {VERSION}")]
    Version(u64),
    /// A kind that this version does not have.
    #[error("a message of the unknown kind {0} came over the bus")]
    Kind(u64),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn on_link(frame: Frame<'_>) -> Kind<'_> {
        Kind::OnLink {
            link: u64::MAX,
            number: 300,
            frame,
        }
    }

    fn kinds() -> Vec<Kind<'static>> {
        vec![
            Kind::Locate {
                ask: 1,
                sid: "AAAAAAAAAAAAAAAAAAAA",
            },
            Kind::Here { ask: u64::MAX },
            Kind::Leave,
            Kind::Broken { link: 0 },
            on_link(Frame::Open { stream: 0 }),
            on_link(Frame::Data {
                stream: u32::MAX,
                bytes: b"",
            }),
            on_link(Frame::Data {
                stream: 1,
                bytes: &[7; 70_000],
            }),
            on_link(Frame::Credit {
                stream: 1,
                bytes: u32::MAX,
            }),
            on_link(Frame::End { stream: 1 }),
            on_link(Frame::Close { stream: 1 }),
            on_link(Frame::Ping),
            on_link(Frame::Pong),
        ]
    }

    #[test]
    fn messages_come_as_they_were_sent() {
        for kind in kinds() {
            let message = Message {
                sender: "BBBBBBBBBBBBBBBBBBBB",
                kind,
            };
            let bytes = message.encode();
            assert_eq!(Message::decode(&bytes), Ok(message));
            for end in 0..bytes.len().min(100) {
                assert_eq!(
                    Message::decode(&bytes[..end]),
                    Err(DecodeError::Malformed),
                    "{kind:?}"
                );
            }
        }
    }

    #[test]
    fn the_form_is_that_of_version_1() {
        let message = Message {
            sender: "n",
            kind: Kind::OnLink {
                link: 9,
                number: 1,
                frame: Frame::Data {
                    stream: 2,
                    bytes: b"hi",
                },
            },
        };
        assert_eq!(message.encode(), b"\x97\x01\xa1n\x05\x09\x01\x02\xc4\x02hi");
    }

    #[test]
    fn strangers_are_told_apart() {
        assert_eq!(
            Message::decode(b"\x93\x02\xa1n\x02"),
            Err(DecodeError::Version(2))
        );
        assert_eq!(
            Message::decode(b"\x95\x01\xa1n\x0b\x00\x00"),
            Err(DecodeError::Kind(11))
        );
        // What Node's cluster-engine sends: a map.
        assert_eq!(Message::decode(b"\x81\xa4type\x00"), Err(DecodeError::Malformed));
        let with_more = b"\x94\x01\xa1n\x02\xa5later";
        assert_eq!(
            Message::decode(with_more).map(|message| message.kind),
            Ok(Kind::Leave)
        );
    }

    proptest! {
        #[test]
        fn nothing_that_comes_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Message::decode(&bytes);
        }
    }
}
