//! The body of a polling request or response in version 3, in its two forms. The content type says which: a client that
//! may use binary sends `application/octet-stream` when there are bytes to send, and text else.
//!
//! - Text: `<length>:<packet>` after each other; the length counts UTF-16 code units, bytes are `b4` and base64.
//! - Binary: for each packet `0` (text) or `1` (bytes), the length in decimal digits of one byte each (`0x00` to `0x09`),
//!   `0xff`, and the packet; the length counts bytes.

use thiserror::Error;

use super::super::{Limits, Packet, PacketError};
use super::packet::{self, decode_binary, decode_text};

/// Ends the length in the binary form.
const LENGTH_END: u8 = 0xff;

/// More digits than any length has.
const MAX_DIGITS: usize = 16;

/// One of the two forms of a payload; all its packets have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Text, with base64 for bytes.
    Text,
    /// Bytes throughout.
    Binary,
}

impl Form {
    /// The form of an answer, as the official server chooses: binary exactly if there are bytes to send and the client
    /// can take them, that is, its handshake had no [`b64`](super::super::Query::b64).
    pub const fn choose(has_binary: bool, b64: bool) -> Self {
        if has_binary && !b64 {
            Self::Binary
        } else {
            Self::Text
        }
    }

    /// The form of a request's body: binary exactly if its `Content-Type` is `application/octet-stream`.
    pub fn of_content_type(content_type: Option<&str>) -> Self {
        match content_type {
            Some("application/octet-stream") => Self::Binary,
            _ => Self::Text,
        }
    }

    /// The `Content-Type` of an answer in this form.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=UTF-8",
            Self::Binary => "application/octet-stream",
        }
    }

    /// Appends a text packet, type digit included.
    pub fn push_text(self, out: &mut Vec<u8>, packet: &str) {
        match self {
            Self::Text => put_decimal(out, packet.encode_utf16().count()),
            Self::Binary => put_digits(out, 0, packet.len()),
        }
        out.extend_from_slice(packet.as_bytes());
    }

    /// Appends a message of bytes.
    pub fn push_binary(self, out: &mut Vec<u8>, bytes: &[u8]) {
        match self {
            Self::Text => {
                put_decimal(out, packet::base64_len(bytes.len()));
                packet::put_base64(out, bytes);
            }
            Self::Binary => {
                put_digits(out, 1, bytes.len() + 1);
                packet::put_binary(out, bytes);
            }
        }
    }

    /// Appends any packet.
    pub fn push(self, out: &mut Vec<u8>, packet: &Packet<'_>) {
        match packet {
            Packet::Binary(bytes) => self.push_binary(out, bytes),
            Packet::Message(data) => self.push_data(out, b'4', data),
            Packet::Open(data) => self.push_data(out, b'0', data),
            Packet::Close => self.push_data(out, b'1', ""),
            Packet::Ping(data) => self.push_data(out, b'2', data),
            Packet::Pong(data) => self.push_data(out, b'3', data),
            Packet::Upgrade => self.push_data(out, b'5', ""),
            Packet::Noop => self.push_data(out, b'6', ""),
        }
    }

    fn push_data(self, out: &mut Vec<u8>, kind: u8, data: &str) {
        match self {
            Self::Text => put_decimal(out, 1 + data.encode_utf16().count()),
            Self::Binary => put_digits(out, 0, 1 + data.len()),
        }
        out.push(kind);
        out.extend_from_slice(data.as_bytes());
    }
}

/// Splits a body in the text form, one packet at each step. The first error ends it. `0:`, which is how a payload of no
/// packets is written, is passed over, though it counts; an empty body is an error.
pub fn decode<'a>(body: &'a str, limits: &Limits) -> Packets<'a> {
    Packets::new(Form::Text, body.as_bytes(), limits)
}

/// Splits a body in the binary form, one packet at each step. The first error ends it; an empty body has no packets.
pub fn decode_bytes<'a>(body: &'a [u8], limits: &Limits) -> Packets<'a> {
    Packets::new(Form::Binary, body, limits)
}

/// The packets of a payload; see [`decode`] and [`decode_bytes`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    form: Form,
    /// Invariant: in the text form, UTF-8 cut between two characters.
    body: &'a [u8],
    at: usize,
    index: usize,
    max_packets: usize,
    ended: bool,
}

impl<'a> Packets<'a> {
    fn new(form: Form, body: &'a [u8], limits: &Limits) -> Self {
        Self {
            form,
            body,
            at: 0,
            index: 0,
            max_packets: limits.max_packets,
            ended: false,
        }
    }

    /// Where in the body, in bytes, the first packet begins that has not been returned yet: a place to go on from later,
    /// with the body cut there. The length of the body after the last packet; of no use after an error.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next packet, `None` for an empty one.
    fn packet(&mut self) -> Result<Option<Packet<'a>>, PayloadError> {
        let index = self.index;
        if index == self.max_packets {
            return Err(PayloadError::TooManyPackets { max: index });
        }
        self.index += 1;
        match self.form {
            Form::Text => self.text_packet(index),
            Form::Binary => self.binary_packet(index).map(Some),
        }
    }

    fn text_packet(&mut self, index: usize) -> Result<Option<Packet<'a>>, PayloadError> {
        let bad = PayloadError::Length { index };
        let rest = &self.body[self.at..];
        let digits = rest
            .iter()
            .take(MAX_DIGITS)
            .take_while(|byte| byte.is_ascii_digit());
        let digits = digits.count();
        if digits == 0 || rest.get(digits) != Some(&b':') {
            return Err(bad);
        }
        let units = number(&rest[..digits], b'0');
        let start = self.at + digits + 1;
        let len = utf16_prefix(&self.body[start..], units).ok_or(bad)?;
        self.at = start + len;
        if len == 0 {
            return Ok(None);
        }
        let text = std::str::from_utf8(&self.body[start..self.at]).map_err(|_| bad)?;
        let packet = decode_text(text).map_err(|source| PayloadError::Packet { index, source })?;
        Ok(Some(packet))
    }

    fn binary_packet(&mut self, index: usize) -> Result<Packet<'a>, PayloadError> {
        let bad = PayloadError::Length { index };
        let rest = &self.body[self.at..];
        let is_binary = match rest.first() {
            Some(0) => false,
            Some(1) => true,
            _ => return Err(PayloadError::Kind { index }),
        };
        let digits = rest[1..]
            .iter()
            .take(MAX_DIGITS)
            .take_while(|&&byte| byte <= 9)
            .count();
        if digits == 0 || rest.get(digits + 1) != Some(&LENGTH_END) {
            return Err(bad);
        }
        let len = number(&rest[1..=digits], 0);
        let rest = &rest[digits + 2..];
        let data = usize::try_from(len).ok().and_then(|len| rest.get(..len));
        let data = data.ok_or(bad)?;
        self.at += digits + 2 + data.len();
        let packet = if is_binary {
            decode_binary(data)
        } else {
            let text = std::str::from_utf8(data).map_err(|_| PayloadError::Utf8 { index })?;
            decode_text(text)
        };
        packet.map_err(|source| PayloadError::Packet { index, source })
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, PayloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let is_empty_text = self.form == Form::Text && self.body.is_empty();
            if self.ended || (self.at == self.body.len() && !is_empty_text) {
                return None;
            }
            match self.packet() {
                Ok(Some(packet)) => return Some(Ok(packet)),
                Ok(None) => {}
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl std::iter::FusedIterator for Packets<'_> {}

/// Why a body is not a payload of version 3. Packets are counted from 0, empty ones, too.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadError {
    /// More packets than [`Limits::max_packets`].
    #[error("the payload has more than {max} packets")]
    TooManyPackets {
        /// The limit.
        max: usize,
    },
    /// In the binary form, neither text nor bytes.
    #[error("packet {index} of the payload starts with neither 0 (text) nor 1 (binary)")]
    Kind {
        /// Its place.
        index: usize,
    },
    /// No length, or one that goes beyond the body or through a character.
    #[error("packet {index} of the payload does not start with its length, or is shorter")]
    Length {
        /// Its place.
        index: usize,
    },
    /// In the binary form, a text packet that is not UTF-8.
    #[error("packet {index} of the payload is not UTF-8")]
    Utf8 {
        /// Its place.
        index: usize,
    },
    /// One of the packets does not decode.
    #[error("packet {index} of the payload: {source}")]
    Packet {
        /// Its place.
        index: usize,
        /// What is wrong with it.
        source: PacketError,
    },
}

/// The number whose digits count from `zero`; there are few enough of them.
fn number(digits: &[u8], zero: u8) -> u64 {
    digits
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit - zero))
}

/// How many bytes of UTF-8 make `units` UTF-16 code units; `None` if there are fewer, or the end would stand within a
/// surrogate pair. What begins before that end is counted whole, so the cut is never within a character.
fn utf16_prefix(bytes: &[u8], units: u64) -> Option<usize> {
    let ascii = usize::try_from(units).ok().and_then(|units| bytes.get(..units));
    if ascii.is_some_and(<[u8]>::is_ascii) {
        return ascii.map(<[u8]>::len);
    }
    let mut left = units;
    let mut at = 0;
    while left > 0 {
        // The first byte of a character says how long it is.
        let (len, units) = match bytes.get(at)? {
            0..=0x7f => (1, 1),
            0x80..=0xdf => (2, 1),
            0xe0..=0xef => (3, 1),
            0xf0..=0xff => (4, 2),
        };
        left = left.checked_sub(units)?;
        at += len;
    }
    Some(at)
}

/// Appends `number` and a colon.
fn put_decimal(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.push(b':');
}

/// Appends what stands before a packet of `len` bytes in the binary form.
fn put_digits(out: &mut Vec<u8>, kind: u8, len: usize) {
    out.push(kind);
    let mut buffer = itoa::Buffer::new();
    out.extend(buffer.format(len).bytes().map(|digit| digit - b'0'));
    out.push(LENGTH_END);
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    fn text(body: &str) -> Result<Vec<Packet<'_>>, PayloadError> {
        decode(body, &Limits::default()).collect()
    }

    fn bytes(body: &[u8]) -> Result<Vec<Packet<'_>>, PayloadError> {
        decode_bytes(body, &Limits::default()).collect()
    }

    fn encoded(form: Form, packets: &[Packet<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        for packet in packets {
            form.push(&mut out, packet);
        }
        out
    }

    fn binary(bytes: &[u8]) -> Packet<'_> {
        Packet::Binary(Cow::Borrowed(bytes))
    }

    #[test]
    fn published_text_payloads() {
        use Packet::{Message, Ping, Pong};
        let table: [(&str, &[Packet<'_>]); 8] = [
            ("2:4a1:2", &[Message("a"), Ping("")]),
            (
                "6:4test16:4test26:4test3",
                &[Message("test1"), Message("test2"), Message("test3")],
            ),
            ("6:4hello2:4€", &[Message("hello"), Message("€")]),
            ("2:4€10:b4AQIDBA==", &[Message("€"), binary(&[1, 2, 3, 4])]),
            ("6:3probe", &[Pong("probe")]),
            (
                "5:4😀é11:110:4äöü\u{1e}:::::",
                &[Message("😀é1"), Packet::Close, Message("äöü\u{1e}:::::")],
            ),
            ("2:b4", &[binary(&[])]),
            ("2:40", &[Message("0")]),
        ];
        for (body, packets) in table {
            assert_eq!(text(body).as_deref(), Ok(packets), "{body}");
            assert_eq!(encoded(Form::Text, packets), body.as_bytes(), "{body}");
        }
        assert_eq!(text("0:"), Ok(vec![]));
        assert_eq!(text("0:2:4a0:"), Ok(vec![Message("a")]));
        assert_eq!(text("02:4a"), Ok(vec![Message("a")]));
    }

    #[test]
    fn published_binary_payloads() {
        use Packet::Message;
        let table: [(&[u8], &[Packet<'_>]); 5] = [
            (
                &[0, 4, 0xff, 0x34, 0xe2, 0x82, 0xac, 1, 5, 0xff, 4, 1, 2, 3, 4],
                &[Message("€"), binary(&[1, 2, 3, 4])],
            ),
            (&[1, 5, 0xff, 4, 1, 2, 3, 4], &[binary(&[1, 2, 3, 4])]),
            (
                &[1, 6, 0xff, 4, 0, 1, 2, 3, 4, 1, 5, 0xff, 4, 5, 6, 7, 8],
                &[binary(&[0, 1, 2, 3, 4]), binary(&[5, 6, 7, 8])],
            ),
            (
                b"\x00\x01\x01\xff4hello worl\x01\x01\xff\x04\x00\x01\xff1",
                &[Message("hello worl"), binary(&[]), Packet::Close],
            ),
            (&[], &[]),
        ];
        for (body, packets) in table {
            assert_eq!(bytes(body).as_deref(), Ok(packets), "{body:?}");
            assert_eq!(encoded(Form::Binary, packets), body);
        }
    }

    #[test]
    fn refused_texts() {
        let length = |index| PayloadError::Length { index };
        let bad = |index, source| PayloadError::Packet { index, source };
        let table = [
            ("1!", length(0)),
            ("", length(0)),
            ("))", length(0)),
            ("1:", length(0)),
            ("3:99:", bad(0, PacketError::UnknownType('9'))),
            ("1:aa", bad(0, PacketError::UnknownType('a'))),
            ("1:a2:b", bad(0, PacketError::UnknownType('a'))),
            ("2:4a2", length(1)),
            ("2:4ax", length(1)),
            ("2:4a1:", length(1)),
            ("3:4a", length(0)),
            (" 2:4a", length(0)),
            ("-2:4a", length(0)),
            ("2.0:4a", length(0)),
            (":4a", length(0)),
            ("4a", length(0)),
            ("99999999999999999999:4a", length(0)),
            ("9999999999999999:4a", length(0)),
            // Within a surrogate pair.
            ("2:4😀", length(0)),
            ("3:b2A", bad(0, PacketError::BinaryType)),
            ("0:x", length(1)),
        ];
        for (body, error) in table {
            assert_eq!(text(body), Err(error), "{body:?}");
        }
    }

    #[test]
    fn refused_bytes() {
        let length = PayloadError::Length { index: 0 };
        let bad = |source| PayloadError::Packet { index: 0, source };
        let table: [(&[u8], PayloadError); 13] = [
            (&[2, 1, 0xff, 4], PayloadError::Kind { index: 0 }),
            (b"2:4a", PayloadError::Kind { index: 0 }),
            (&[0], length),
            (&[0, 0xff], length),
            (&[0, 1], length),
            (&[0, 1, 0xff], length),
            (&[0, 1, 10, 0xff, b'1'], length),
            (&[1, 3, 0xff, 4, 1], length),
            (
                &[1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0xff, 4],
                length,
            ),
            (&[0, 2, 0xff, b'4', 0xc3], PayloadError::Utf8 { index: 0 }),
            (&[0, 0, 0xff], bad(PacketError::Empty)),
            (&[1, 0, 0xff], bad(PacketError::Empty)),
            (&[1, 1, 0xff, b'4'], bad(PacketError::BinaryType)),
        ];
        for (body, error) in table {
            assert_eq!(bytes(body), Err(error), "{body:?}");
        }
        let mut long = vec![0];
        long.resize(100_000, 9);
        assert_eq!(bytes(&long), Err(length));
    }

    #[test]
    fn an_error_ends_the_payload() {
        let mut packets = decode("2:4a1:x2:4b", &Limits::default());
        assert_eq!(packets.next(), Some(Ok(Packet::Message("a"))));
        assert_eq!(packets.position(), 4);
        assert!(packets.next().is_some_and(|packet| packet.is_err()));
        assert_eq!(packets.next(), None);
        let mut empty = decode("", &Limits::default());
        assert!(empty.next().is_some_and(|packet| packet.is_err()));
        assert_eq!(empty.next(), None);
    }

    #[test]
    fn packets_are_counted() {
        let limits = Limits { max_packets: 2 };
        let too_many = Err(PayloadError::TooManyPackets { max: 2 });
        assert_eq!(decode("1:61:6", &limits).count(), 2);
        assert_eq!(
            decode("1:61:61:6", &limits).collect::<Result<Vec<_>, _>>(),
            too_many
        );
        assert_eq!(decode("0:0:0:", &limits).collect::<Result<Vec<_>, _>>(), too_many);
        let bytes = [0, 1, 0xff, b'6'].repeat(3);
        assert_eq!(
            decode_bytes(&bytes, &limits).collect::<Result<Vec<_>, _>>(),
            too_many
        );
    }

    #[test]
    fn forms_are_chosen_as_the_official_server_does() {
        assert_eq!(Form::choose(true, false), Form::Binary);
        assert_eq!(Form::choose(true, true), Form::Text);
        assert_eq!(Form::choose(false, false), Form::Text);
        let octets = Form::Binary.content_type();
        assert_eq!(Form::of_content_type(Some(octets)), Form::Binary);
        for text in [None, Some("text/plain;charset=UTF-8"), Some("")] {
            assert_eq!(Form::of_content_type(text), Form::Text);
        }
    }

    #[derive(Clone, Debug)]
    enum Sent {
        Text(String),
        Bytes(Vec<u8>),
    }

    proptest! {
        #[test]
        fn packets_survive_in_both_forms(sent in proptest::collection::vec(
            prop_oneof![
                any::<String>().prop_map(Sent::Text),
                any::<Vec<u8>>().prop_map(Sent::Bytes),
            ], 1..20)
        ) {
            let packets: Vec<_> = sent.iter().map(|sent| match sent {
                Sent::Text(text) => Packet::Message(text),
                Sent::Bytes(data) => binary(data),
            }).collect();
            let body = encoded(Form::Text, &packets);
            prop_assert_eq!(text(std::str::from_utf8(&body).unwrap()), Ok(packets.clone()));
            let body = encoded(Form::Binary, &packets);
            prop_assert_eq!(bytes(&body), Ok(packets.clone()));

            // Cut at its position, a body goes on where it stopped.
            let mut first = decode_bytes(&body, &Limits::default());
            first.next();
            let rest = decode_bytes(&body[first.position()..], &Limits::default());
            prop_assert_eq!(rest.count(), packets.len() - 1);
        }

        #[test]
        fn push_text_is_push(text in any::<String>()) {
            for form in [Form::Text, Form::Binary] {
                let mut out = Vec::new();
                form.push_text(&mut out, &format!("4{text}"));
                prop_assert_eq!(out, encoded(form, &[Packet::Message(&text)]));
            }
        }

        #[test]
        fn arbitrary_bodies_never_panic(
            body in "([0-9]{0,2}:?[0-6b4:é😀=]{0,6}){0,6}",
            octets in proptest::collection::vec(
                prop_oneof![0u8..12, Just(0xff), Just(b'4'), any::<u8>()], 0..40),
        ) {
            let _ = text(&body);
            let _ = bytes(&octets);
        }
    }
}
