//! The text form of a packet: `<type>[<attachments>-][<namespace>,][<id>][<JSON>]`. Strict where the official parser
//! guesses: digits are digits, and what only a broken client sends is an error.

use thiserror::Error;

use super::scanner::Scanner;
use super::{Limits, MAX_ID, Packet, PacketKind};

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

fn expected(kind: PacketKind) -> &'static str {
    match kind {
        PacketKind::Connect => "nothing or an object",
        PacketKind::Disconnect => "nothing",
        PacketKind::ConnectError => "nothing, a string or an object",
        PacketKind::Event | PacketKind::BinaryEvent | PacketKind::Ack | PacketKind::BinaryAck => "an array",
    }
}

/// Splits the leading digits off. `None` if there are none or more than 16: 2^53 has 16.
fn split_number(text: &str) -> (Option<u64>, &str) {
    let digits = text.bytes().take(17).take_while(u8::is_ascii_digit).count();
    let number = match digits {
        1..=16 => text[..digits].parse().ok(),
        _ => None,
    };
    (number, &text[digits..])
}

fn check_data(kind: PacketKind, id: Option<u64>, data: &str, limits: &Limits) -> Result<(), DecodeError> {
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
