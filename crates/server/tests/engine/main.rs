//! Engines, plain WebSocket servers and streams of events, as a client sees them: over real TCP, and asked in memory.

mod deflate;
mod eio3;
mod fairness;
mod faults;
mod http;
mod jsonp;
mod origins;
mod plain;
mod sessions;
mod sse;
mod support;
mod upgrade;
mod vanish;
mod wire;
