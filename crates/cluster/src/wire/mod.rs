//! What the adapters write and read, as the official ones do. Pure: bytes in, messages out, and back; for adapters over
//! something else than Redis, too.

pub mod classic;
pub mod cluster;
mod frame;
mod json;
mod shapes;

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::cluster::BroadcastOptions;
use gatewire_hub::{Room, Selection};
use gatewire_proto::socketio::msgpack::{self, TranscodeError};

pub use frame::Frame;

/// An event as clients get it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventData<'a> {
    /// `["name",…]`, with placeholders for the attachments.
    pub data: &'a str,
    /// What the placeholders stand for.
    pub attachments: &'a [Bytes],
}

/// Who is meant, and how they are to be served: `opts` in the messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// Who is in any of these is meant; with none, everyone is.
    pub rooms: Vec<Room>,
    /// Who is in any of these is not.
    pub except: Vec<Room>,
    /// Drop the message for receivers that cannot take it at once.
    pub volatile: bool,
    /// Whether the message may be compressed.
    pub compress: bool,
    /// How long answers are waited for.
    pub timeout: Option<Duration>,
}

impl From<msgpack::DecodeError> for DecodeError {
    fn from(error: msgpack::DecodeError) -> Self {
        Self::Msgpack(error.into())
    }
}

impl Target {
    /// Everyone of the selection, which must not be an empty list of rooms: that is nobody here, and everyone there.
    pub fn new(selection: &Selection, options: BroadcastOptions, timeout: Option<Duration>) -> Self {
        Self {
            rooms: unique(selection.rooms().unwrap_or_default().to_vec()),
            except: unique(selection.except()),
            volatile: options.volatile,
            compress: options.compress,
            timeout,
        }
    }

    /// The selection, where nothing is sent to clients.
    pub fn of(selection: &Selection) -> Self {
        let options = BroadcastOptions {
            volatile: false,
            compress: true,
        };
        Self::new(selection, options, None)
    }
}

/// Each room once, as in the sets of the Node server.
fn unique(mut rooms: Vec<Room>) -> Vec<Room> {
    if rooms.len() > 1 {
        let mut seen = HashSet::with_capacity(rooms.len());
        rooms.retain(|room| seen.insert(room.clone()));
    }
    rooms
}

/// Bounds of what other members may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message. Default 64 MiB: a node with 50,000 sockets tells of all of them in about as much.
    pub max_bytes: usize,
    /// Pieces of bytes in one message. Default 1,000.
    pub max_attachments: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_attachments: 1_000,
        }
    }
}

/// Why a message of another member is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is longer than [`Limits::max_bytes`].
    #[error("the message has {len} bytes, more than the {max} of max_bytes")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// It is none of the arrays that events for clients are.
    #[error("the message is no event for clients: [uid, packet, opts]")]
    NotABroadcast,
    /// A text that is not UTF-8.
    #[error("the message begins as JSON, and is not UTF-8")]
    Utf8,
    /// An entry of a stream whose data is neither JSON nor base64.
    #[error("the data of the entry is neither JSON nor base64")]
    Base64,
    /// A field that an entry of a stream must have is missing, or no text.
    #[error("the entry has no field `{field}` that is a text")]
    Field {
        /// Which.
        field: &'static str,
    },
    /// It is not MessagePack, or goes beyond [`Limits::max_attachments`].
    #[error(transparent)]
    Msgpack(#[from] TranscodeError),
    /// It is not JSON, or has not what its type must have.
    #[error("the {part} is not what it should be: {reason}")]
    Json {
        /// Of which part that is said.
        part: &'static str,
        /// What the parser says.
        reason: String,
    },
    /// A type that this version does not know.
    #[error("the message has the unknown type {kind}")]
    UnknownType {
        /// The type.
        kind: u64,
    },
}
