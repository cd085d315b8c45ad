//! One packet of version 3: the text form, which differs from version 4 in its base64 only, and the binary form of a
//! WebSocket frame or a binary payload.

use std::borrow::Cow;

use super::super::packet::{self, Packet, PacketError};

/// The first byte of a binary packet: only messages carry bytes. (In text it would be the digit `4`, here it is the number.)
pub const BINARY_MESSAGE: u8 = 4;

/// Decodes a text packet: a WebSocket text frame, or one element of a polling payload.
///
/// # Errors
/// As [`Packet::decode`], and if anything but `4` follows a `b`.
pub fn decode_text(text: &str) -> Result<Packet<'_>, PacketError> {
    match text.strip_prefix('b') {
        None => Packet::decode(text),
        Some(message) => {
            let data = message.strip_prefix('4').ok_or(PacketError::BinaryType)?;
            packet::decode_base64(data)
        }
    }
}

/// Decodes a binary packet: a WebSocket binary frame, or a binary element of a polling payload.
///
/// # Errors
/// If the data is empty, or its first byte is not [`BINARY_MESSAGE`].
pub fn decode_binary(data: &[u8]) -> Result<Packet<'_>, PacketError> {
    match data.split_first() {
        Some((&BINARY_MESSAGE, data)) => Ok(Packet::Binary(Cow::Borrowed(data))),
        Some(_) => Err(PacketError::BinaryType),
        None => Err(PacketError::Empty),
    }
}

/// Appends the text form; [`Packet::Binary`] becomes `b4` and padded base64. The other packets look as in version 4.
pub fn encode_text(packet: &Packet<'_>, out: &mut Vec<u8>) {
    match packet {
        Packet::Binary(bytes) => put_base64(out, bytes),
        _ => packet.encode(out),
    }
}

/// Appends the binary form of a message: [`BINARY_MESSAGE`] and the bytes.
pub fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(1 + bytes.len());
    out.push(BINARY_MESSAGE);
    out.extend_from_slice(bytes);
}

/// The length in bytes of [`put_base64`]'s output, for `len` bytes.
pub(super) const fn base64_len(len: usize) -> usize {
    packet::base64_len(len) + 1
}

/// Appends `b4` and the padded base64 of `bytes`.
pub(super) fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let at = out.len();
    packet::put_base64(out, bytes);
    out.insert(at + 1, b'4');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(packet: &Packet<'_>) -> String {
        let mut out = Vec::new();
        encode_text(packet, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn binary(bytes: &[u8]) -> Packet<'_> {
        Packet::Binary(Cow::Borrowed(bytes))
    }

    #[test]
    fn texts() {
        let table = [
            ("0{\"sid\":\"x\"}", Packet::Open("{\"sid\":\"x\"}")),
            ("1", Packet::Close),
            ("2", Packet::Ping("")),
            ("2probe", Packet::Ping("probe")),
            ("3probe", Packet::Pong("probe")),
            ("4utf8 — string", Packet::Message("utf8 — string")),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
            ("b4", binary(b"")),
            ("b4AAECAwQ=", binary(&[0, 1, 2, 3, 4])),
            ("b4AQIDBA==", binary(&[1, 2, 3, 4])),
        ];
        for (text, packet) in table {
            assert_eq!(decode_text(text), Ok(packet.clone()), "{text}");
            assert_eq!(encoded(&packet), text);
        }
        assert_eq!(decode_text("b4AQIDBA"), Ok(binary(&[1, 2, 3, 4])), "no padding");
        let refused = [
            ("", PacketError::Empty),
            ("b", PacketError::BinaryType),
            ("bAQIDBA==", PacketError::BinaryType),
            ("b2AQID", PacketError::BinaryType),
            ("b4A", PacketError::Base64),
            ("b4b4AQID!", PacketError::Base64),
            ("9", PacketError::UnknownType('9')),
            ("1x", PacketError::UnexpectedData('1')),
        ];
        for (text, error) in refused {
            assert_eq!(decode_text(text), Err(error), "{text}");
        }
    }

    #[test]
    fn frames() {
        let mut out = Vec::new();
        put_binary(&mut out, &[0, 1, 2, 3, 4]);
        assert_eq!(out, [4, 0, 1, 2, 3, 4]);
        assert_eq!(decode_binary(&out), Ok(binary(&[0, 1, 2, 3, 4])));
        assert_eq!(decode_binary(&[4]), Ok(binary(&[])));
        assert_eq!(decode_binary(&[]), Err(PacketError::Empty));
        for first in [0, 1, 2, 3, 5, 6, b'4', 255] {
            assert_eq!(decode_binary(&[first, 1]), Err(PacketError::BinaryType));
        }
    }

    proptest! {
        #[test]
        fn bytes_survive(data in any::<Vec<u8>>()) {
            let text = encoded(&binary(&data));
            prop_assert_eq!(text.len(), base64_len(data.len()));
            prop_assert_eq!(decode_text(&text), Ok(binary(&data)));
            let mut frame = Vec::new();
            put_binary(&mut frame, &data);
            prop_assert_eq!(decode_binary(&frame), Ok(binary(&data)));
        }

        #[test]
        fn text_survives(data in any::<String>()) {
            let text = encoded(&Packet::Message(&data));
            prop_assert_eq!(decode_text(&text), Ok(Packet::Message(&data)));
        }
    }
}
