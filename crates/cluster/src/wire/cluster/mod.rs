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

use gatewire_hub::cluster::FoundSocket;
use gatewire_hub::{Payload, Room};

pub use super::{DecodeError, EventData, Frame, Limits, Target};
pub use encode::Form;
pub use entry::{Entry, EntryFields};
pub use session::{KeptSession, decode_session, encode_session};

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
