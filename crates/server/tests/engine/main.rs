//! Engines, plain WebSocket servers and streams of events, as a client sees them: over real TCP, and asked in memory.

mod deflate;
mod differential;
mod eio3;
mod fairness;
mod faults;
mod http;
mod joined;
mod jsonp;
mod origins;
mod plain;
mod segments;
mod sessions;
mod sse;
mod stats;
mod support;
mod upgrade;
mod vanish;
mod wire;

/// Whether a request for a session goes to another engine than that which has it; see the tests `relayed`.
const RELAYED: bool = false;
