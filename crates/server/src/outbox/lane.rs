//! Where packets of the server go: a socket, the next poll, or the body of a response; and what waits there.

use bytes::Bytes;
use gatewire_hub::meter::Stamp;
use gatewire_proto::websocket::Deflate;

use crate::queue::WriteQueue;
use crate::transport::polling::PollLane;
use crate::transport::sse::BodyLane;

/// Where packets of the server go.
pub(crate) enum Lane {
    Polling(Box<PollLane>),
    /// A WebSocket, or a connection that carries a stream of events: bytes go out as they are.
    WebSocket(SocketLane),
    /// A stream of events in a body that an HTTP server carries.
    Body(Box<BodyLane>),
    Closed,
}

impl Lane {
    /// Bytes that wait for the client to take them.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::WebSocket(lane) => lane.queue.len(),
            Self::Polling(lane) => lane.len(),
            Self::Body(lane) => lane.len(),
            Self::Closed => 0,
        }
    }
}

#[derive(Default)]
pub(crate) struct SocketLane {
    pub(super) queue: WriteQueue,
    /// Noted in some thread's cork, which will flush it.
    pub(super) corked: bool,
    /// The last write was not taken whole.
    pub(super) blocked: bool,
    /// Since when, if anybody wants figures.
    pub(super) blocked_since: Option<Stamp>,
    /// The Close frame is queued: nothing may follow it.
    pub(super) sealed: bool,
    /// The Close frame, if it is to leave with the end of the stream.
    pub(super) last_words: Vec<u8>,
    /// What was agreed on with the client about compression.
    pub(super) deflate: Option<Deflate>,
}

impl SocketLane {
    pub(super) fn new(deflate: Option<Deflate>) -> Self {
        Self {
            deflate,
            ..Self::default()
        }
    }
}

/// A WebSocket frame to be sent: one that others share, or one for this socket alone.
pub(super) enum Frame<'a> {
    Shared(&'a Bytes),
    Own(&'a [u8]),
}

impl Frame<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }

    pub(super) fn push_rest(&self, written: usize, queue: &mut WriteQueue) {
        match self {
            Self::Shared(bytes) => queue.push_shared(bytes.slice(written..)),
            Self::Own(bytes) => queue.push_copy(&bytes[written..]),
        }
    }
}
