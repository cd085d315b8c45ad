//! Engines as a client sees them: over real TCP, and asked in memory.

mod eio3;
mod fairness;
mod http;
mod sessions;
mod support;
mod vanish;
