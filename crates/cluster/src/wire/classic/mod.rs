//! The messages of `@socket.io/redis-adapter` 8, the classic one. A broadcast is a MessagePack array,
//! `[uid, packet, opts]`; questions and answers are JSON, or MessagePack where there are bytes, or where a packet is asked
//! about. Pure: bytes in, messages out, and back.

mod broadcast;
mod request;
mod response;

#[cfg(test)]
mod tests;

pub use broadcast::Broadcast;
pub use request::{Ask, Request};
pub use response::{Answer, Response};
