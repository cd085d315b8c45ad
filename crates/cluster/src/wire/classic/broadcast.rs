//! An event for clients. It is by far the most frequent message, so it is read and written without a step between: the
//! data goes from the JSON of the clients to MessagePack and back, the rest is picked out of the message.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::Room;
use gatewire_proto::socketio::msgpack::{
    DecodeError as MsgpackError, Reader, Token, TranscodeError, put_array_head, put_bool, put_map_head,
    put_str, put_unsigned, transcode_from_json, transcode_to_json,
};

use crate::wire::{DecodeError, EventData, Limits, Target};

/// The deepest nesting that is read.
const MAX_DEPTH: usize = 127;

/// An event for the clients of a namespace, before its data is looked at: who gets his own message back need not.
#[derive(Clone, Debug, PartialEq)]
pub struct Broadcast<'a> {
    /// Who sends it.
    pub uid: Cow<'a, str>,
    /// The namespace's name; `/` if the message has none.
    pub namespace: &'a str,
    /// Its receivers.
    pub target: Target,
    /// An array, checked.
    data: &'a [u8],
}

impl<'a> Broadcast<'a> {
    /// Who has sent the message; nothing else is looked at.
    ///
    /// # Errors
    /// If it is none.
    pub fn sender(message: &'a [u8]) -> Result<Cow<'a, str>, DecodeError> {
        let mut reader = Reader::new(message);
        match reader.token()? {
            Token::Array(3..) => name(&mut reader),
            _ => Err(DecodeError::NotABroadcast),
        }
    }

    /// Reads a message, whatever the order of its keys.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message);
        let Token::Array(3..) = reader.token()? else {
            return Err(DecodeError::NotABroadcast);
        };
        let uid = name(&mut reader)?;
        let (mut namespace, mut data) = ("/", None);
        each_entry(&mut reader, |key, reader| {
            match key {
                "nsp" => match reader.token()? {
                    Token::Str(name) => namespace = name,
                    Token::Nil => {}
                    _ => return Err(DecodeError::NotABroadcast),
                },
                "data" => data = Some(reader.raw(MAX_DEPTH)?),
                _ => drop(reader.raw(MAX_DEPTH)?),
            }
            Ok(())
        })?;
        let target = target(&mut reader)?;
        let data = data
            .filter(|data| is_event(data))
            .ok_or(DecodeError::NotABroadcast)?;
        Ok(Self {
            uid,
            namespace,
            target,
            data,
        })
    }

    /// The event's data as clients get it: JSON, and what its placeholders stand for.
    ///
    /// # Errors
    /// If it goes beyond the limits.
    pub fn event(&self, limits: &Limits) -> Result<(String, Vec<Bytes>), DecodeError> {
        let (mut json, mut attachments) = (Vec::with_capacity(self.data.len() * 2), Vec::new());
        transcode_to_json(self.data, &mut json, &mut attachments, limits.max_attachments)?;
        let json = String::from_utf8(json).map_err(|_| DecodeError::Utf8)?;
        Ok((json, attachments))
    }

    /// Appends a message.
    ///
    /// # Errors
    /// If a text or an attachment is longer than MessagePack can say, 4 GiB, or the data nests deeper than 127.
    pub fn encode(
        out: &mut Vec<u8>,
        uid: &str,
        namespace: &str,
        event: EventData<'_>,
        target: &Target,
    ) -> Result<(), TranscodeError> {
        put_array_head(out, 3);
        put_str(out, uid);
        put_map_head(out, 3);
        put_str(out, "type");
        put_unsigned(out, 2);
        put_str(out, "data");
        transcode_from_json(event.data, event.attachments, out)?;
        put_str(out, "nsp");
        put_str(out, namespace);
        put_target(out, target);
        Ok(())
    }
}

fn put_target(out: &mut Vec<u8>, target: &Target) {
    put_map_head(out, 3);
    put_str(out, "rooms");
    put_rooms(out, &target.rooms);
    put_str(out, "except");
    put_rooms(out, &target.except);
    put_str(out, "flags");
    let count =
        usize::from(target.volatile) + usize::from(!target.compress) + usize::from(target.timeout.is_some());
    put_map_head(out, count);
    if target.volatile {
        put_str(out, "volatile");
        put_bool(out, true);
    }
    if !target.compress {
        put_str(out, "compress");
        put_bool(out, false);
    }
    if let Some(timeout) = target.timeout {
        put_str(out, "timeout");
        put_unsigned(out, u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    }
}

fn put_rooms(out: &mut Vec<u8>, rooms: &[Room]) {
    put_array_head(out, rooms.len());
    for room in rooms {
        put_str(out, room);
    }
}

/// A string, or a number as JavaScript writes it.
fn name<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, DecodeError> {
    match reader.token()? {
        Token::Str(name) => Ok(name.into()),
        Token::Unsigned(number) => Ok(number.to_string().into()),
        Token::Signed(number) => Ok(number.to_string().into()),
        Token::Float(number) => Ok(number.to_string().into()),
        _ => Err(DecodeError::NotABroadcast),
    }
}

fn each_entry<'a>(
    reader: &mut Reader<'a>,
    mut take: impl FnMut(&'a str, &mut Reader<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let Token::Map(len) = reader.token()? else {
        return Err(DecodeError::NotABroadcast);
    };
    for _ in 0..len {
        let offset = reader.position();
        match reader.token()? {
            Token::Str(key) => take(key, reader)?,
            Token::Unsigned(_) | Token::Signed(_) => drop(reader.raw(MAX_DEPTH)?),
            _ => return Err(MsgpackError::Key { offset }.into()),
        }
    }
    Ok(())
}

/// `opts`; a key that is missing, or nil, is as good as empty.
fn target(reader: &mut Reader<'_>) -> Result<Target, DecodeError> {
    let mut target = Target {
        compress: true,
        ..Target::default()
    };
    each_entry(reader, |key, reader| {
        match key {
            "rooms" => target.rooms = rooms(reader)?,
            "except" => target.except = rooms(reader)?,
            "flags" => flags(reader.raw(MAX_DEPTH)?, &mut target)?,
            _ => drop(reader.raw(MAX_DEPTH)?),
        }
        Ok(())
    })?;
    Ok(target)
}

fn rooms(reader: &mut Reader<'_>) -> Result<Vec<Room>, DecodeError> {
    match reader.token()? {
        Token::Nil => Ok(Vec::new()),
        Token::Array(len) => (0..len).map(|_| Ok(Room::from(&*name(reader)?))).collect(),
        _ => Err(DecodeError::NotABroadcast),
    }
}

fn flags(flags: &[u8], target: &mut Target) -> Result<(), DecodeError> {
    let mut reader = Reader::new(flags);
    if reader.clone().token()? == Token::Nil {
        return Ok(());
    }
    each_entry(&mut reader, |key, reader| {
        let mut value = Reader::new(reader.raw(MAX_DEPTH)?);
        match (key, value.token()?) {
            ("volatile", Token::Bool(is_on)) => target.volatile = is_on,
            ("compress", Token::Bool(is_on)) => target.compress = is_on,
            ("timeout", Token::Unsigned(ms)) => target.timeout = Some(Duration::from_millis(ms)),
            _ => {}
        }
        Ok(())
    })
}

/// Whether the array begins with a name.
fn is_event(data: &[u8]) -> bool {
    let mut reader = Reader::new(data);
    matches!(reader.token(), Ok(Token::Array(1..)))
        && matches!(
            reader.token(),
            Ok(Token::Str(_) | Token::Unsigned(_) | Token::Signed(_) | Token::Float(_))
        )
}
