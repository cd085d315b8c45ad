//! The objects that messages of all adapters have in them, as they are read.

use std::fmt;
use std::time::Duration;

use gatewire_hub::cluster::FoundSocket;
use gatewire_hub::{Id, Room};
use gatewire_proto::socketio::{self, EventBody, scan_event};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::frame::malformed;
use super::{DecodeError, Frame, Target};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Opts {
    rooms: Option<Vec<RoomName>>,
    except: Option<Vec<RoomName>>,
    flags: Option<Flags>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Flags {
    volatile: Option<bool>,
    compress: Option<bool>,
    timeout: Option<f64>,
}

impl From<Opts> for Target {
    fn from(opts: Opts) -> Self {
        let flags = opts.flags.unwrap_or_default();
        Self {
            rooms: names(opts.rooms.unwrap_or_default()),
            except: names(opts.except.unwrap_or_default()),
            volatile: flags.volatile.unwrap_or(false),
            compress: flags.compress.unwrap_or(true),
            timeout: flags
                .timeout
                .and_then(|ms| Duration::try_from_secs_f64(ms / 1_000.0).ok()),
        }
    }
}

/// The name of a room, which may be a number in JavaScript.
pub(super) struct RoomName(Room);

pub(super) fn names(rooms: impl IntoIterator<Item = RoomName>) -> Vec<Room> {
    rooms.into_iter().map(|RoomName(room)| room).collect()
}

impl<'de> Deserialize<'de> for RoomName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RoomVisitor)
    }
}

struct RoomVisitor;

impl Visitor<'_> for RoomVisitor {
    type Value = RoomName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a room, a string or a number")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<RoomName, E> {
        Ok(RoomName(name.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<RoomName, E> {
        Ok(RoomName(number.to_string().into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<RoomName, E> {
        Ok(RoomName(number.to_string().into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<RoomName, E> {
        Ok(RoomName(number.to_string().into()))
    }
}

/// A socket of another node.
#[derive(Deserialize)]
pub(super) struct Found {
    id: String,
    #[serde(default)]
    rooms: Vec<RoomName>,
    #[serde(default)]
    handshake: Value,
    #[serde(default)]
    data: Value,
}

impl Found {
    /// `None` if its id is none of Socket.IO's: nothing could be sent to it.
    pub(super) fn read(self, frame: &Frame<'_>) -> Option<FoundSocket> {
        let Self {
            id,
            rooms,
            mut handshake,
            mut data,
        } = self;
        for value in [&mut handshake, &mut data] {
            frame.spell_bytes(value);
        }
        Some(FoundSocket {
            id: Id::parse(&id)?,
            rooms: names(rooms),
            handshake,
            data,
        })
    }
}

/// A null is a value, too.
pub(super) fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Of servers that are trusted: their events may be as deep as any.
const EVENT: socketio::Limits = socketio::Limits {
    max_attachments: usize::MAX,
    max_attachment_bytes: usize::MAX,
    max_depth: usize::MAX,
    max_namespace: usize::MAX,
};

/// The event that is this data, which is checked.
pub(super) fn event<'a>(data: &'a str, part: &'static str) -> Result<EventBody<'a>, DecodeError> {
    scan_event(data, &EVENT).map_err(|error| malformed(part, &error))
}
