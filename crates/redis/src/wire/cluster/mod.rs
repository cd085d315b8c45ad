//! The messages of socket.io-adapter's `ClusterAdapter`, which the sharded and the streams adapters of the Node server
//! speak: JSON where a message has no bytes, else MessagePack of the same object. Pure: how a message travels, and what is
//! done about it, is not here.
//!
//! What comes is made readable by [`Frame::read`] and split by [`Frame::message`], whatever the order of its keys; what
//! goes is a [`Message`], written by [`Message::encode`].

mod decode;
mod encode;
mod entry;
mod session;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::cluster::{BroadcastOptions, FoundSocket};
use gatewire_hub::{Payload, Room, Selection};
use gatewire_proto::socketio::msgpack::TranscodeError;

pub use decode::Frame;
pub use encode::Form;
pub use entry::{Entry, EntryFields};
pub use session::{decode_session, encode_session};

/// The uid of processes that only send, such as the emitters.
pub const EMITTER: &str = "emitter";

/// A message of one member of a cluster, in one namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a> {
    /// Who sends it.
    pub uid: Cow<'a, str>,
    /// The namespace's name.
    pub namespace: Cow<'a, str>,
    /// What it says.
    pub body: Body<'a>,
}

/// What a message says. Requests have an id that comes back in the answers to them.
#[derive(Clone, Debug, PartialEq)]
pub enum Body<'a> {
    /// 1: a member is new, and wants to hear of the others.
    InitialHeartbeat,
    /// 2: a member is there.
    Heartbeat,
    /// 3: an event for clients. With a request, they are to answer it.
    Broadcast {
        /// The event.
        event: EventData<'a>,
        /// Its receivers.
        target: Target,
        /// The request.
        request: Option<Cow<'a, str>>,
    },
    /// 4: sockets enter rooms.
    SocketsJoin {
        /// Which.
        target: Target,
        /// What they enter.
        rooms: Vec<Room>,
    },
    /// 5: sockets leave rooms.
    SocketsLeave {
        /// Which.
        target: Target,
        /// What they leave.
        rooms: Vec<Room>,
    },
    /// 6: sockets are put out.
    DisconnectSockets {
        /// Which.
        target: Target,
        /// Whether their connections end.
        close: bool,
    },
    /// 7: who is there?
    FetchSockets {
        /// Who is meant.
        target: Target,
        /// The request.
        request: Cow<'a, str>,
    },
    /// 8: the answer to 7.
    FetchSocketsResponse {
        /// Of which request.
        request: Cow<'a, str>,
        /// Who is there.
        sockets: Vec<FoundSocket>,
    },
    /// 9: an event for the servers themselves. With a request, each is to answer it.
    ServerSideEmit {
        /// Its name.
        name: Cow<'a, str>,
        /// Its arguments.
        args: Payload,
        /// The request.
        request: Option<Cow<'a, str>>,
    },
    /// 10: the answer to 9.
    ServerSideEmitResponse {
        /// Of which request.
        request: Cow<'a, str>,
        /// The answer.
        answer: Payload,
    },
    /// 11: how many clients of a member have been asked by 3.
    BroadcastClientCount {
        /// Of which request.
        request: Cow<'a, str>,
        /// How many.
        count: usize,
    },
    /// 12: the answer of a client to 3.
    BroadcastAck {
        /// Of which request.
        request: Cow<'a, str>,
        /// The answer.
        answer: Payload,
    },
    /// 13: a member leaves.
    AdapterClose,
}

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

impl Target {
    /// Everyone of the selection, which must not be an empty list of rooms: that is nobody here, and everyone there.
    pub fn new(selection: &Selection, options: BroadcastOptions, timeout: Option<Duration>) -> Self {
        Self {
            rooms: selection.rooms().unwrap_or_default().to_vec(),
            except: selection.except(),
            volatile: options.volatile,
            compress: options.compress,
            timeout,
        }
    }
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
