//! Rooms over Server-Sent Events: who asks for a feed becomes a member of a namespace that only listens.

use std::fmt;
use std::task::{Context, Poll};

use gatewire_hub::{IntoRooms, Room, SseClient};
use gatewire_proto::engineio::CloseReason;
use gatewire_server::Session;

use crate::Server;

/// What a handler of `#[sse]` returns to make its client a member of a namespace that only listens: every event that is
/// emitted to the namespace, or to one of the rooms, arrives as `event: <name>` with its data as JSON. It is encoded once for
/// all who listen.
///
/// The member is a socket like any other: the guards and the `handle_connection` of the namespace's gateways decide on it (a
/// refusal is a 403), it is found by `fetch_sockets`, and `handle_disconnect` hears when it leaves; its
/// [`transport`](crate::Socket::transport) tells that it only listens. It has the values that the controller's guards have
/// kept with their client. An acknowledgement that is asked of it is never answered.
///
/// ```
/// use gatewire::prelude::*;
///
/// #[controller("/chat", namespace = "/chat")]
/// struct ChatController {
///     #[websocket_server]
///     server: Server,
/// }
///
/// #[routes]
/// impl ChatController {
///     #[sse("/rooms/{room}")]
///     fn feed(&self, Path(room): Path<String>) -> Feed {
///         Feed::of(&self.server).room(room)
///     }
/// }
/// ```
#[must_use = "a feed does nothing until a handler returns it"]
pub struct Feed {
    pub(super) server: Server,
    pub(super) rooms: Vec<Room>,
}

impl Feed {
    /// What is emitted to the whole namespace, and to the client itself.
    pub fn of(server: &Server) -> Self {
        Self {
            server: server.clone(),
            rooms: Vec::new(),
        }
    }

    /// What is emitted to this room, or to these, too.
    pub fn room(mut self, rooms: impl IntoRooms) -> Self {
        self.rooms.extend(rooms.into_rooms());
        self
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("server", &self.server)
            .field("rooms", &self.rooms)
            .finish()
    }
}

/// The connection of a listener.
pub(super) struct FeedSession(pub(super) SseClient);

impl Session for FeedSession {
    fn poll(&mut self, cx: &mut Context<'_>) {
        self.0.poll(cx);
    }

    fn is_quiet(&self) -> bool {
        self.0.is_quiet()
    }

    fn close(&mut self, reason: CloseReason) {
        self.0.close(reason.into());
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_closed(cx)
    }
}
