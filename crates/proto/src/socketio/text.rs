//! The text form of a packet: `<type>[<attachments>-][<namespace>,][<id>][<JSON>]`. Strict where the official parser
//! guesses: digits are digits, and what only a broken client sends is an error.

use thiserror::Error;

use super::{Limits, MAX_ID, Packet, PacketKind};
use crate::json::scanner::Scanner;

/// Decodes the head of a packet in one pass, without allocation. The array of an event or acknowledgement is only
/// looked at from outside: [`scan_event`](super::scan_event) and [`scan_args`](super::scan_args) check it. The data of
/// the other types is checked here.
///
/// # Errors
/// If the text is no packet, goes beyond `limits`, or has data that its type does not allow.
pub fn decode<'a>(text: &'a str, limits: &Limits) -> Result<Packet<'a>, DecodeError> {
    let Some(first) = text.chars().next() else {
        return Err(DecodeError::Empty);
    };
    let kind = match first {
        '0' => PacketKind::Connect,
        '1' => PacketKind::Disconnect,
        '2' => PacketKind::Event,
        '3' => PacketKind::Ack,
        '4' => PacketKind::ConnectError,
        '5' => PacketKind::BinaryEvent,
        '6' => PacketKind::BinaryAck,
        _ => return Err(DecodeError::UnknownType(first)),
    };
    let mut rest = &text[1..];

    let mut attachments = 0;
    if kind.is_binary() {
        let (count, after) = split_number(rest);
        let after = after.strip_prefix('-').ok_or(DecodeError::AttachmentCount)?;
        let count = count.ok_or(DecodeError::AttachmentCount)?;
        if count == 0 {
            return Err(DecodeError::AttachmentCount);
        }
        attachments = usize::try_from(count).unwrap_or(usize::MAX);
        if attachments > limits.max_attachments {
            return Err(DecodeError::TooManyAttachments {
                count,
                max: limits.max_attachments,
            });
        }
        rest = after;
    }

    let mut namespace = "/";
    if rest.starts_with('/') {
        // A longer name than allowed is not searched to its end.
        let window = &rest.as_bytes()[..rest.len().min(limits.max_namespace.saturating_add(1))];
        let end = match memchr::memchr(b',', window) {
            Some(end) => end,
            None if window.len() < rest.len() || rest.len() > limits.max_namespace => {
                return Err(DecodeError::NamespaceTooLong {
                    max: limits.max_namespace,
                });
            }
            None => rest.len(),
        };
        namespace = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
    }

    let mut id = None;
    if rest.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        let (number, after) = split_number(rest);
        id = Some(number.filter(|&id| id <= MAX_ID).ok_or(DecodeError::Id)?);
        rest = after;
    }

    check_data(kind, id, rest, limits)?;
    Ok(Packet {
        kind,
        namespace,
        id,
        attachments,
        data: rest,
    })
}

/// Appends what stands before the JSON of a packet: type, attachments with their hyphen if there are any, namespace
/// with its comma unless it is `/`, id. `attachments` must be 0 exactly for the types that are not binary.
pub fn put_head(out: &mut Vec<u8>, kind: PacketKind, namespace: &str, id: Option<u64>, attachments: usize) {
    debug_assert_eq!(kind.is_binary(), attachments > 0);
    out.push(kind.digit());
    let mut number = itoa::Buffer::new();
    if attachments > 0 {
        out.extend_from_slice(number.format(attachments).as_bytes());
        out.push(b'-');
    }
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
    if let Some(id) = id {
        out.extend_from_slice(number.format(id).as_bytes());
    }
}

/// Why a text is not a Socket.IO packet that a client may send.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not even a type.
    #[error("the packet is empty: it must start with its type, 0 to 6")]
    Empty,
    /// The first character is no packet type.
    #[error("unknown packet type {0:?}: expected 0 to 6")]
    UnknownType(char),
    /// A binary packet without `<digits>-` after its type, or with 0 attachments.
    #[error("a binary packet starts with its number of attachments, 1 at least, and a hyphen")]
    AttachmentCount,
    /// More attachments than [`Limits::max_attachments`].
    #[error("the packet announces {count} attachments, more than {max}")]
    TooManyAttachments {
        /// What was announced.
        count: u64,
        /// The limit.
        max: usize,
    },
    /// The name is longer than [`Limits::max_namespace`].
    #[error("the name of the namespace is longer than {max} bytes")]
    NamespaceTooLong {
        /// The limit.
        max: usize,
    },
    /// The id is larger than [`MAX_ID`], or stands in a packet that has none.
    #[error("the acknowledgement id is larger than 2^53 - 1, or the packet's type has none")]
    Id,
    /// An acknowledgement that does not say of what.
    #[error("an acknowledgement needs the id of its event")]
    MissingId,
    /// The data has a shape that the type does not allow.
    #[error("a packet of type {kind:?} cannot have this data: expected {}", expected(*.kind))]
    Data {
        /// The type.
        kind: PacketKind,
    },
    /// Asked to split something that is no array.
    #[error("the data of an event or acknowledgement must be a JSON array")]
    NotAnArray,
    /// The data is not JSON.
    #[error("the data is not JSON from byte {offset} on")]
    Json {
        /// Where, in bytes from the start of the data.
        offset: usize,
    },
    /// The data nests deeper than [`Limits::max_depth`].
    #[error("the data nests too deep")]
    TooDeep,
    /// The first element of an event is missing or no name.
    #[error("the first element of an event must be its name, a string or a number")]
    EventName,
    /// The name is one of those that Socket.IO keeps for itself.
    #[error("the event name {0:?} is reserved")]
    ReservedEvent(String),
}

pub(super) fn expected(kind: PacketKind) -> &'static str {
    match kind {
        PacketKind::Connect => "nothing or an object",
        PacketKind::Disconnect => "nothing",
        PacketKind::ConnectError => "nothing, a string or an object",
        PacketKind::Event | PacketKind::BinaryEvent | PacketKind::Ack | PacketKind::BinaryAck => "an array",
    }
}

/// Splits the leading digits off. `None` if there are none or more than 16: 2^53 has 16.
fn split_number(text: &str) -> (Option<u64>, &str) {
    let (mut number, mut digits) = (0, 0);
    for byte in text.bytes().take(17).take_while(u8::is_ascii_digit) {
        number = number * 10 + u64::from(byte - b'0');
        digits += 1;
    }
    ((1..=16).contains(&digits).then_some(number), &text[digits..])
}

/// Whether a packet of this type may have this id and data. The array of an event or acknowledgement is not read.
#[inline]
pub(super) fn check_data(
    kind: PacketKind,
    id: Option<u64>,
    data: &str,
    limits: &Limits,
) -> Result<(), DecodeError> {
    let first = data.as_bytes().first();
    let allowed = match kind {
        PacketKind::Event | PacketKind::BinaryEvent => first == Some(&b'['),
        PacketKind::Ack | PacketKind::BinaryAck => {
            if id.is_none() {
                return Err(DecodeError::MissingId);
            }
            first == Some(&b'[')
        }
        PacketKind::Disconnect => first.is_none(),
        PacketKind::Connect => matches!(first, None | Some(b'{')),
        PacketKind::ConnectError => matches!(first, None | Some(b'{' | b'"')),
    };
    if !allowed {
        return Err(DecodeError::Data { kind });
    }
    match kind {
        PacketKind::Connect | PacketKind::Disconnect | PacketKind::ConnectError => {
            if id.is_some() {
                return Err(DecodeError::Id);
            }
            if data.is_empty() {
                Ok(())
            } else {
                check_json(data, limits)
            }
        }
        _ => Ok(()),
    }
}

fn check_json(data: &str, limits: &Limits) -> Result<(), DecodeError> {
    let mut scanner = Scanner::new(data, limits.max_depth);
    scanner.value()?;
    scanner.skip_whitespace();
    if scanner.is_at_end() {
        Ok(())
    } else {
        Err(scanner.fault().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Result<Packet<'_>, DecodeError> {
        decode(text, &Limits::default())
    }

    fn packet<'a>(kind: PacketKind, namespace: &'a str, id: Option<u64>, data: &'a str) -> Packet<'a> {
        Packet {
            kind,
            namespace,
            id,
            attachments: 0,
            data,
        }
    }

    use PacketKind::{Ack, BinaryAck, BinaryEvent, Connect, ConnectError, Disconnect, Event};

    #[test]
    fn heads() {
        let table = [
            ("0", packet(Connect, "/", None, "")),
            ("0/adm", packet(Connect, "/adm", None, "")),
            ("0/adm,", packet(Connect, "/adm", None, "")),
            ("0/,", packet(Connect, "/", None, "")),
            (
                "0/adm?x=1,{\"t\":\"a,b\"}",
                packet(Connect, "/adm?x=1", None, "{\"t\":\"a,b\"}"),
            ),
            ("0{}", packet(Connect, "/", None, "{}")),
            ("0{\"a\":[1,2]} ", packet(Connect, "/", None, "{\"a\":[1,2]} ")),
            ("1", packet(Disconnect, "/", None, "")),
            ("1/é,", packet(Disconnect, "/é", None, "")),
            ("2[\"a\"]", packet(Event, "/", None, "[\"a\"]")),
            ("20[\"a\"]", packet(Event, "/", Some(0), "[\"a\"]")),
            ("2007[\"a\"]", packet(Event, "/", Some(7), "[\"a\"]")),
            ("2/adm,12[\"a\"]", packet(Event, "/adm", Some(12), "[\"a\"]")),
            (
                "29007199254740991[\"a\"]",
                packet(Event, "/", Some(MAX_ID), "[\"a\"]"),
            ),
            ("31[]", packet(Ack, "/", Some(1), "[]")),
            (
                "4{\"message\":\"x\"}",
                packet(ConnectError, "/", None, "{\"message\":\"x\"}"),
            ),
            (
                "51-[\"a\"]",
                Packet {
                    attachments: 1,
                    ..packet(BinaryEvent, "/", None, "[\"a\"]")
                },
            ),
            (
                "510-/adm,7[\"a\"]",
                Packet {
                    attachments: 10,
                    ..packet(BinaryEvent, "/adm", Some(7), "[\"a\"]")
                },
            ),
            (
                "61-12[]",
                Packet {
                    attachments: 1,
                    ..packet(BinaryAck, "/", Some(12), "[]")
                },
            ),
        ];
        for (text, expected) in table {
            assert_eq!(decoded(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn refused() {
        let data = |kind| DecodeError::Data { kind };
        let table = [
            ("", DecodeError::Empty),
            ("7", DecodeError::UnknownType('7')),
            ("-1", DecodeError::UnknownType('-')),
            ("é", DecodeError::UnknownType('é')),
            (" 2[\"a\"]", DecodeError::UnknownType(' ')),
            ("2", data(Event)),
            ("25", data(Event)),
            ("2 [\"a\"]", data(Event)),
            ("2+1[\"a\"]", data(Event)),
            ("21 [\"a\"]", data(Event)),
            ("2adm,[\"a\"]", data(Event)),
            ("2/a,b,[1]", data(Event)),
            ("29007199254740992[\"a\"]", DecodeError::Id),
            ("299999999999999999[\"a\"]", DecodeError::Id),
            ("200000000000000001[\"a\"]", DecodeError::Id),
            ("2٣[\"a\"]", data(Event)),
            ("3", DecodeError::MissingId),
            ("3[]", DecodeError::MissingId),
            ("31", data(Ack)),
            ("61-[]", DecodeError::MissingId),
            ("5", DecodeError::AttachmentCount),
            ("51", DecodeError::AttachmentCount),
            ("5-[\"a\"]", DecodeError::AttachmentCount),
            ("50-[\"a\"]", DecodeError::AttachmentCount),
            ("500-[\"a\"]", DecodeError::AttachmentCount),
            ("5/adm,1-[\"a\"]", DecodeError::AttachmentCount),
            ("51_-[\"a\"]", DecodeError::AttachmentCount),
            ("599999999999999999-[\"a\"]", DecodeError::AttachmentCount),
            (
                "511-[\"a\"]",
                DecodeError::TooManyAttachments { count: 11, max: 10 },
            ),
            (
                "5999999999-[\"a\"]",
                DecodeError::TooManyAttachments {
                    count: 999_999_999,
                    max: 10,
                },
            ),
            ("51-", data(BinaryEvent)),
            ("05", DecodeError::Id),
            ("05{}", DecodeError::Id),
            ("15", DecodeError::Id),
            ("0[]", data(Connect)),
            ("0{", DecodeError::Json { offset: 1 }),
            ("0{}x", DecodeError::Json { offset: 2 }),
            ("0/adm,{\"a\":tru}", DecodeError::Json { offset: 5 }),
            ("1 ", data(Disconnect)),
            ("4\"x", DecodeError::Json { offset: 2 }),
        ];
        for (text, error) in table {
            assert_eq!(decoded(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn limits() {
        let limits = Limits {
            max_namespace: 4,
            max_depth: 2,
            max_attachments: 1,
            ..Limits::default()
        };
        for text in [
            "0/adm",
            "0/adm,",
            "1/a€",
            "0{\"a\":{}}",
            "51-[1]",
            "0/abc,{\"a\":1}",
        ] {
            let len = text.len();
            let ok = decode(text, &limits).is_ok();
            assert_eq!(ok, text != "1/a€", "{text:?} of {len}");
        }
        let too_long = Err(DecodeError::NamespaceTooLong { max: 4 });
        for text in [
            "0/abcd",
            "0/abcd,",
            "0/a€",
            "2/abcd,[\"a\"]",
            "0/ab€",
            "0/abcdefgh",
        ] {
            assert_eq!(decode(text, &limits), too_long, "{text:?}");
        }
        assert_eq!(decode("0{\"a\":{\"b\":{}}}", &limits), Err(DecodeError::TooDeep));
        assert_eq!(
            decode("52-[1]", &limits),
            Err(DecodeError::TooManyAttachments { count: 2, max: 1 })
        );
    }

    #[test]
    fn heads_are_written() {
        let table = [
            ("0", Connect, "/", None, 0),
            ("0/adm,", Connect, "/adm", None, 0),
            ("2", Event, "/", None, 0),
            ("2/adm,0", Event, "/adm", Some(0), 0),
            ("312", Ack, "/", Some(12), 0),
            ("41", ConnectError, "/", Some(1), 0),
            ("510-/adm,9007199254740991", BinaryEvent, "/adm", Some(MAX_ID), 10),
            ("61-", BinaryAck, "/", None, 1),
        ];
        for (text, kind, namespace, id, attachments) in table {
            let mut out = b"4".to_vec();
            put_head(&mut out, kind, namespace, id, attachments);
            assert_eq!(String::from_utf8(out).unwrap(), format!("4{text}"));
        }
    }

    #[test]
    fn errors_are_sentences() {
        let error = DecodeError::Data { kind: Connect };
        assert_eq!(
            error.to_string(),
            "a packet of type Connect cannot have this data: expected nothing or an object"
        );
    }
}
