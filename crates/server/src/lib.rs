//! The IO of Gatewire: listeners, HTTP routing, one driver task a connection, the outbox, the transports
//! (WebSocket and HTTP long-polling) of Engine.IO 4, and Server-Sent Events. It knows the hub, which it feeds, but no gateway and no user type.
//!
//! [`Engine`] is one Engine.IO server: it answers HTTP requests below its path. [`WebSocketServer`] is one of plain
//! WebSockets, [`SseServer`] one of streams of events. What runs on top of a connection is an [`Application`]: [`SocketIo`] for a hub, or your own for the bare
//! message layer. [`Listener`] accepts TCP connections and hands their requests to a handler.

mod accepting;
mod announced;
mod application;
mod begun;
mod client_files;
mod clock;
mod compression;
mod config;
mod connection;
mod cookie;
mod cork;
mod cors;
mod dialect;
mod engine;
mod faults;
mod hooks;
mod http;
mod http1;
mod lapses;
mod limiter;
mod listener;
mod networks;
mod origin;
mod outbox;
mod plain;
mod proxies;
mod queue;
mod quota;
mod rate;
mod reception;
mod refusals;
mod registry;
mod request;
mod rules;
mod scratch;
mod serving;
mod sessions;
mod shared;
mod slow_consumer;
mod socketio;
mod sse;
mod stats;
mod stream;
mod takeover;
mod timer;
mod tls;
mod transport;
mod websocket;

pub use application::{Application, Connection, Rejected, Session};
pub use client_files::ClientFilesError;
pub use config::{ConfigError, EngineConfig, Limits};
pub use cookie::{Cookie, SameSite};
pub use cors::Cors;
pub use engine::Engine;
pub use faults::Fault;
pub use gatewire_proto::websocket::{CloseCode, DeflateOptions};
pub use hooks::Hooks;
pub use http::Body;
pub use limiter::{ClientLimiter, ClientLimits, Excess, Limit, Seat, TooMany, Visitor};
pub use listener::{Http2Config, Listener, ListenerConfig, serve_stream};
pub use networks::{NetworkError, Networks};
pub use origin::Origin;
pub use plain::PlainSockets;
pub use proxies::{ProxyProtocol, TrustedProxies};
pub use rate::{Bucket, Rate};
pub use reception::Reception;
pub use refusals::Refusal;
pub use request::is_websocket_connect;
pub use rustls;
pub use shared::SharingConfig;
pub use slow_consumer::SlowConsumer;
pub use socketio::SocketIo;
pub use sse::{NoMoreStreams, SseConfig, SseServer, put_headers};
pub use stats::{ServerStats, TransportStats};
pub use tls::{Secured, Tls, TlsError};
pub use transport::sse::SseBody;
pub use websocket::{WebSocketConfig, WebSocketServer};

/// The guide's programs.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/low-level-api.md")]
struct LowLevelApi;
