//! The transports of Engine.IO: how packets of a session travel over HTTP requests, and over a WebSocket.

pub(crate) mod polling;
pub(crate) mod sse;
pub(crate) mod websocket;
