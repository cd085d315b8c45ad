//! The domain of Gatewire: namespaces, sockets, rooms, broadcasts, acknowledgements, and the cluster adapter trait.
//!
//! A [`Client`] is the Socket.IO side of one connection: whoever drives the connection feeds it the messages that come
//! in and polls it; what goes out leaves through an [`Outbox`]. Everything else is reached from an [`Io`]: its
//! [`Namespace`]s, their [`Socket`]s, and [`Broadcast`]s to rooms of them. The events of a namespace go to its
//! [`NamespaceHandler`], and to the listeners that its sockets have. This crate knows neither HTTP nor TCP, and no gateway.
//!
//! It is the API of the Node server for programs without gateways:
//!
//! ```
//! use gatewire_hub::{ConnectError, HubConfig, Io};
//!
//! let io = Io::new(HubConfig::default());
//! let chat = io.of("/chat");
//! chat.use_middleware(async |socket| match socket.auth_json() {
//!     "{}" => Err(ConnectError::new("who are you?")),
//!     _ => Ok(()),
//! });
//! chat.on_connection(|socket| {
//!     socket.on("join", |socket, event| {
//!         if let Ok(room) = event.body::<String>() {
//!             socket.join(room.as_str());
//!             socket.to(room).emit("joined", &socket.id());
//!         }
//!     });
//!     socket.on_disconnect(|socket, reason| println!("{} left: {reason}", socket.id()));
//! });
//! chat.emit("news", &"the chat is open");
//! ```

mod ack;
mod broadcast;
mod client;
pub mod cluster;
mod config;
mod dynamic;
mod encode;
mod entry;
mod event;
mod fanout;
mod frames;
mod guard;
mod handler;
mod handshake;
mod hooks;
mod id;
mod io;
mod lobby;
mod main_namespace;
pub mod meter;
mod namespace;
mod observe;
mod outbox;
mod pattern;
mod payload;
mod plain;
mod prepared;
mod presence;
mod recode;
mod recovery;
mod remote;
mod room;
mod selection;
mod server_side;
mod socket;
mod sse;
mod stats;
#[doc(hidden)]
pub mod task;
mod text;
mod v2;

pub use ack::{AckError, AckRequest, AckSender, BroadcastAckError, BroadcastAckRequest};
pub use broadcast::Broadcast;
pub use client::{Client, ProtocolError};
pub use config::HubConfig;
pub use dynamic::{NamespaceRequest, ParentNamespace};
pub use encode::EmitError;
pub use event::{Event, OwnedEvent};
pub use handler::{ConnectError, DisconnectReason, NamespaceHandler};
pub use handshake::{Handshake, HandshakeParts, Headers};
pub use hooks::RoomEvent;
pub use id::Id;
pub use io::{Io, WeakIo};
pub use namespace::Namespace;
pub use observe::{ConnectionObserver, ObservedConnection};
pub use outbox::Outbox;
pub use pattern::Pattern as NamespacePattern;
pub use payload::Payload;
pub use plain::{PlainClient, PlainFormat, PlainFormats};
pub use prepared::{FramedText, Message, Prepared};
pub use presence::{Presence, PresenceConfig, PresenceEvent, PresentSocket};
pub use recovery::Recovery;
pub use remote::{FetchError, RemoteAckRequest, RemoteSocket};
pub use room::TooManyRooms;
pub use selection::{IntoRoom, IntoRooms, Room, Selection};
pub use server_side::{ServerSideAck, ServerSideEvent, ServerSideRequest};
pub use socket::{EventError, ListenerId, Socket};
pub use sse::{Admission, SseClient};
pub use stats::{HubStats, NamespaceStats};

pub use futures_util::future::BoxFuture;
pub use gatewire_proto::engineio::{CloseReason, TransportKind};
pub use gatewire_proto::socketio::{ArgSlice, DecodeError, MsgpackParser, Parser};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks whatever happened before: what the mutexes here guard is consistent at each point where a call could panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
