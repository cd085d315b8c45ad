//! A cursor over MessagePack: one token at a time, each checked against what is really there. An announced length is
//! never believed: a container of n elements needs n bytes behind it at least.

use rmp::Marker;
use thiserror::Error;

use super::MAX_DEPTH;
use crate::socketio::PacketKind;
use crate::socketio::text::expected;

/// One value without what is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    /// nil, and `undefined` as notepack 2 writes it.
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer, 0 or more.
    Unsigned(u64),
    /// An integer below 0.
    Signed(i64),
    /// A number that was written as a float.
    Float(f64),
    /// A string.
    Str(&'a str),
    /// Bytes.
    Bin(&'a [u8]),
    /// Milliseconds from 1970.
    Date(i64),
    /// Followed by this many values.
    Array(usize),
    /// Followed by this many pairs of key and value.
    Map(usize),
}

/// A position in MessagePack data, for messages that are no packets: those of cluster adapters, for instance.
///
/// ```
/// use gatewire_proto::socketio::msgpack::{Reader, Token};
///
/// let mut reader = Reader::new(b"\x92\x07\xa1x");
/// assert_eq!(reader.token(), Ok(Token::Array(2)));
/// assert_eq!(reader.raw(10), Ok(&b"\x07"[..]));
/// assert_eq!(reader.token(), Ok(Token::Str("x")));
/// assert!(reader.is_at_end());
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Before the first value.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Whether nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The byte that the next token starts with.
    pub(super) fn peek(&self) -> Option<Marker> {
        self.bytes.get(self.at).map(|&byte| Marker::from_u8(byte))
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Moves over one whole value and returns its bytes, checked throughout.
    ///
    /// # Errors
    /// If what is next is no value, or nests deeper than `max_depth`, and than 127.
    pub fn raw(&mut self, max_depth: usize) -> Result<&'a [u8], DecodeError> {
        let start = self.at;
        self.skip(max_depth.min(MAX_DEPTH))?;
        Ok(&self.bytes[start..self.at])
    }

    fn skip(&mut self, depth_left: usize) -> Result<(), DecodeError> {
        match self.token()? {
            Token::Array(len) => {
                let depth_left = depth_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
                for _ in 0..len {
                    self.skip(depth_left)?;
                }
            }
            Token::Map(len) => {
                let depth_left = depth_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
                for _ in 0..len {
                    let offset = self.at;
                    let (Token::Str(_) | Token::Unsigned(_) | Token::Signed(_)) = self.token()? else {
                        return Err(DecodeError::Key { offset });
                    };
                    self.skip(depth_left)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The next token. An error leaves the position behind what was seen of it.
    ///
    /// # Errors
    /// If it is cut off, not UTF-8, an extension that JavaScript's libraries do not write, or announces more than is there.
    pub fn token(&mut self) -> Result<Token<'a>, DecodeError> {
        let offset = self.at;
        let [first] = self.take()?;
        Ok(match Marker::from_u8(first) {
            Marker::Null => Token::Nil,
            Marker::True => Token::Bool(true),
            Marker::False => Token::Bool(false),
            Marker::FixPos(number) => Token::Unsigned(number.into()),
            Marker::U8 => Token::Unsigned(u8::from_be_bytes(self.take()?).into()),
            Marker::U16 => Token::Unsigned(u16::from_be_bytes(self.take()?).into()),
            Marker::U32 => Token::Unsigned(u32::from_be_bytes(self.take()?).into()),
            Marker::U64 => Token::Unsigned(u64::from_be_bytes(self.take()?)),
            Marker::FixNeg(number) => Token::Signed(number.into()),
            Marker::I8 => signed(i8::from_be_bytes(self.take()?).into()),
            Marker::I16 => signed(i16::from_be_bytes(self.take()?).into()),
            Marker::I32 => signed(i32::from_be_bytes(self.take()?).into()),
            Marker::I64 => signed(i64::from_be_bytes(self.take()?)),
            Marker::F32 => Token::Float(f32::from_be_bytes(self.take()?).into()),
            Marker::F64 => Token::Float(f64::from_be_bytes(self.take()?)),
            Marker::FixStr(len) => self.str(len.into())?,
            Marker::Str8 => self.len8().and_then(|len| self.str(len))?,
            Marker::Str16 => self.len16().and_then(|len| self.str(len))?,
            Marker::Str32 => self.len32().and_then(|len| self.str(len))?,
            Marker::Bin8 => self.len8().and_then(|len| self.slice(len)).map(Token::Bin)?,
            Marker::Bin16 => self.len16().and_then(|len| self.slice(len)).map(Token::Bin)?,
            Marker::Bin32 => self.len32().and_then(|len| self.slice(len)).map(Token::Bin)?,
            Marker::FixArray(len) => self.array(len.into(), offset)?,
            Marker::Array16 => self.len16().and_then(|len| self.array(len, offset))?,
            Marker::Array32 => self.len32().and_then(|len| self.array(len, offset))?,
            Marker::FixMap(len) => self.map(len.into(), offset)?,
            Marker::Map16 => self.len16().and_then(|len| self.map(len, offset))?,
            Marker::Map32 => self.len32().and_then(|len| self.map(len, offset))?,
            Marker::FixExt1 => self.extension(1, offset)?,
            Marker::FixExt2 => self.extension(2, offset)?,
            Marker::FixExt4 => self.extension(4, offset)?,
            Marker::FixExt8 => self.extension(8, offset)?,
            Marker::FixExt16 => self.extension(16, offset)?,
            Marker::Ext8 => self.len8().and_then(|len| self.extension(len, offset))?,
            Marker::Ext16 => self.len16().and_then(|len| self.extension(len, offset))?,
            Marker::Ext32 => self.len32().and_then(|len| self.extension(len, offset))?,
            Marker::Reserved => return Err(DecodeError::Malformed { offset }),
        })
    }

    fn slice(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let malformed = DecodeError::Malformed { offset: self.at };
        let slice = self.rest().get(..len).ok_or(malformed)?;
        self.at += len;
        Ok(slice)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let malformed = DecodeError::Malformed { offset: self.at };
        let bytes = *self.rest().first_chunk().ok_or(malformed)?;
        self.at += N;
        Ok(bytes)
    }

    fn len8(&mut self) -> Result<usize, DecodeError> {
        Ok(u8::from_be_bytes(self.take()?).into())
    }

    fn len16(&mut self) -> Result<usize, DecodeError> {
        Ok(u16::from_be_bytes(self.take()?).into())
    }

    fn len32(&mut self) -> Result<usize, DecodeError> {
        // Saturated, on a machine with smaller addresses, it is too long as well.
        Ok(usize::try_from(u32::from_be_bytes(self.take()?)).unwrap_or(usize::MAX))
    }

    fn str(&mut self, len: usize) -> Result<Token<'a>, DecodeError> {
        let offset = self.at;
        let text = std::str::from_utf8(self.slice(len)?).map_err(|_| DecodeError::Utf8 { offset })?;
        Ok(Token::Str(text))
    }

    fn array(&self, len: usize, offset: usize) -> Result<Token<'a>, DecodeError> {
        if len > self.rest().len() {
            return Err(DecodeError::Malformed { offset });
        }
        Ok(Token::Array(len))
    }

    fn map(&self, len: usize, offset: usize) -> Result<Token<'a>, DecodeError> {
        if len > self.rest().len() / 2 {
            return Err(DecodeError::Malformed { offset });
        }
        Ok(Token::Map(len))
    }

    fn extension(&mut self, len: usize, offset: usize) -> Result<Token<'a>, DecodeError> {
        let kind = i8::from_be_bytes(self.take()?);
        let data = self.slice(len)?;
        let ms = match (kind, data) {
            (0, &[_]) => return Ok(Token::Nil),
            (0, &[a, b, c, d, e, f, g, h]) => i64::from_be_bytes([a, b, c, d, e, f, g, h]),
            (-1, &[a, b, c, d]) => i64::from(u32::from_be_bytes([a, b, c, d])) * 1_000,
            (-1, &[a, b, c, d, e, f, g, h]) => {
                let both = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                let (ns, seconds) = (both >> 34, both & ((1 << 34) - 1));
                (seconds * 1_000 + ns / 1_000_000).cast_signed()
            }
            (-1, &[n, o, p, q, a, b, c, d, e, f, g, h]) => {
                let ns = u32::from_be_bytes([n, o, p, q]);
                i64::from_be_bytes([a, b, c, d, e, f, g, h])
                    .saturating_mul(1_000)
                    .saturating_add((ns / 1_000_000).into())
            }
            _ => return Err(DecodeError::Extension { offset, kind }),
        };
        Ok(Token::Date(ms))
    }
}

fn signed(number: i64) -> Token<'static> {
    match u64::try_from(number) {
        Ok(number) => Token::Unsigned(number),
        Err(_) => Token::Signed(number),
    }
}

/// Why a message is not a packet that a client may send. Offsets are in bytes from the start of what was decoded.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not MessagePack, or cut off: a length goes beyond the end.
    #[error("the message is not MessagePack, or cut off, at byte {offset}")]
    Malformed {
        /// Where.
        offset: usize,
    },
    /// More bytes than one value.
    #[error("the packet ends before the message, at byte {offset}")]
    Trailing {
        /// Where the packet ends.
        offset: usize,
    },
    /// A string that is not UTF-8.
    #[error("the string at byte {offset} is not UTF-8")]
    Utf8 {
        /// Where its text begins.
        offset: usize,
    },
    /// A key of a map that JavaScript objects do not have.
    #[error("a key of a map, at byte {offset}, is neither a string nor an integer")]
    Key {
        /// Where.
        offset: usize,
    },
    /// An extension other than the two that mean `undefined` and dates.
    #[error("the extension of type {kind} at byte {offset} is unknown")]
    Extension {
        /// Where.
        offset: usize,
        /// Its type.
        kind: i8,
    },
    /// Nested deeper than [`Limits::max_depth`](crate::socketio::Limits::max_depth).
    #[error("the data nests too deep")]
    TooDeep,
    /// No map, or a key of the packet that stands there twice.
    #[error("a packet is a map with the keys type, nsp, data and id, each once at most")]
    NotAPacket,
    /// `type` is missing, or not an integer from 0 to 4.
    #[error("the type of the packet is missing, or not 0 to 4")]
    Kind,
    /// `nsp` is missing, or no string.
    #[error("the packet has no namespace")]
    Namespace,
    /// The name is longer than [`Limits::max_namespace`](crate::socketio::Limits::max_namespace).
    #[error("the name of the namespace is longer than {max} bytes")]
    NamespaceTooLong {
        /// The limit.
        max: usize,
    },
    /// The id is no integer from 0 to [`MAX_ID`](crate::socketio::MAX_ID), or stands in a packet that has none.
    #[error("the acknowledgement id is not 0 to 2^53 - 1, or the packet's type has none")]
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
    /// The first element of an event is missing or no name.
    #[error("the first element of an event must be its name, a string or a number")]
    EventName,
    /// The name is one of those that Socket.IO keeps for itself.
    #[error("the event name {0:?} is reserved")]
    ReservedEvent(String),
}
