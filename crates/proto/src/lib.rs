//! The wire protocols of Gatewire, one module each, without any IO: bytes and the present time go in, events and bytes
//! come out. Nothing here touches a socket, a runtime, a clock or a random source, so all of it can be tested, replayed
//! and fuzzed as plain functions.
//!
//! A message passes the modules from below to above: a WebSocket message ([`websocket`]), or one element of a polling
//! payload, holds an Engine.IO packet ([`engineio`]), and an Engine.IO message holds a Socket.IO packet ([`socketio`]).
//! A plain client sends its events in WebSocket messages right away ([`envelope`]), and one that only listens gets them in
//! the body of an HTTP response ([`sse`]). What proxies say of the clients behind them comes before all that ([`proxy`]). What servers of a cluster tell each other when they share sessions is apart
//! from all that ([`relay`]).
//!
//! What is decoded borrows from the input wherever it can. Every decoder takes its limits as an argument, and no input
//! makes it panic, recurse without bound or allocate more than its limits say.

pub mod engineio;
pub mod envelope;
mod json;
pub mod large;
pub mod pieces;
pub mod proxy;
pub mod relay;
pub mod socketio;
pub mod sse;
pub mod websocket;
