//! The body of a polling request or response: packets in their text form joined by U+001E (Engine.IO 4). Reading and
//! measuring the HTTP body, and its limit in bytes, are the caller's.

use thiserror::Error;

use super::packet::{self, Packet, PacketError};

/// Stands between two packets. Text packets must not contain it: it is not escaped (JSON never does, it writes `\u001e`).
pub const SEPARATOR: u8 = 0x1e;

/// Bounds of one payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The number of packets in one payload; default 65,536.
    pub max_packets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_packets: 65_536 }
    }
}

/// Splits a body into its packets, one at each step. The first error ends it; an empty body or a separator at the end
/// is an error, for there stands an empty packet.
pub fn decode<'a>(body: &'a str, limits: &Limits) -> Packets<'a> {
    Packets {
        rest: Some(body),
        index: 0,
        max_packets: limits.max_packets,
    }
}

/// The packets of a payload; see [`decode`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    /// What follows the last separator seen; `None` after the last packet or an error.
    rest: Option<&'a str>,
    index: usize,
    max_packets: usize,
}

impl<'a> Packets<'a> {
    /// What has not been decoded yet, to go on with later; `None` after the last packet or an error.
    pub fn remainder(&self) -> Option<&'a str> {
        self.rest
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, PayloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        if self.index == self.max_packets {
            return Some(Err(PayloadError::TooManyPackets {
                max: self.max_packets,
            }));
        }
        let (text, rest) = match memchr::memchr(SEPARATOR, rest.as_bytes()) {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        let index = self.index;
        match Packet::decode(text) {
            Ok(packet) => {
                self.rest = rest;
                self.index += 1;
                Some(Ok(packet))
            }
            Err(source) => Some(Err(PayloadError::Packet { index, source })),
        }
    }
}

impl std::iter::FusedIterator for Packets<'_> {}

/// Why a body is not a payload.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadError {
    /// More packets than [`Limits::max_packets`].
    #[error("the payload has more than {max} packets")]
    TooManyPackets {
        /// The limit.
        max: usize,
    },
    /// One of the packets does not decode.
    #[error("packet {index} of the payload: {source}")]
    Packet {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        source: PacketError,
    },
}

/// Appends one packet in text form (type digit included) to a payload, after a separator unless it is the first:
/// `out` holds nothing but the payload.
pub fn push_text(out: &mut Vec<u8>, packet: &[u8]) {
    out.reserve(packet.len() + 1);
    separate(out);
    out.extend_from_slice(packet);
}

/// Appends one binary packet to a payload as `b` and base64, after a separator unless it is the first.
pub fn push_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(binary_len(bytes.len()) + 1);
    separate(out);
    packet::put_base64(out, bytes);
}

/// The length in bytes that a binary packet of `len` bytes has in a payload, without a separator.
pub const fn binary_len(len: usize) -> usize {
    packet::base64_len(len)
}

fn separate(out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(SEPARATOR);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    fn decoded(body: &str) -> Result<Vec<Packet<'_>>, PayloadError> {
        decode(body, &Limits::default()).collect()
    }

    fn bad(index: usize, source: PacketError) -> PayloadError {
        PayloadError::Packet { index, source }
    }

    #[test]
    fn recorded_payloads() {
        assert_eq!(decoded("40"), Ok(vec![Packet::Message("0")]));
        assert_eq!(
            decoded("42[\"hi\"]\u{1e}451-[\"b\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQID"),
            Ok(vec![
                Packet::Message("2[\"hi\"]"),
                Packet::Message("51-[\"b\",{\"_placeholder\":true,\"num\":0}]"),
                Packet::Binary(Cow::Borrowed(&[1, 2, 3])),
            ])
        );
        assert_eq!(
            decoded("3\u{1e}4é\u{1e}1"),
            Ok(vec![Packet::Pong(""), Packet::Message("é"), Packet::Close])
        );
    }

    #[test]
    fn refused() {
        let table = [
            ("", bad(0, PacketError::Empty)),
            ("40\u{1e}", bad(1, PacketError::Empty)),
            ("\u{1e}40", bad(0, PacketError::Empty)),
            ("40\u{1e}\u{1e}40", bad(1, PacketError::Empty)),
            ("abc", bad(0, PacketError::UnknownType('a'))),
            ("40\u{1e}bA", bad(1, PacketError::Base64)),
        ];
        for (body, error) in table {
            assert_eq!(decoded(body), Err(error), "{body:?}");
        }
    }

    #[test]
    fn an_error_ends_the_payload() {
        let mut packets = decode("40\u{1e}x\u{1e}41", &Limits::default());
        assert_eq!(packets.next(), Some(Ok(Packet::Message("0"))));
        assert_eq!(packets.next(), Some(Err(bad(1, PacketError::UnknownType('x')))));
        assert_eq!(packets.next(), None);
    }

    #[test]
    fn packets_are_counted() {
        let limits = Limits { max_packets: 2 };
        let too_many = Err(PayloadError::TooManyPackets { max: 2 });
        assert_eq!(decode("6\u{1e}6", &limits).count(), 2);
        assert!(decode("6\u{1e}6", &limits).all(|packet| packet.is_ok()));
        assert_eq!(
            decode("6\u{1e}6\u{1e}6", &limits).collect::<Result<Vec<_>, _>>(),
            too_many
        );
        assert_eq!(decode("6\u{1e}6\u{1e}6", &limits).count(), 3);
    }

    proptest! {
        #[test]
        fn packets_survive(packets in proptest::collection::vec(
            prop_oneof![
                "[^\u{1e}]{0,20}".prop_map(Ok),
                any::<Vec<u8>>().prop_map(Err),
            ], 1..20)
        ) {
            let mut body = Vec::new();
            let mut len = 0;
            for packet in &packets {
                match packet {
                    Ok(text) => {
                        push_text(&mut body, format!("4{text}").as_bytes());
                        len += text.len() + 2;
                    }
                    Err(bytes) => {
                        push_binary(&mut body, bytes);
                        len += binary_len(bytes.len()) + 1;
                    }
                }
            }
            prop_assert_eq!(body.len(), len - 1);
            let body = String::from_utf8(body).unwrap();
            let expected: Vec<_> = packets.iter().map(|packet| match packet {
                Ok(text) => Packet::Message(text),
                Err(bytes) => Packet::Binary(Cow::Borrowed(bytes)),
            }).collect();
            prop_assert_eq!(decoded(&body), Ok(expected));
        }

        #[test]
        fn arbitrary_text_never_panics(body in "[0-6b\u{1e}a-z=é]{0,40}") {
            let _ = decoded(&body);
        }
    }
}
