//! A packet from one message: checked whole in one pass, whatever the order of its keys, and split without a copy.

use std::borrow::Cow;

use super::read::{DecodeError, Reader, Token};
use super::{MAX_DEPTH, write};
use crate::socketio::{Limits, MAX_ID, PacketKind, is_reserved};

/// A decoded packet that borrows from its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its type; never one of the binary types, which this form does not have.
    pub kind: PacketKind,
    /// The namespace's name with its leading `/`.
    pub namespace: &'a str,
    /// The acknowledgement id, up to [`MAX_ID`].
    pub id: Option<u64>,
    /// What the type carries.
    pub data: Data<'a>,
}

/// The data of a packet, checked throughout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// None: a disconnect, or a connect without `auth`.
    None,
    /// The value of a connect (a map) or connect error (a map or string).
    Value(&'a [u8]),
    /// Name and arguments of an event.
    Event(EventBody<'a>),
    /// The arguments of an acknowledgement.
    Ack(ArgSlice<'a>),
}

/// A checked event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBody<'a> {
    /// Its name, a number as its text. Never a [reserved](is_reserved) one.
    pub name: Cow<'a, str>,
    /// What follows it.
    pub args: ArgSlice<'a>,
}

/// The arguments of an event or acknowledgement as they came: checked MessagePack values after each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArgSlice<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> ArgSlice<'a> {
    /// Puts together what [`bytes`](Self::bytes) and [`len`](Self::len) returned, for instance after it was stored. Other
    /// bytes are not checked: `iter` then ends early.
    pub const fn from_parts(bytes: &'a [u8], count: usize) -> Self {
        Self { bytes, count }
    }

    /// The values, without the head of the array around them.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many arguments.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each argument, to be read by [`from_msgpack`](super::from_msgpack).
    pub fn iter(&self) -> Args<'a> {
        Args {
            reader: Reader::new(self.bytes),
            left: self.count,
        }
    }

    /// The argument at `index`.
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        if self.count == 1 && index == 0 {
            Some(self.bytes)
        } else {
            self.iter().nth(index)
        }
    }
}

impl<'a> IntoIterator for ArgSlice<'a> {
    type Item = &'a [u8];
    type IntoIter = Args<'a>;

    fn into_iter(self) -> Args<'a> {
        self.iter()
    }
}

/// One argument after the other; see [`ArgSlice::iter`].
#[derive(Clone, Debug)]
pub struct Args<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let arg = self.reader.raw(MAX_DEPTH).ok();
        if arg.is_none() {
            self.left = 0;
        }
        arg
    }
}

/// Decodes one message and checks all of it: that it is MessagePack, its strings UTF-8, its nesting within
/// `limits.max_depth` (the array of an event counts, the packet's own map does not), and what each type must have.
/// Keys may stand in any order, unknown ones are ignored (the clients send `options`), and nil or `undefined` for data
/// or id is none.
///
/// # Errors
/// If the message is no packet, goes beyond `limits`, or has data that its type does not allow.
pub fn decode<'a>(message: &'a [u8], limits: &Limits) -> Result<Packet<'a>, DecodeError> {
    let mut reader = Reader::new(message);
    let Token::Map(len) = reader.token()? else {
        return Err(DecodeError::NotAPacket);
    };
    let mut fields = [None; KEYS.len()];
    for _ in 0..len {
        let offset = reader.position();
        let Token::Str(key) = reader.token()? else {
            return Err(DecodeError::Key { offset });
        };
        let value = reader.raw(limits.max_depth)?;
        if let Some(field) = KEYS.iter().position(|name| *name == key)
            && fields[field].replace(value).is_some()
        {
            return Err(DecodeError::NotAPacket);
        }
    }
    if !reader.is_at_end() {
        let offset = reader.position();
        return Err(DecodeError::Trailing { offset });
    }
    let [kind, namespace, data, id] = fields;

    let kind = match kind.map(token).transpose()? {
        Some(Token::Unsigned(0)) => PacketKind::Connect,
        Some(Token::Unsigned(1)) => PacketKind::Disconnect,
        Some(Token::Unsigned(2)) => PacketKind::Event,
        Some(Token::Unsigned(3)) => PacketKind::Ack,
        Some(Token::Unsigned(4)) => PacketKind::ConnectError,
        _ => return Err(DecodeError::Kind),
    };
    let Some(Token::Str(namespace)) = namespace.map(token).transpose()? else {
        return Err(DecodeError::Namespace);
    };
    if namespace.len() > limits.max_namespace {
        let max = limits.max_namespace;
        return Err(DecodeError::NamespaceTooLong { max });
    }
    let id = match id.map(token).transpose()? {
        None | Some(Token::Nil) => None,
        Some(Token::Unsigned(id)) if id <= MAX_ID => Some(id),
        Some(_) => return Err(DecodeError::Id),
    };
    let data = match kind {
        PacketKind::Event => Data::Event(event(data, kind)?),
        PacketKind::Ack if id.is_none() => return Err(DecodeError::MissingId),
        PacketKind::Ack => Data::Ack(array(data, kind)?),
        _ if id.is_some() => return Err(DecodeError::Id),
        _ => value(data, kind)?,
    };
    Ok(Packet {
        kind,
        namespace,
        id,
        data,
    })
}

/// In the order of the array in [`decode`].
const KEYS: [&str; 4] = ["type", "nsp", "data", "id"];

fn token(value: &[u8]) -> Result<Token<'_>, DecodeError> {
    Reader::new(value).token()
}

fn value(data: Option<&[u8]>, kind: PacketKind) -> Result<Data<'_>, DecodeError> {
    let Some(data) = data else {
        return Ok(Data::None);
    };
    match (kind, token(data)?) {
        (_, Token::Nil) => Ok(Data::None),
        (PacketKind::Connect | PacketKind::ConnectError, Token::Map(_))
        | (PacketKind::ConnectError, Token::Str(_)) => Ok(Data::Value(data)),
        _ => Err(DecodeError::Data { kind }),
    }
}

fn array(data: Option<&[u8]>, kind: PacketKind) -> Result<ArgSlice<'_>, DecodeError> {
    let wrong = DecodeError::Data { kind };
    let mut reader = Reader::new(data.ok_or_else(|| wrong.clone())?);
    match reader.token()? {
        Token::Array(count) => Ok(ArgSlice::from_parts(reader.rest(), count)),
        _ => Err(wrong),
    }
}

fn event(data: Option<&[u8]>, kind: PacketKind) -> Result<EventBody<'_>, DecodeError> {
    let all = array(data, kind)?;
    if all.is_empty() {
        return Err(DecodeError::EventName);
    }
    let mut reader = Reader::new(all.bytes());
    let name = match reader.token()? {
        Token::Str(name) => Cow::Borrowed(name),
        Token::Unsigned(number) => number.to_string().into(),
        Token::Signed(number) => number.to_string().into(),
        Token::Float(number) if number.is_finite() => write::json_number(number).into(),
        _ => return Err(DecodeError::EventName),
    };
    if is_reserved(&name) {
        return Err(DecodeError::ReservedEvent(name.into_owned()));
    }
    Ok(EventBody {
        name,
        args: ArgSlice::from_parts(reader.rest(), all.len() - 1),
    })
}
