//! One Engine.IO packet in its text form: a type digit and data, or `b` and base64. The bytes of a binary packet on a
//! WebSocket have no type at all, so they never come through here.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{self, GeneralPurpose, GeneralPurposeConfig};
use thiserror::Error;

/// Reads base64 with or without padding, as the official server does; everything else is strict.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An Engine.IO packet that borrows its data. The forms given here are those of protocol version 4; for version 3 see [`v3`](super::v3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0`: the server opens the session; the data is the JSON of [`OpenPacket`](super::OpenPacket).
    Open(&'a str),
    /// `1`: the sender closes the session.
    Close,
    /// `2`: heartbeat of the server, or `2probe` of a client that upgrades.
    Ping(&'a str),
    /// `3`: the answer, with the data of the ping.
    Pong(&'a str),
    /// `4`: text for the protocol above.
    Message(&'a str),
    /// `b` and base64 in a text, a bare binary frame on a WebSocket: bytes for the protocol above.
    Binary(Cow<'a, [u8]>),
    /// `5`: the client has moved to the new transport.
    Upgrade,
    /// `6`: nothing; ends a pending poll.
    Noop,
}

impl<'a> Packet<'a> {
    /// Decodes the text form of one packet: a WebSocket text frame, or one element of a polling payload.
    ///
    /// # Errors
    /// If the text is empty, has an unknown type, has data where the type carries none, or is not base64 after `b`.
    pub fn decode(text: &'a str) -> Result<Self, PacketError> {
        let Some(kind) = text.chars().next() else {
            return Err(PacketError::Empty);
        };
        let data = &text[kind.len_utf8()..];
        match kind {
            '4' => return Ok(Self::Message(data)),
            '0' => return Ok(Self::Open(data)),
            '2' => return Ok(Self::Ping(data)),
            '3' => return Ok(Self::Pong(data)),
            'b' => return decode_base64(data),
            _ => {}
        }
        let packet = match kind {
            '1' => Self::Close,
            '5' => Self::Upgrade,
            '6' => Self::Noop,
            _ => return Err(PacketError::UnknownType(kind)),
        };
        if data.is_empty() {
            Ok(packet)
        } else {
            Err(PacketError::UnexpectedData(kind))
        }
    }

    /// Appends the text form; [`Binary`](Self::Binary) becomes `b` and padded base64.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, data) = match self {
            Self::Open(data) => (b'0', *data),
            Self::Close => (b'1', ""),
            Self::Ping(data) => (b'2', *data),
            Self::Pong(data) => (b'3', *data),
            Self::Message(data) => (b'4', *data),
            Self::Upgrade => (b'5', ""),
            Self::Noop => (b'6', ""),
            Self::Binary(bytes) => return put_base64(out, bytes),
        };
        out.reserve(1 + data.len());
        out.push(kind);
        out.extend_from_slice(data.as_bytes());
    }
}

/// Why a text is not an Engine.IO packet.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketError {
    /// Not even a type.
    #[error("the packet is empty: it must start with its type, 0 to 6 or b")]
    Empty,
    /// The first character is no packet type.
    #[error("unknown packet type {0:?}: expected 0 to 6 or b")]
    UnknownType(char),
    /// Close, upgrade and noop stand alone.
    #[error("a packet of type {0:?} carries no data")]
    UnexpectedData(char),
    /// The data after `b` does not decode (RFC 4648 §4, padding may be missing).
    #[error("the data of the binary packet is not base64")]
    Base64,
    /// In version 3, where binary packets have a type, it is no message.
    #[error("a binary packet of version 3 must be a message, type 4")]
    BinaryType,
}

/// The binary packet with this base64.
pub(super) fn decode_base64(data: &str) -> Result<Packet<'static>, PacketError> {
    let bytes = BASE64.decode(data).map_err(|_| PacketError::Base64)?;
    Ok(Packet::Binary(Cow::Owned(bytes)))
}

/// The length in bytes of the text form of a binary packet of `len` bytes: `b` and padded base64.
pub(super) const fn base64_len(len: usize) -> usize {
    1 + len.div_ceil(3) * 4
}

/// Appends `b` and the padded base64 of `bytes`.
pub(super) fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'b');
    let start = out.len();
    out.resize(start + base64_len(bytes.len()) - 1, 0);
    general_purpose::STANDARD
        .encode_slice(bytes, &mut out[start..])
        .expect("base64_len is the exact length");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(packet: &Packet<'_>) -> String {
        let mut out = Vec::new();
        packet.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn binary(bytes: &[u8]) -> Packet<'_> {
        Packet::Binary(Cow::Borrowed(bytes))
    }

    #[test]
    fn every_type_in_both_directions() {
        let table = [
            ("0{\"sid\":\"x\"}", Packet::Open("{\"sid\":\"x\"}")),
            ("0", Packet::Open("")),
            ("1", Packet::Close),
            ("2", Packet::Ping("")),
            ("2probe", Packet::Ping("probe")),
            ("3", Packet::Pong("")),
            ("3probe", Packet::Pong("probe")),
            ("4", Packet::Message("")),
            ("4hello", Packet::Message("hello")),
            ("4€", Packet::Message("€")),
            ("42[\"a\"]", Packet::Message("2[\"a\"]")),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
            ("b", binary(b"")),
            ("bAQID", binary(&[1, 2, 3])),
            ("bAQIDBA==", binary(&[1, 2, 3, 4])),
            ("b+/8=", binary(&[0xfb, 0xff])),
        ];
        for (text, packet) in table {
            assert_eq!(Packet::decode(text), Ok(packet.clone()), "{text:?}");
            assert_eq!(encoded(&packet), text);
        }
    }

    #[test]
    fn padding_may_be_missing() {
        assert_eq!(Packet::decode("bAQIDBA"), Ok(binary(&[1, 2, 3, 4])));
    }

    #[test]
    fn refused() {
        let table = [
            ("", PacketError::Empty),
            ("7", PacketError::UnknownType('7')),
            ("abc", PacketError::UnknownType('a')),
            ("B", PacketError::UnknownType('B')),
            ("-1", PacketError::UnknownType('-')),
            (" 4", PacketError::UnknownType(' ')),
            ("é", PacketError::UnknownType('é')),
            ("\u{1e}", PacketError::UnknownType('\u{1e}')),
            ("1x", PacketError::UnexpectedData('1')),
            ("5probe", PacketError::UnexpectedData('5')),
            ("66", PacketError::UnexpectedData('6')),
            ("bA", PacketError::Base64),
            ("bAQ*D", PacketError::Base64),
            ("b-_8=", PacketError::Base64),
            ("bAQID\n", PacketError::Base64),
            ("bé", PacketError::Base64),
        ];
        for (text, error) in table {
            assert_eq!(Packet::decode(text), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn text_survives(data in any::<String>()) {
            for packet in [Packet::Open(&data), Packet::Ping(&data), Packet::Pong(&data), Packet::Message(&data)] {
                let text = encoded(&packet);
                prop_assert_eq!(Packet::decode(&text), Ok(packet));
            }
        }

        #[test]
        fn bytes_survive(data in any::<Vec<u8>>()) {
            let text = encoded(&binary(&data));
            prop_assert_eq!(text.len(), base64_len(data.len()));
            prop_assert_eq!(Packet::decode(&text), Ok(binary(&data)));
        }

        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let _ = Packet::decode(&text);
        }
    }
}
