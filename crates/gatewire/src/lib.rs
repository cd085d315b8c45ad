//! Gatewire: real-time servers in the shape of NestJS WebSocket gateways.
//!
//! A gateway is a struct that speaks events instead of routes. Its fields are injected, its handlers take typed
//! extractors, what they return is sent back; clients speak Socket.IO over WebSocket or HTTP long-polling.
//!
//! ```no_run
//! use gatewire::prelude::*;
//!
//! #[websocket_gateway(cors(origin = "*"))]
//! pub struct EventsGateway {
//!     #[websocket_server]
//!     server: Server,
//! }
//!
//! #[subscriptions]
//! impl EventsGateway {
//!     #[subscribe_message("ping")]
//!     async fn handle_ping(&self, MessageBody(data): MessageBody<String>) -> String {
//!         format!("pong: {data}")
//!     }
//!
//!     #[subscribe_message("broadcast")]
//!     async fn handle_broadcast(&self, MessageBody(message): MessageBody<String>) {
//!         self.server.emit("message", &message);
//!     }
//! }
//!
//! #[module(providers = [EventsGateway])]
//! pub struct EventsModule;
//!
//! #[tokio::main]
//! async fn main() -> gatewire::Result<()> {
//!     App::create::<EventsModule>().await?.listen("0.0.0.0:3000").await
//! }
//! ```
//!
//! What is here: modules and injection ([`mod@module`]), gateways and their extractors ([`gateway`]), controllers for HTTP
//! and Server-Sent Events ([`mod@controller`]), the exceptions of
//! the message pipeline ([`pipeline`]), the platform adapter ([`adapter`]), the [`App`] and the [`logger`], and
//! what operators look at ([`watch`]). What is not:
//! protocols, rooms and connections, which live in the crates below.

// The macros write `::gatewire::..`; this makes that true inside the crate too.
extern crate self as gatewire;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod adapter;
mod app;
mod bound;
pub mod controller;
mod cors;
mod counts;
mod endpoint;
mod error;
pub mod gateway;
mod given;
pub mod logger;
mod lost;
pub mod module;
pub mod pipeline;
pub mod prelude;
mod running;
mod signal;
mod site;
mod tag;
pub mod testing;
pub mod watch;

pub use app::{App, Create};
pub use bound::Bound;
pub use counts::Counts;
pub use error::{Error, Result};
pub use gatewire_hub::cluster;
pub use gatewire_hub::{
    AckError, AckRequest, Broadcast, BroadcastAckError, BroadcastAckRequest, ConnectError, DisconnectReason,
    EmitError, Event, EventError, FetchError, HubConfig, Id, Io, ListenerId, MsgpackParser,
    Namespace as Server, OwnedEvent, ParentNamespace as ParentServer, Parser, Payload, Presence,
    PresenceConfig, PresenceEvent, PresentSocket, Recovery, RemoteAckRequest, RemoteSocket, Room, RoomEvent,
    ServerSideAck, ServerSideEvent, ServerSideRequest, Socket, TooManyRooms,
};
pub use gatewire_macros::{
    controller, delete, get, injectable, module, patch, post, put, routes, set_metadata, sse,
    subscribe_message, subscriptions, use_filters, use_guards, use_interceptors, use_pipes,
    websocket_gateway,
};
pub use gatewire_server::{
    ClientLimiter, ClientLimits, Excess, Http2Config, Limit, ListenerConfig, NetworkError, Networks,
    ProxyProtocol, Rate, Secured, Tls, TlsError, TrustedProxies, rustls,
};
pub use given::GivenListener;
pub use logger::Logger;
pub use module::verify;
pub use running::AppHandle;

/// The guide's programs.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../../docs/filters.md")]
    struct Filters;
    #[doc = include_str!("../../../docs/first-steps.md")]
    struct FirstSteps;
    #[doc = include_str!("../../../docs/gateways.md")]
    struct Gateways;
    #[doc = include_str!("../../../docs/http.md")]
    struct Http;
    #[doc = include_str!("../../../docs/sse.md")]
    struct Sse;
    #[doc = include_str!("../../../docs/guards.md")]
    struct Guards;
    #[doc = include_str!("../../../docs/pipes.md")]
    struct Pipes;
    #[doc = include_str!("../../../docs/adapters.md")]
    struct Adapters;
    #[doc = include_str!("../../../docs/behind-a-balancer.md")]
    struct BehindABalancer;
    #[doc = include_str!("../../../docs/coming-from-axum.md")]
    struct ComingFromAxum;
    #[doc = include_str!("../../../docs/coming-from-nestjs.md")]
    struct ComingFromNestJs;
    #[doc = include_str!("../../../docs/interceptors.md")]
    struct Interceptors;
    #[doc = include_str!("../../../docs/lifecycle.md")]
    struct Lifecycle;
    #[doc = include_str!("../../../docs/limits.md")]
    struct Limits;
    #[doc = include_str!("../../../docs/modules.md")]
    struct Modules;
    #[doc = include_str!("../../../docs/origins.md")]
    struct Origins;
    #[doc = include_str!("../../../docs/scaling.md")]
    struct Scaling;
    #[doc = include_str!("../../../docs/testing.md")]
    struct Testing;
    #[doc = include_str!("../../../docs/presence.md")]
    struct PresenceChapter;
    #[doc = include_str!("../../../docs/slow-consumers.md")]
    struct SlowConsumers;
    #[doc = include_str!("../../../docs/tls.md")]
    struct TlsChapter;
}
